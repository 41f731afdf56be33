# SPDX-License-Identifier: MIT
"""Multi-scale deformable attention on the CPU: packs one call for the native library.

Sums run in float32 for bfloat16 values. The backward pass uses no atomics and gives the same bits for any
number of threads.
"""

from __future__ import annotations

import ctypes
import struct

import torch
from torch import Tensor

from intern25.ops import native
from intern25.ops.backends import Refusal
from intern25.ops.deform_attn.reference import SpatialShapes
from intern25.ops.native import status

__all__ = ["backward", "forward", "refuses", "status"]

_TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
_CALL = struct.Struct("=9q9Q")
"""``DeformAttnCall`` of native/deform_attn.h."""
_LONGEST_SIDE = 2**24
"""Positions on a map are counted in float32 and must tell its pixels apart."""
_MOST_PIXELS = 2**31 - 1


def refuses(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> str | None:
    """Why the kernel cannot take these tensors, or None if it can."""
    devices = [tensor.device.type for tensor in (value, sampling_locations, attention_weights)]
    if devices != ["cpu"] * 3:
        return f"it runs cpu tensors, got {', '.join(devices)}"
    if value.dtype not in _TYPES:
        return f"it supports float32, bfloat16 and float64, got value of {value.dtype}"
    wanted = torch.float64 if value.dtype == torch.float64 else torch.float32
    if sampling_locations.dtype != wanted or attention_weights.dtype != wanted:
        types = f"sampling_locations of {sampling_locations.dtype} and weights of {attention_weights.dtype}"
        return f"it does not combine value of {value.dtype} with {types}"
    for height, width in spatial_shapes:
        if max(height, width) > _LONGEST_SIDE or height * width > _MOST_PIXELS:
            return f"it supports levels of up to 2**31 - 1 pixels and 2**24 a side, got {height}x{width}"
    if not hasattr(native.library(), "intern25_deform_attn_forward"):
        return (
            "the native library was built before this operator existed; "
            "build it again: `python setup.py build_ext --inplace`"
        )
    return None


def forward(
    value: Tensor, spatial_shapes: SpatialShapes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Output of the operator; arguments as in ``intern25.ops.deform_attn``."""
    batch, _, heads, depth = value.shape
    output = value.new_empty((batch, sampling_locations.shape[1], heads * depth))
    pointers = (output.data_ptr(), 0, 0, 0, 0)
    _run(
        "intern25_deform_attn_forward", value, spatial_shapes, sampling_locations, attention_weights, pointers
    )
    return output


def backward(
    grad: Tensor,
    value: Tensor,
    spatial_shapes: SpatialShapes,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``value``, ``sampling_locations`` and ``attention_weights`` from that of the output."""
    grad = grad.contiguous()
    tensors = (value, sampling_locations, attention_weights)
    gradients = (
        value.new_empty(value.shape),
        sampling_locations.new_empty(sampling_locations.shape),
        attention_weights.new_empty(attention_weights.shape),
    )
    pointers = (0, grad.data_ptr(), *(tensor.data_ptr() for tensor in gradients))
    _run("intern25_deform_attn_backward", tensors[0], spatial_shapes, *tensors[1:], pointers)
    return gradients


def _run(
    function: str,
    value: Tensor,
    spatial_shapes: SpatialShapes,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    pointers: tuple[int, ...],
) -> None:
    library = native.library()
    if isinstance(library, Refusal):
        raise RuntimeError(library.reason)
    value = value.contiguous()
    sampling_locations = sampling_locations.contiguous()
    attention_weights = attention_weights.contiguous()
    sides = [side for pair in spatial_shapes for side in pair]
    sizes = (ctypes.c_int64 * len(sides))(*sides)
    call = _CALL.pack(
        *value.shape[:2],
        sampling_locations.shape[1],
        *value.shape[2:],
        len(spatial_shapes),
        attention_weights.shape[4],
        _TYPES[value.dtype],
        torch.get_num_threads(),
        ctypes.addressof(sizes),
        value.data_ptr(),
        sampling_locations.data_ptr(),
        attention_weights.data_ptr(),
        *pointers,
    )
    failed = getattr(library, function)(call)
    if failed:
        error = MemoryError("deform_attn: out of memory")
        raise error if failed == 1 else RuntimeError(f"deform_attn: error {failed}")
