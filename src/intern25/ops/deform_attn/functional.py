# SPDX-License-Identifier: MIT
"""The public function ``deform_attn``: the one place where its arguments are validated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from intern25.ops.backends import BackendName
from intern25.ops.deform_attn import reference, schema
from intern25.ops.deform_attn.dispatch import DISPATCHER
from intern25.ops.deform_attn.reference import SpatialShapes, accumulation_dtype

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Types of the values; the half types are computed in float32."""


def deform_attn(
    value: Tensor,
    spatial_shapes: Sequence[tuple[int, int]],
    sampling_locations: Tensor,
    attention_weights: Tensor,
    *,
    backend: BackendName = "auto",
) -> Tensor:
    r"""Multi-scale deformable attention: every query samples all levels at its own points, per head.

    $$ y_m(q) = \sum_{l=1}^{L} \sum_{p=1}^{P} A_{mlp}(q)\, v_m^l\big(\phi_{mlp}(q)\big) $$

    Convention:
        - tokens: the maps of all levels, row by row, one behind the other; sizes are ``(height, width)``.
        - ``sampling_locations``: last axis is ``(x, y)``; 0 and 1 are the outer edges of the map
          (``align_corners=False``), so pixel ``i`` of a width ``w`` lies at ``(i + 0.5) / w``.
        - sampling: bilinear, zeros outside the map.
        - output: channels head by head.
        - derivative by a location at a pixel centre: the right-hand one.

    On a CPU the same bits come out of every run. The Triton kernel adds the gradient of ``value``
    atomically, in no fixed order; under ``torch.use_deterministic_algorithms(True)`` the reference computes
    it instead.

    Args:
        value: Values, ``(N, S, heads, head_channels)`` with ``S`` tokens of all levels, float32, float64,
            bfloat16 or float16 (half types accumulate in float32).
        spatial_shapes: ``(height, width)`` of every level.
        sampling_locations: ``(N, Q, heads, levels, points, 2)``, dtype of ``value``; with half values also
            float32, which is better: 8 bits do not tell the pixels of a map of 160 apart.
        attention_weights: ``(N, Q, heads, levels, points)``, dtype of ``value``, or float32 likewise; a
            softmax over levels and points as a rule.
        backend: ``"auto"`` picks the fastest that accepts these inputs. ``"reference"`` runs plain PyTorch
            operations and is exported as ``grid_sample`` (ONNX ``GridSample``), as every ONNX export is.

    Returns:
        ``(N, Q, heads * head_channels)``, dtype of ``value``.

    Raises:
        TypeError: Dtypes or devices disagree (message shows both).
        ValueError: Shapes or arguments disagree (message shows both sides).
        RuntimeError: ``backend`` was forced and refuses; the message says why.

    Example:
        >>> value = torch.randn(1, 4 * 6 + 2 * 3, 2, 8)  # levels of 4x6 and 2x3, 2 heads
        >>> locations = torch.full((1, 5, 2, 2, 1, 2), 0.5)  # 5 queries, each one point a level: its centre
        >>> weights = torch.full((1, 5, 2, 2, 1), 0.5)
        >>> deform_attn(value, ((4, 6), (2, 3)), locations, weights).shape
        torch.Size([1, 5, 16])

    Source:
        Deformable DETR, arXiv:2010.04159, Eq. 3.
    """
    if value.dtype not in DTYPES:
        raise TypeError(
            f"value is {value.dtype}; deform_attn takes {', '.join(str(dtype) for dtype in DTYPES)}"
        )
    shapes = _as_shapes(spatial_shapes)
    sampling_locations = _sampling(value, sampling_locations, "sampling_locations")
    attention_weights = _sampling(value, attention_weights, "attention_weights")
    _check(value, shapes, sampling_locations, attention_weights)
    if torch.compiler.is_exporting() and (backend == "reference" or torch.onnx.is_in_onnx_export()):
        return reference.forward_exportable(value, shapes, sampling_locations, attention_weights)
    if backend == "reference":
        return reference.forward(value, shapes, sampling_locations, attention_weights)
    if backend not in get_args(BackendName):
        raise ValueError(f"backend={backend!r} is unknown; use one of {', '.join(get_args(BackendName))}")
    if backend != "auto" and not torch.compiler.is_compiling():  # a graph decides when it runs
        DISPATCHER.require(backend, value, shapes, sampling_locations, attention_weights)
    return schema.call(value, shapes, sampling_locations, attention_weights)


def _as_shapes(spatial_shapes: Sequence[tuple[int, int]] | Tensor) -> SpatialShapes:
    """The levels' sizes as tuples of ints; sizes being traced stay symbolic."""
    if isinstance(spatial_shapes, Tensor):
        raise TypeError(
            "spatial_shapes is a tensor; give (height, width) pairs of ints, for example "
            "tuple(map(tuple, spatial_shapes.tolist()))"
        )
    return tuple(_as_pair(pair) for pair in spatial_shapes)


def _as_pair(pair: tuple[int, int]) -> tuple[int, int]:
    """One level's size, checked."""
    sides = tuple(pair) if isinstance(pair, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, (int, torch.SymInt)) for side in sides):
        raise TypeError(f"spatial_shapes has {pair!r}; every level is a (height, width) pair of ints")
    if min(sides) < 1:
        raise ValueError(f"spatial_shapes has {sides}; every level must be at least 1x1")
    return sides[0], sides[1]


def _sampling(value: Tensor, tensor: Tensor, name: str) -> Tensor:
    """Locations or weights in the type the operator computes in; autocast may have left any other."""
    wanted = accumulation_dtype(value.dtype)
    if tensor.dtype == wanted:
        return tensor
    if tensor.dtype == value.dtype or torch.is_autocast_enabled(value.device.type):
        return tensor.to(wanted)
    raise TypeError(f"{name} is {tensor.dtype}, but value is {value.dtype}; cast it to {wanted}")


def _check(
    value: Tensor, shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> None:
    """Raise for shapes, types and devices that do not fit together."""
    if sampling_locations.device != value.device or attention_weights.device != value.device:
        raise TypeError(
            f"value is on {value.device}, sampling_locations on {sampling_locations.device}, "
            f"attention_weights on {attention_weights.device}; move them to one device"
        )
    if value.dim() != 4:
        raise ValueError(f"value has shape {tuple(value.shape)}; expected (N, S, heads, head_channels)")
    batch, tokens, heads, depth = value.shape
    if len(shapes) == 0 or heads == 0 or depth == 0:
        raise ValueError(
            f"value has shape {tuple(value.shape)} and spatial_shapes={shapes}; there must be at least one "
            "level, head and channel"
        )
    expected = sum(height * width for height, width in shapes)
    if tokens != expected:
        raise ValueError(
            f"value has {tokens} tokens, but spatial_shapes={shapes} has {expected} = sum of height * width"
        )
    if attention_weights.dim() != 5 or attention_weights.shape[4] == 0:
        raise ValueError(
            f"attention_weights has shape {tuple(attention_weights.shape)}; "
            "expected (N, Q, heads, levels, points) with at least one point"
        )
    queries, points = attention_weights.shape[1], attention_weights.shape[4]
    wanted = (batch, queries, heads, len(shapes), points)
    for name, tensor, form in (
        ("attention_weights", attention_weights, wanted),
        ("sampling_locations", sampling_locations, (*wanted, 2)),
    ):
        if tuple(tensor.shape) != form:
            layout = "(N, Q, heads, levels, points" + (", 2)" if len(form) == 6 else ")")
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; expected {form} = {layout} for value of shape "
                f"{tuple(value.shape)}, {len(shapes)} levels and attention_weights of {points} points"
            )
