# SPDX-License-Identifier: MIT
"""The suite behind ``intern25 bench op``: DCNv3 per stage shape beside other ways to compute it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from intern25.evaluation.passes import (
    DType,
    Pass,
    Report,
    native_contestants,
    operator_pass,
    say,
    torch_threads,
)
from intern25.evaluation.timing import Contestants, result_file, result_rows, take_turns
from intern25.ops.backends import BackendName
from intern25.ops.dcnv3 import functional
from intern25.ops.dcnv3.geometry import Geometry

Formulation = Callable[[Tensor, Tensor, Tensor, Geometry], Tensor]


@dataclass(frozen=True, slots=True)
class OperatorShape:
    """The map of one stage."""

    name: str
    batch: int
    height: int
    width: int
    groups: int
    group_channels: int = 16


OPERATOR_SHAPES = (
    OperatorShape("T 224 stage 1", 1, 56, 56, 4),
    OperatorShape("T 224 stage 2", 1, 28, 28, 8),
    OperatorShape("T 224 stage 3", 1, 14, 14, 16),
    OperatorShape("T 224 stage 4", 1, 7, 7, 32),
    OperatorShape("T 800x1333 stage 1", 1, 200, 334, 4),
    OperatorShape("T 800x1333 stage 2", 1, 100, 167, 8),
    OperatorShape("T 800x1333 stage 3", 1, 50, 84, 16),
    OperatorShape("T 800x1333 stage 4", 1, 25, 42, 32),
    OperatorShape("H 224 stage 1", 1, 56, 56, 10, 32),
    OperatorShape("H 224 stage 3", 1, 14, 14, 40, 32),
    OperatorShape("G 224 stage 3", 1, 14, 14, 64, 32),
)
"""The four stages of T at 224 and at 800x1333, and 32-channel groups of H and G."""


def run_operator_suite(
    *,
    shapes: Sequence[OperatorShape] = OPERATOR_SHAPES,
    dtypes: Sequence[DType] = get_args(DType),
    passes: Sequence[Pass] = get_args(Pass),
    rounds: int = 5,
    threads: int | None = None,
    formulation: Formulation | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Time DCNv3, its softmax included, against other ways to compute it.

    Contestants: this package's reference; ``formulation``, another one in plain PyTorch; the native kernel
    with each instruction set of this machine; torchvision's ``deform_conv2d`` depth-wise, which users take
    instead (float32 only, and not the same operator: it has weights of its own and no softmax).

    Args:
        shapes: Maps to run.
        dtypes: Types of all tensors.
        passes: ``"forward"``, ``"train"`` (forward and backward).
        rounds: Turns of each contestant.
        threads: Torch's threads; None keeps them.
        formulation: One more contestant, ``f(x, offset, mask, geometry)``, and then the ratios' baseline.
            float32 only: torch's own ``grid_sample`` crashes on large bfloat16 maps.
        report: Called with a line before each case.

    Returns:
        Contents of a result file with one row per case and contestant.
    """
    rows: list[dict[str, Any]] = []
    with torch_threads(threads):
        for shape in shapes:
            for dtype in dtypes:
                for kind in passes:
                    case = {"shape": shape.name, "dtype": dtype, "pass": kind}
                    say(report, f"{shape.name} {dtype} {kind}")
                    contestants = _operator_contestants(shape, dtype, kind, formulation)
                    baseline = next(iter(contestants))
                    rows += result_rows(case, take_turns(contestants, rounds=rounds), baseline=baseline)
        settings = {"rounds": rounds, "offsets": "normal, one pixel", "layout": "NHWC, softmax included"}
        return result_file("operator", settings, rows)


def _operator_contestants(
    shape: OperatorShape, dtype: DType, kind: Pass, formulation: Formulation | None
) -> Contestants:
    geometry = Geometry(groups=shape.groups, softmax=True)
    tensors = _operator_tensors(shape, getattr(torch, dtype), kind)

    def run(function: Callable[..., Tensor]) -> Callable[[], object]:
        return operator_pass(function, tensors, kind)

    contestants: dict[str, Callable[[], object]] = {}
    if formulation is not None and dtype == "float32":
        contestants["pytorch"] = run(lambda x, offset, mask: formulation(x, offset, mask, geometry))
    contestants["reference"] = run(functools.partial(_apply, geometry, "reference"))
    contestants |= native_contestants(run(functools.partial(_apply, geometry, "cpu")))
    if dtype == "float32":
        contestants["torchvision"] = _deform_conv2d_pass(shape, kind)
    return contestants


def _apply(geometry: Geometry, backend: BackendName, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    return functional.apply(x, offset, mask, geometry, backend)


def _operator_tensors(shape: OperatorShape, dtype: torch.dtype, kind: Pass) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = (shape.batch, shape.height, shape.width)
    channels = (shape.groups * shape.group_channels, shape.groups * 18, shape.groups * 9)
    x, offset, mask = (
        torch.randn(*size, width, generator=generator).to(dtype).requires_grad_(kind == "train")
        for width in channels
    )
    return x, offset, mask


def _deform_conv2d_pass(shape: OperatorShape, kind: Pass) -> Callable[[], object]:
    from torchvision.ops import deform_conv2d

    x_nhwc, offset, mask = _operator_tensors(shape, torch.float32, kind)
    x, offset, mask = (
        tensor.detach().permute(0, 3, 1, 2).contiguous().requires_grad_(kind == "train")
        for tensor in (x_nhwc, offset, mask)
    )
    weight = torch.ones(x.shape[1], 1, 3, 3)
    return operator_pass(
        lambda x, o, m: deform_conv2d(x, o, weight, padding=(1, 1), mask=m), (x, offset, mask), kind
    )
