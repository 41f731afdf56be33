# SPDX-License-Identifier: MIT
"""DCNv3 in standard PyTorch operations: this file defines what the operator means.

Bilinear sampling at ``K`` points is a weighted sum of ``4 K`` rows of the channels-last input, a table with
one row of ``D`` channels per pixel and group: an embedding bag. It keeps no sampled map in memory, runs on
every device, and its derivative at integer positions is the right-hand one, as in the authors' CUDA operator.
``forward_exportable`` says the same with ``grid_sample``, which inference runtimes know as ONNX GridSample.
"""

# N batch, H W input space, P Q output space, G groups, D channels per group, K points, 4 corners of a pixel
from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.ops.dcnv3.geometry import Geometry


class _Corners(NamedTuple):
    """The four pixels around every sampling point; all ``(N, P, Q, G, K, 4)`` but ``fraction_*``."""

    rows: Tensor
    """Row of the ``(N * H * W * G, D)`` table; a valid row even where ``valid`` is zero."""
    shares: Tensor
    """Bilinear weight, zero outside the image."""
    valid: Tensor
    """One where the corner and its point lie inside, else zero."""
    fraction_x: Tensor
    """Distance to the left corners, ``(N, P, Q, G, K)``."""
    fraction_y: Tensor
    """Distance to the upper corners, ``(N, P, Q, G, K)``."""


def forward(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Sample, modulate and sum; differentiable. Arguments as in ``intern25.ops.dcnv3``, validated there."""
    dtype = _accumulation_dtype(x.dtype)
    batch, height, width, channels = x.shape
    out_height, out_width = offset.shape[1:3]
    corners = _corners(offset.to(dtype), geometry, height, width)
    modulation = _modulation(mask.to(dtype), geometry)
    weights = corners.shares * modulation.unsqueeze(-1)
    table = x.to(dtype).reshape(batch * height * width * geometry.groups, channels // geometry.groups)
    sampled = F.embedding_bag(
        corners.rows.flatten(0, 3).flatten(1),
        table,
        per_sample_weights=weights.flatten(0, 3).flatten(1),
        mode="sum",
    )
    return sampled.view(batch, out_height, out_width, channels).to(x.dtype)


def backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``x``, ``offset`` and ``mask``, written out so that no sampled map is kept in memory."""
    dtype = _accumulation_dtype(x.dtype)
    _, height, width, channels = x.shape
    depth = channels // geometry.groups
    corners = _corners(offset.to(dtype), geometry, height, width)
    modulation = _modulation(mask.to(dtype), geometry)
    table = x.to(dtype).reshape(-1, depth)
    grad_rows = grad.to(dtype).reshape(-1, depth)
    rows = corners.rows.flatten(0, 3).flatten(1)
    weights = (corners.shares * modulation.unsqueeze(-1)).flatten(0, 3).flatten(1)
    grad_table = torch.zeros_like(table)
    projections = torch.empty_like(weights)  # <grad, table row>, what every other gradient is made of
    for tap in range(rows.shape[1]):
        row = rows[:, tap]
        projections[:, tap] = (table.index_select(0, row) * grad_rows).sum(-1)
        grad_table.index_add_(0, row, grad_rows * weights[:, tap, None])
    projection = projections.view_as(corners.shares) * corners.valid
    grad_offset = _grad_offset(projection, corners, modulation) * geometry.offset_scale
    grad_mask = (projection * corners.shares).sum(-1)
    if geometry.softmax:
        grad_mask = modulation * (grad_mask - (modulation * grad_mask).sum(-1, keepdim=True))
    return (
        grad_table.view(x.shape).to(x.dtype),
        grad_offset.view(offset.shape).to(offset.dtype),
        grad_mask.view(mask.shape).to(mask.dtype),
    )


def forward_exportable(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """As ``forward``, through ``grid_sample``: the form that ONNX, OpenVINO and TensorRT run natively.

    Only the derivative of ``offset`` at exactly integer positions differs: ``grid_sample`` takes normalised
    coordinates, whose rounding may put the position to the left of the integer.
    """
    batch, height, width, channels = x.shape
    groups, depth = geometry.groups, channels // geometry.groups
    out_height, out_width = offset.shape[1:3]
    x_position, y_position = _positions(offset, geometry)
    grid = torch.stack(((2 * x_position + 1) / width - 1, (2 * y_position + 1) / height - 1), dim=-1)
    grid = grid.permute(0, 3, 1, 2, 4, 5).reshape(batch * groups, out_height * out_width, -1, 2)
    x_nchw = x.permute(0, 3, 1, 2).reshape(batch * groups, depth, height, width)
    sampled = F.grid_sample(x_nchw, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    modulation = _modulation(mask, geometry).permute(0, 3, 1, 2, 4)
    modulation = modulation.reshape(batch * groups, 1, out_height * out_width, -1)
    y_nchw = (sampled * modulation).sum(-1).view(batch, channels, out_height, out_width)
    return y_nchw.permute(0, 2, 3, 1)


def _accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half types are computed in float32, the others in themselves."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _modulation(mask: Tensor, geometry: Geometry) -> Tensor:
    """Weights of the points, ``(N, P, Q, G, K)``."""
    weights: Tensor = mask.unflatten(-1, (geometry.groups, geometry.num_points))
    return weights.softmax(-1) if geometry.softmax else weights


def _positions(offset: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Sampling positions ``x`` and ``y`` in input pixels, each ``(N, P, Q, G, K)``."""
    scale = geometry.offset_scale
    shift = offset.unflatten(-1, (geometry.groups, geometry.num_points, 2))
    steps = torch.tensor(geometry.points(), dtype=offset.dtype, device=offset.device)
    positions = []
    for axis, side in ((0, 1), (1, 0)):  # offsets are (x, y), geometry pairs are (height, width)
        dilation = geometry.dilation[side]
        centre = dilation * (geometry.kernel_size[side] - 1) // 2
        length = offset.shape[1 + side]
        start = torch.arange(length, dtype=offset.dtype, device=offset.device) * geometry.stride[side]
        start = start + (centre - geometry.padding[side] - centre * scale)
        start = start.view((length, 1, 1, 1) if side == 0 else (length, 1, 1))
        positions.append(start + (steps[:, axis] * dilation + shift[..., axis]) * scale)
    return positions[0], positions[1]


def _corners(offset: Tensor, geometry: Geometry, height: int, width: int) -> _Corners:
    """Corners of every sampling point; a point at or beyond one pixel outside the image counts as absent."""
    x, y = _positions(offset, geometry)
    inside = (x > -1) & (x < width) & (y > -1) & (y < height)
    x, y = x.where(inside, 0), y.where(inside, 0)  # keeps what follows finite for any offset, NaN included
    left, top = x.floor(), y.floor()
    fraction_x, fraction_y = x - left, y - top
    column = torch.stack((left, left + 1, left, left + 1), dim=-1).long()
    line = torch.stack((top, top, top + 1, top + 1), dim=-1).long()
    valid = inside.unsqueeze(-1) & (column >= 0) & (column < width) & (line >= 0) & (line < height)
    share_x = torch.stack((1 - fraction_x, fraction_x, 1 - fraction_x, fraction_x), dim=-1)
    share_y = torch.stack((1 - fraction_y, 1 - fraction_y, fraction_y, fraction_y), dim=-1)
    image = torch.arange(offset.shape[0], device=offset.device).view(-1, 1, 1, 1, 1, 1)
    group = torch.arange(geometry.groups, device=offset.device).view(-1, 1, 1)
    pixel = (image * height + line.clamp(0, height - 1)) * width + column.clamp(0, width - 1)
    return _Corners(
        rows=pixel * geometry.groups + group,
        shares=share_x * share_y * valid,
        valid=valid.to(offset.dtype),
        fraction_x=fraction_x,
        fraction_y=fraction_y,
    )


def _grad_offset(projection: Tensor, corners: _Corners, modulation: Tensor) -> Tensor:
    """Right-hand derivative of the modulated samples by position, ``(N, P, Q, G, K, 2)``."""
    top_left, top_right, bottom_left, bottom_right = projection.unbind(-1)
    along_x = torch.lerp(top_right - top_left, bottom_right - bottom_left, corners.fraction_y)
    along_y = torch.lerp(bottom_left - top_left, bottom_right - top_right, corners.fraction_x)
    return torch.stack((along_x, along_y), dim=-1) * modulation.unsqueeze(-1)
