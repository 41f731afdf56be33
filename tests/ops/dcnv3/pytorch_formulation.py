# SPDX-License-Identifier: MIT
"""DCNv3 as one writes it in PyTorch: a ``grid_sample`` that keeps all sampled maps, on a padded input.

It does the work of the authors' fallback (softmax, pad, normalise, ``grid_sample``, modulate, sum) and is
the baseline of the benchmarks. It shares no code with the package.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.ops.dcnv3.geometry import Geometry


def dcnv3_pytorch(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Same arguments and result as ``intern25.ops.dcnv3`` with this geometry."""
    batch, out_height, out_width, _ = offset.shape
    groups, points = geometry.groups, geometry.num_points
    pad_h, pad_w = geometry.padding
    if geometry.softmax:
        mask = mask.view(*mask.shape[:3], groups, points).softmax(-1).flatten(3)
    padded = F.pad(x, (0, 0, pad_w, pad_w, pad_h, pad_h))
    height, width = padded.shape[1:3]
    locations = _regular_grid(geometry, out_height, out_width, x.dtype).to(x.device)
    locations = (
        locations + offset.view(batch, out_height, out_width, groups, points, 2) * geometry.offset_scale
    )
    size = torch.tensor([width, height], dtype=x.dtype, device=x.device)
    grid = (2 * locations + 1) / size - 1
    grid = grid.transpose(2, 3).transpose(1, 2).reshape(batch * groups, out_height * out_width, points, 2)
    maps = padded.view(batch, height * width, -1).transpose(1, 2).reshape(batch * groups, -1, height, width)
    sampled = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    weights = mask.view(batch, out_height * out_width, groups, points).transpose(1, 2)
    weights = weights.reshape(batch * groups, 1, out_height * out_width, points)
    output = (sampled * weights).sum(-1).view(batch, x.shape[3], out_height * out_width)
    return output.transpose(1, 2).reshape(batch, out_height, out_width, x.shape[3]).contiguous()


def _regular_grid(geometry: Geometry, out_height: int, out_width: int, dtype: torch.dtype) -> Tensor:
    """Positions without offsets in the padded input, ``(1, H_out, W_out, 1, K, 2)`` as (x, y)."""
    (kernel_h, kernel_w), (dilation_h, dilation_w) = geometry.kernel_size, geometry.dilation
    centre = torch.tensor([dilation_w * (kernel_w - 1) // 2, dilation_h * (kernel_h - 1) // 2], dtype=dtype)
    ys = torch.arange(out_height, dtype=dtype) * geometry.stride[0]
    xs = torch.arange(out_width, dtype=dtype) * geometry.stride[1]
    start = torch.stack((xs.expand(out_height, -1), ys[:, None].expand(-1, out_width)), -1) + centre
    steps = torch.cartesian_prod(
        torch.arange(kernel_w, dtype=dtype) * dilation_w, torch.arange(kernel_h, dtype=dtype) * dilation_h
    )
    steps = steps.view(-1, 2)
    if geometry.remove_center:
        keep = torch.arange(len(steps)) != len(steps) // 2
        steps = steps[keep]
    grid = start[:, :, None, :] + (steps - centre) * geometry.offset_scale
    return grid[None, :, :, None]
