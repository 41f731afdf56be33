# SPDX-License-Identifier: MIT
"""Multi-scale deformable attention on GPUs through Triton: no compile step at installation, any width.

The gradient of ``value`` is added atomically, so its last bits change from run to run; the dispatcher sends
the backward to the reference where deterministic algorithms are asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from intern25.ops.deform_attn.reference import SpatialShapes, accumulation_dtype
from intern25.ops.triton import status

__all__ = ["backward", "forward", "refuses", "status"]

TILE = 1024
"""Elements of one program's tile, rows times channels."""
MAX_DEPTH = 4096
"""Most channels a head that one program holds."""
MAX_ROWS = 2**31 - TILE
"""Most rows (queries times heads): they are counted in 32 bits, addresses in 64."""


def refuses(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> str | None:
    """Why these validated tensors cannot be run, or None."""
    depth = value.shape[3]
    if depth > MAX_DEPTH:
        return f"{depth} channels a head are more than {MAX_DEPTH}"
    rows = attention_weights.shape[:3].numel()
    if rows > MAX_ROWS:
        return f"{rows} queries times heads are more than {MAX_ROWS}"
    return None


def forward(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Output, contiguous."""
    batch, _, heads, depth = value.shape
    output = value.new_empty((batch, sampling_locations.shape[1], heads * depth))
    if output.numel() > 0:
        from intern25.ops.deform_attn.gpu_kernels import forward_kernel

        _launch(forward_kernel, (value,), spatial_shapes, (sampling_locations, attention_weights), (output,))
    return output


def backward(
    grad: Tensor,
    value: Tensor,
    spatial_shapes: SpatialShapes,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``value``, ``sampling_locations`` and ``attention_weights``, contiguous."""
    grad_value = torch.zeros(value.shape, dtype=accumulation_dtype(value.dtype), device=value.device)
    grad_locations = sampling_locations.new_empty(sampling_locations.shape)
    grad_weights = attention_weights.new_empty(attention_weights.shape)
    if grad.numel() > 0:
        from intern25.ops.deform_attn.gpu_kernels import backward_kernel

        _launch(
            backward_kernel,
            (grad.contiguous(), value),
            spatial_shapes,
            (sampling_locations, attention_weights),
            (grad_value, grad_locations, grad_weights),
        )
    return grad_value.to(value.dtype), grad_locations, grad_weights


def _launch(
    kernel: Any,
    maps: tuple[Tensor, ...],
    spatial_shapes: SpatialShapes,
    sampling: tuple[Tensor, Tensor],
    results: tuple[Tensor, ...],
) -> None:
    """Start one program for every block of rows; the last of ``maps`` is ``value``."""
    import triton
    import triton.language as tl

    value = maps[-1].contiguous()
    locations, weights = (tensor.contiguous() for tensor in sampling)
    queries, heads, levels, points = weights.shape[1:]
    padded_depth = triton.next_power_of_2(value.shape[3])
    block = max(1, TILE // padded_depth)
    rows = weights.shape[:3].numel()
    sizes = torch.tensor(spatial_shapes, dtype=torch.int32).to(value.device, non_blocking=True)
    with torch.cuda.device_of(value):
        kernel[(triton.cdiv(rows, block),)](
            *maps[:-1], value, sizes, locations, weights, *results,
            rows, queries, value.shape[1],
            heads, value.shape[3], padded_depth, levels, points,
            tl.float64 if value.dtype == torch.float64 else tl.float32, block,
        )  # fmt: skip
