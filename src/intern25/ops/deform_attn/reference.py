# SPDX-License-Identifier: MIT
"""Multi-scale deformable attention in standard PyTorch operations: this file defines what the operator means.

As in DCNv3's reference, bilinear sampling is an embedding bag: the values of all levels are one table with a
row of ``D`` channels per token and head, and a query's output for a head is the weighted sum of
``4 * levels * points`` rows. ``forward_exportable`` says the same with ``grid_sample``, which inference
runtimes know as ONNX GridSample.
"""

# N batch, S tokens of all levels, Q queries, M heads, D channels per head, L levels, P points, 4 corners
from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SpatialShapes = tuple[tuple[int, int], ...]
"""``(height, width)`` of every level."""


class _Corners(NamedTuple):
    """The four tokens around every sampling point; all ``(N, Q, M, L, P, 4)`` but ``fraction_*``."""

    rows: Tensor
    """Row of the ``(N * S * M, D)`` table; a valid row even where ``valid`` is zero."""
    shares: Tensor
    """Bilinear weight, zero outside the level."""
    valid: Tensor
    """One where the corner and its point lie inside, else zero."""
    fraction_x: Tensor
    """Distance to the left corners, ``(N, Q, M, L, P)``."""
    fraction_y: Tensor
    """Distance to the upper corners, ``(N, Q, M, L, P)``."""


def forward(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Sample, weigh and sum; differentiable. Arguments as in ``intern25.ops.deform_attn``, validated."""
    dtype = accumulation_dtype(value.dtype)
    batch, _, heads, depth = value.shape
    queries = sampling_locations.shape[1]
    corners = _corners(value, spatial_shapes, sampling_locations.to(dtype))
    weights = corners.shares * attention_weights.to(dtype).unsqueeze(-1)
    sampled = F.embedding_bag(
        corners.rows.flatten(0, 2).flatten(1),
        value.to(dtype).reshape(-1, depth),
        per_sample_weights=weights.flatten(0, 2).flatten(1),
        mode="sum",
    )
    return sampled.view(batch, queries, heads * depth).to(value.dtype)


def backward(
    grad: Tensor,
    value: Tensor,
    spatial_shapes: SpatialShapes,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``value``, ``sampling_locations`` and ``attention_weights``, without a sampled map."""
    dtype = accumulation_dtype(value.dtype)
    depth = value.shape[3]
    corners = _corners(value, spatial_shapes, sampling_locations.to(dtype))
    attention = attention_weights.to(dtype)
    table = value.to(dtype).reshape(-1, depth)
    grad_rows = grad.to(dtype).reshape(-1, depth)
    rows = corners.rows.flatten(0, 2).flatten(1)
    weights = (corners.shares * attention.unsqueeze(-1)).flatten(0, 2).flatten(1)
    grad_table = torch.zeros_like(table)
    projections = torch.empty_like(weights)  # <grad, table row>, what every other gradient is made of
    for tap in range(rows.shape[1]):
        row = rows[:, tap]
        projections[:, tap] = (table.index_select(0, row) * grad_rows).sum(-1)
        grad_table.index_add_(0, row, grad_rows * weights[:, tap, None])
    projection = projections.view_as(corners.shares) * corners.valid
    grad_locations = _grad_locations(projection, corners, attention, spatial_shapes)
    return (
        grad_table.view(value.shape).to(value.dtype),
        grad_locations.to(sampling_locations.dtype),
        (projection * corners.shares).sum(-1).to(attention_weights.dtype),
    )


def forward_exportable(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """As ``forward``, through ``grid_sample``: the form that ONNX, OpenVINO and TensorRT run natively.

    Only the derivative by a location whose position is exactly an integer differs: ``grid_sample`` rounds
    the position differently, which may put it to the left of the integer.
    """
    dtype = accumulation_dtype(value.dtype)
    batch, _, heads, depth = value.shape
    queries = sampling_locations.shape[1]
    maps = value.to(dtype).permute(0, 2, 3, 1).flatten(0, 1).split([h * w for h, w in spatial_shapes], dim=2)
    grids = (2 * sampling_locations.to(dtype) - 1).transpose(1, 2).flatten(0, 1)  # (N M, Q, L, P, 2)
    weights = attention_weights.to(dtype).transpose(1, 2).flatten(0, 1)
    total = value.new_zeros((batch * heads, depth, queries), dtype=dtype)
    for level, (height, width) in enumerate(spatial_shapes):
        sampled = F.grid_sample(
            maps[level].unflatten(2, (height, width)),
            grids[:, :, level],
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        total = total + (sampled * weights[:, None, :, level]).sum(-1)
    return total.view(batch, heads * depth, queries).transpose(1, 2).to(value.dtype)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half types are computed in float32, the others in themselves."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _corners(value: Tensor, spatial_shapes: SpatialShapes, locations: Tensor) -> _Corners:
    """Corners of the sampling points of all levels."""
    tokens, heads = value.shape[1:3]
    image = torch.arange(value.shape[0], device=value.device).view(-1, 1, 1, 1, 1)
    head = torch.arange(heads, device=value.device).view(-1, 1, 1)
    levels, start = [], 0
    for level, (height, width) in enumerate(spatial_shapes):
        pixels, *rest = _corners_of_level(locations[:, :, :, level], height, width)
        levels.append(_Corners((image * tokens + start + pixels) * heads + head, *rest))
        start += height * width
    return _Corners(*(torch.stack(parts, dim=3) for parts in zip(*levels, strict=True)))


def _corners_of_level(locations: Tensor, height: int, width: int) -> tuple[Tensor, ...]:
    """As ``_Corners`` in one map, rows counted in it; a point one pixel or more outside is absent."""
    x, y = locations[..., 0] * width - 0.5, locations[..., 1] * height - 0.5
    inside = (x > -1) & (x < width) & (y > -1) & (y < height)
    x, y = x.where(inside, 0), y.where(inside, 0)  # keeps what follows finite for any location, NaN included
    left, top = x.floor(), y.floor()
    fraction_x, fraction_y = x - left, y - top
    column = torch.stack((left, left + 1, left, left + 1), dim=-1).long()
    line = torch.stack((top, top, top + 1, top + 1), dim=-1).long()
    valid = inside.unsqueeze(-1) & (column >= 0) & (column < width) & (line >= 0) & (line < height)
    share_x = torch.stack((1 - fraction_x, fraction_x, 1 - fraction_x, fraction_x), dim=-1)
    share_y = torch.stack((1 - fraction_y, 1 - fraction_y, fraction_y, fraction_y), dim=-1)
    pixels = line.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    return pixels, share_x * share_y * valid, valid.to(locations.dtype), fraction_x, fraction_y


def _grad_locations(
    projection: Tensor, corners: _Corners, attention: Tensor, spatial_shapes: SpatialShapes
) -> Tensor:
    """Right-hand derivative of the weighted samples by normalised location, ``(N, Q, M, L, P, 2)``."""
    top_left, top_right, bottom_left, bottom_right = projection.unbind(-1)
    along_x = torch.lerp(top_right - top_left, bottom_right - bottom_left, corners.fraction_y)
    along_y = torch.lerp(bottom_left - top_left, bottom_right - top_right, corners.fraction_x)
    sizes = attention.new_tensor([(width, height) for height, width in spatial_shapes])
    return torch.stack((along_x, along_y), dim=-1) * attention.unsqueeze(-1) * sizes[:, None]
