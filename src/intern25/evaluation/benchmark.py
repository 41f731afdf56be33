# SPDX-License-Identifier: MIT
"""The suites behind ``intern25 bench``: the operator per stage shape, whole models beside their peers.

Both return the JSON-able contents of a result file (``evaluation/timing.py``) and write nothing. Contestants
take turns in one process; peak memory is measured in fresh processes. Losses are reported as wins are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from intern25.evaluation.contestants import BASELINE, MODELS, build, model_input
from intern25.evaluation.memory import measure_peak
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


def run_model_suite(
    *,
    models: Sequence[str] = tuple(MODELS),
    batch_sizes: Sequence[int] = (1, 8),
    image_size: int | tuple[int, int] = 224,
    dtypes: Sequence[DType] = get_args(DType),
    passes: Sequence[Pass] = get_args(Pass),
    rounds: int = 5,
    threads: int | None = None,
    memory: bool = True,
    report: Report | None = None,
) -> dict[str, Any]:
    """Time whole models with random weights, offsets of about one pixel, beside timm's.

    bfloat16 models hold all their weights in bfloat16. Optimized models have no training step.

    Args:
        models: Names out of ``contestants.MODELS``.
        batch_sizes: Images in a batch.
        image_size: Side, or (height, width).
        dtypes: Types of weights and images.
        passes: ``"forward"`` in inference mode, ``"train"`` for forward and backward in training mode.
        rounds: Turns of each contestant.
        threads: Torch's threads; None keeps them.
        memory: Also measure each row's peak memory, in a process of its own.
        report: Called with a line before each case.

    Returns:
        Contents of a result file with one row per case and contestant; ratios are to timm's convnext_tiny, or
        to the first model where that does not take part.

    Raises:
        ValueError: A name in ``models`` is unknown.
        ImportError: timm is missing.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown or not models:
        raise ValueError(f"unknown models {unknown}; choose out of {', '.join(MODELS)}")
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    rows: list[dict[str, Any]] = []
    with torch_threads(threads):
        for dtype in dtypes:
            for kind in passes:
                names = [name for name in models if kind == "forward" or MODELS[name].can_train]
                if not names:
                    continue
                rows += _time_models(names, batch_sizes, size, dtype, kind, rounds, report)
        if memory:
            rows = _with_memory(rows, size, report)
        return result_file("models", {"rounds": rounds, "image_size": list(size)}, rows)


def _time_models(
    names: Sequence[str],
    batch_sizes: Sequence[int],
    size: tuple[int, int],
    dtype: DType,
    kind: Pass,
    rounds: int,
    report: Report | None,
) -> list[dict[str, Any]]:
    built = {name: build(name, getattr(torch, dtype), training=kind == "train") for name in names}
    baseline = BASELINE if BASELINE in built else names[0]
    rows = []
    for batch in batch_sizes:
        say(report, f"batch {batch} {dtype} {kind}")
        contestants = {
            name: _model_pass(model, model_input(name, batch, size, getattr(torch, dtype)), kind)
            for name, model in built.items()
        }
        case = {"batch": batch, "height": size[0], "width": size[1], "dtype": dtype, "pass": kind}
        rows += result_rows(case, take_turns(contestants, rounds=rounds), baseline=baseline)
    return rows


def _with_memory(
    rows: list[dict[str, Any]], size: tuple[int, int], report: Report | None
) -> list[dict[str, Any]]:
    for row in rows:
        case = row["case"]
        say(report, f"memory of {row['contestant']} batch {case['batch']} {case['dtype']} {case['pass']}")
        peak = measure_peak(
            row["contestant"], case["batch"], size, case["dtype"], training=case["pass"] == "train"
        )
        row["peak_mib"] = peak
    return rows


def _model_pass(model: torch.nn.Module, images: Tensor, kind: Pass) -> Callable[[], object]:
    if kind == "forward":

        def forward() -> None:
            with torch.inference_mode():
                model(images)

        return forward

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model(images).float().square().mean().backward()

    return step


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
