# SPDX-License-Identifier: MIT
"""Runs the Triton kernels in Triton's interpreter; a process of its own, as it is chosen at import.

Prints, as JSON, the largest difference from the reference for every case, type and result.
"""

from __future__ import annotations

import json
import sys

import torch

from intern25.ops.dcnv3 import gpu, reference
from tests.ops.dcnv3.cases import CASES, inputs, with_softmax

INTERPRETED = ("3x3", "one-pixel-wide", "one-channel", "wide-kernel", "remove-center", "empty-batch")
"""Cases that the slow interpreter runs: every branch of the kernels."""
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def main() -> None:
    differences = {}
    for name in INTERPRETED:
        case = CASES[name]
        for dtype in DTYPES if name == "3x3" else DTYPES[:1]:
            for softmax in (False, True) if name == "3x3" else (True,):
                *tensors, grad = inputs(case, dtype, softmax=softmax)
                x, offset, mask = tensors
                offset, mask = torch.cat((offset, mask), dim=-1).split(
                    (offset.shape[-1], mask.shape[-1]), dim=-1
                )
                geometry = with_softmax(case, softmax)
                actual = [
                    gpu.forward(x, offset, mask, geometry),
                    *gpu.backward(grad, x, offset, mask, geometry),
                ]
                exact = [tensor.double() for tensor in tensors]
                expected = [
                    reference.forward(*exact, geometry),
                    *reference.backward(grad.double(), *exact, geometry),
                ]
                key = f"{name}-{str(dtype).removeprefix('torch.')}-{'logits' if softmax else 'weights'}"
                differences[key] = [
                    _difference(one, other, dtype) for one, other in zip(actual, expected, strict=True)
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
