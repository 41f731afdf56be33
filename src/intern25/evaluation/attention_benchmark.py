# SPDX-License-Identifier: MIT
"""The suite behind ``intern25 bench deform_attn``: DINO's and Mask2Former's on their pyramids."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

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
from intern25.ops.deform_attn.dispatch import DISPATCHER
from intern25.ops.deform_attn.functional import deform_attn
from intern25.ops.deform_attn.reference import SpatialShapes


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """One attention layer of a published model."""

    name: str
    levels: SpatialShapes
    queries: int | None = None
    """Queries anywhere on the image; None = one a token, about its own place, as an encoder has them."""
    heads: int = 8
    head_channels: int = 32
    points: int = 4


_DINO_LEVELS = ((100, 167), (50, 84), (25, 42), (13, 21))
ATTENTION_SHAPES = (
    AttentionShape("DINO 800x1333 encoder", _DINO_LEVELS),
    AttentionShape("DINO 800x1333 decoder", _DINO_LEVELS, queries=900),
    AttentionShape("Mask2Former-H 512x512 encoder", ((64, 64), (32, 32), (16, 16)), heads=32),
)
"""DINO on a COCO image, 900 queries, and the pixel decoder of Mask2Former with 1024 channels."""


def run_attention_suite(
    *,
    shapes: Sequence[AttentionShape] = ATTENTION_SHAPES,
    dtypes: Sequence[DType] = get_args(DType),
    passes: Sequence[Pass] = get_args(Pass),
    rounds: int = 5,
    threads: int | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Time multi-scale deformable attention against other ways to compute it.

    Contestants: transformers' formulation in plain PyTorch, where transformers is installed (float32 only:
    torch's own ``grid_sample`` crashes on large bfloat16 maps); this package's reference; the native kernel
    with each instruction set of this machine.

    Args:
        shapes: Layers to run.
        dtypes: Types of the values; locations and weights are float32.
        passes: ``"forward"``, ``"train"`` (forward and backward).
        rounds: Turns of each contestant.
        threads: Torch's threads; None keeps them.
        report: Called with a line before each case.

    Returns:
        Contents of a result file with one row per case and contestant; ratios are to the first contestant.
    """
    rows: list[dict[str, Any]] = []
    with torch_threads(threads):
        for shape in shapes:
            for dtype in dtypes:
                for kind in passes:
                    case = {"shape": shape.name, "dtype": dtype, "pass": kind}
                    say(report, f"{shape.name} {dtype} {kind}")
                    contestants = _contestants(shape, dtype, kind)
                    baseline = next(iter(contestants))
                    rows += result_rows(case, take_turns(contestants, rounds=rounds), baseline=baseline)
        return result_file("deform_attn", {"rounds": rounds, "offsets": "normal, two pixels"}, rows)


def transformers_deform_attn(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Transformers' formulation, what a user without a compiled operator runs; as ``deform_attn``.

    Raises:
        ImportError: transformers is missing.
    """
    from transformers.models.deformable_detr.modeling_deformable_detr import MultiScaleDeformableAttention

    sizes = torch.tensor(spatial_shapes)
    attend = MultiScaleDeformableAttention()
    output = attend(
        value, sizes, list(spatial_shapes), None, sampling_locations, attention_weights, im2col_step=64
    )
    return cast(Tensor, output)


def _contestants(shape: AttentionShape, dtype: DType, kind: Pass) -> Contestants:
    tensors = _tensors(shape, getattr(torch, dtype), kind)

    def run(function: Callable[..., Tensor]) -> Callable[[], object]:
        return operator_pass(lambda value, *sampling: function(value, shape.levels, *sampling), tensors, kind)

    contestants: dict[str, Callable[[], object]] = {}
    if dtype == "float32" and _has_transformers():
        contestants["transformers"] = run(transformers_deform_attn)
    contestants["reference"] = run(_with_backend("reference"))
    if DISPATCHER.refusal("cpu", tensors[0], shape.levels, *tensors[1:]) is None:
        contestants |= native_contestants(run(_with_backend("cpu")))
    return contestants


def _with_backend(backend: BackendName) -> Callable[..., Tensor]:
    return functools.partial(deform_attn, backend=backend)


def _has_transformers() -> bool:
    try:
        import transformers.models.deformable_detr.modeling_deformable_detr  # noqa: F401
    except ImportError:
        return False
    return True


def _tensors(shape: AttentionShape, dtype: torch.dtype, kind: Pass) -> tuple[Tensor, Tensor, Tensor]:
    """Values, sampling locations and attention weights."""
    generator = torch.Generator().manual_seed(0)
    tokens = sum(height * width for height, width in shape.levels)
    places = _centres(shape.levels)
    if shape.queries is not None:
        places = torch.rand(shape.queries, 2, generator=generator)
    taps = (1, len(places), shape.heads, len(shape.levels), shape.points)
    size = torch.tensor([(width, height) for height, width in shape.levels])[:, None]
    offsets = 2 * torch.randn(*taps, 2, generator=generator) / size
    weights = torch.randn(taps, generator=generator).flatten(3).softmax(-1).view(taps)
    value = torch.randn(1, tokens, shape.heads, shape.head_channels, generator=generator).to(dtype)
    tensors = (value, places[None, :, None, None, None] + offsets, weights)
    return cast(
        tuple[Tensor, Tensor, Tensor], tuple(tensor.requires_grad_(kind == "train") for tensor in tensors)
    )


def _centres(levels: SpatialShapes) -> Tensor:
    """The place ``(x, y)`` of every token."""
    places = []
    for height, width in levels:
        y, x = torch.meshgrid(
            (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
        )
        places.append(torch.stack((x, y), dim=-1).view(-1, 2))
    return torch.cat(places)
