# SPDX-License-Identifier: MIT
"""Runs the Triton kernels in Triton's interpreter; a process of its own, as it is chosen at import.

Prints, as JSON, the largest difference from the reference for every case, type and result.
"""

from __future__ import annotations

import json
import sys

import torch

from intern25.ops.deform_attn import gpu, reference
from tests.ops.deform_attn.cases import CASES, inputs

INTERPRETED = ("pyramid", "odd-depth", "one-channel", "one-pixel-levels", "far-outside", "empty-batch")
"""Cases that the slow interpreter runs: every branch of the kernels."""
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def main() -> None:
    differences = {}
    for name in INTERPRETED:
        shapes = CASES[name].shapes
        for dtype in DTYPES if name == "pyramid" else DTYPES[:1]:
            value, locations, weights, grad = inputs(CASES[name], dtype)
            actual = [
                gpu.forward(value, shapes, locations, weights),
                *gpu.backward(grad, value, shapes, locations, weights),
            ]
            exact = (value.double(), shapes, locations.double(), weights.double())
            expected = [reference.forward(*exact), *reference.backward(grad.double(), *exact)]
            types = (dtype, dtype, locations.dtype, weights.dtype)
            differences[f"{name}-{str(dtype).removeprefix('torch.')}"] = [
                _difference(one, other, kind)
                for one, other, kind in zip(actual, expected, types, strict=True)
            ]
    json.dump(differences, sys.stdout)


def _difference(actual: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> float:
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    if actual.numel() == 0:
        return 0.0
    return ((actual.double() - expected).abs() / (1 + expected.abs())).max().item()


if __name__ == "__main__":
    main()
