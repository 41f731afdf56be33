# SPDX-License-Identifier: MIT
"""DCNv3 on GPUs through Triton: no compile step at installation, any geometry, any channels a group.

The gradient of ``x`` is added atomically, so its last bits change from run to run; the dispatcher sends the
backward to the reference where deterministic algorithms are asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from intern25.ops.dcnv3.geometry import Geometry
from intern25.ops.dcnv3.layout import in_rows
from intern25.ops.triton import status

__all__ = ["backward", "forward", "refuses", "status"]

TILE = 1024
"""Elements of one program's tile, rows times channels."""
MAX_DEPTH = 4096
"""Most channels a group that one program holds."""
MAX_ROWS = 2**31 - TILE
"""Most rows (output pixels times groups): they are counted in 32 bits, addresses in 64."""


def refuses(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> str | None:
    """Why these validated tensors cannot be run, or None."""
    depth = x.shape[3] // geometry.groups
    if depth > MAX_DEPTH:
        return f"{depth} channels a group are more than {MAX_DEPTH}"
    rows = offset.shape[0] * offset.shape[1] * offset.shape[2] * geometry.groups
    if rows > MAX_ROWS:
        return f"{rows} output pixels times groups are more than {MAX_ROWS}"
    return None


def forward(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Output, contiguous."""
    x = x.contiguous()
    output = x.new_empty((*offset.shape[:3], x.shape[3]))
    if output.numel() > 0:
        from intern25.ops.dcnv3.gpu_kernels import forward_kernel

        _launch(forward_kernel, (x,), offset, mask, (output,), geometry)
    return output


def backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``x``, ``offset`` and ``mask``, contiguous."""
    grad, x = grad.contiguous(), x.contiguous()
    half = x.dtype in (torch.bfloat16, torch.float16)
    grad_x = torch.zeros_like(x, dtype=torch.float32 if half else x.dtype)
    grad_offset = torch.empty(offset.shape, dtype=offset.dtype, device=offset.device)
    grad_mask = torch.empty(mask.shape, dtype=mask.dtype, device=mask.device)
    if grad.numel() > 0:
        from intern25.ops.dcnv3.gpu_kernels import backward_kernel

        gradients = (grad_x, grad_offset, grad_mask)
        _launch(backward_kernel, (grad, x), offset, mask, gradients, geometry)
    return grad_x.to(x.dtype), grad_offset, grad_mask


def _launch(
    kernel: Any,
    maps: tuple[Tensor, ...],
    offset: Tensor,
    mask: Tensor,
    results: tuple[Tensor, ...],
    geometry: Geometry,
) -> None:
    """Start one program for every block of rows; the last of ``maps`` is ``x``."""
    import triton
    import triton.language as tl

    x = maps[-1]
    offset, offset_stride = in_rows(offset)
    mask, mask_stride = in_rows(mask)
    batch, height, width, channels = x.shape
    _, out_height, out_width, _ = offset.shape
    depth = channels // geometry.groups
    padded_depth = triton.next_power_of_2(depth)
    block = max(1, TILE // padded_depth)
    points = geometry.num_points
    rows = batch * out_height * out_width * geometry.groups
    with torch.cuda.device_of(x):
        kernel[(triton.cdiv(rows, block),)](
            *maps, offset, mask, *results,
            offset_stride, mask_stride, rows, height, width, out_height, out_width,
            geometry.groups, depth, padded_depth, points, triton.next_power_of_2(points),
            *geometry.kernel_size, *geometry.stride, *geometry.padding, *geometry.dilation,
            float(geometry.offset_scale), geometry.remove_center, geometry.softmax,
            tl.float64 if x.dtype == torch.float64 else tl.float32, block,
        )  # fmt: skip
