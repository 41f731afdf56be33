# SPDX-License-Identifier: MIT
"""DCNv3 on the CPU: packs one call for the native library; float32, bfloat16 and float64.

Sums run in float32 for bfloat16 tensors. The backward pass uses no atomics and gives the same bits for any
number of threads.
"""

from __future__ import annotations

import struct

import torch
from torch import Tensor

from intern25.ops import native
from intern25.ops.backends import Refusal
from intern25.ops.dcnv3.geometry import Geometry
from intern25.ops.dcnv3.layout import in_rows
from intern25.ops.native import status

__all__ = ["backward", "forward", "refuses", "status"]

_TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
_SAMPLING_TYPES = {
    torch.float32: (torch.float32,),
    torch.float64: (torch.float64,),
    torch.bfloat16: (torch.bfloat16, torch.float32),  # float32 under autocast
}
_CALL = struct.Struct("=22qd8Q")
"""``Dcnv3Call`` of native/dcnv3.h."""
_MOST_PIXELS = 2**31 - 1


def refuses(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> str | None:
    """Why the kernel cannot take these tensors, or None if it can."""
    if x.device.type != "cpu" or offset.device.type != "cpu" or mask.device.type != "cpu":
        return f"it runs cpu tensors, got x on {x.device}, offset on {offset.device}, mask on {mask.device}"
    sampling_types = _SAMPLING_TYPES.get(x.dtype)
    if sampling_types is None:
        return f"it supports float32, bfloat16 and float64, got x of {x.dtype}"
    if offset.dtype not in sampling_types or mask.dtype != offset.dtype:
        return f"it does not combine x of {x.dtype} with offset of {offset.dtype} and mask of {mask.dtype}"
    if x.shape[1] * x.shape[2] > _MOST_PIXELS:
        return f"it supports images of up to 2**31 - 1 pixels, got {x.shape[1]}x{x.shape[2]}"
    return None


def forward(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Output of the operator, shaped (N, Ho, Wo, C).

    Args:
        x: (N, H, W, C), C = groups * channels of a group.
        offset: (N, Ho, Wo, groups * K * 2), (x, y) pairs.
        mask: (N, Ho, Wo, groups * K).
        geometry: Everything else.
    """
    output = x.new_empty((x.shape[0], offset.shape[1], offset.shape[2], x.shape[3]))
    _run("intern25_dcnv3_forward", x, offset, mask, geometry, (output.data_ptr(), 0, 0, 0, 0))
    return output


def backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``x``, ``offset`` and ``mask`` from that of the output, (N, Ho, Wo, C)."""
    grad = grad.contiguous()
    gradients = (x.new_empty(x.shape), offset.new_empty(offset.shape), mask.new_empty(mask.shape))
    pointers = (0, grad.data_ptr(), *(tensor.data_ptr() for tensor in gradients))
    _run("intern25_dcnv3_backward", x, offset, mask, geometry, pointers)
    return gradients


def _run(
    function: str, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry, pointers: tuple[int, ...]
) -> None:
    library = native.library()
    if isinstance(library, Refusal):
        raise RuntimeError(library.reason)
    x = x.contiguous()
    offset, offset_stride = in_rows(offset)
    mask, mask_stride = in_rows(mask)
    batch, height, width, channels = x.shape
    call = _CALL.pack(
        batch,
        height,
        width,
        offset.shape[1],
        offset.shape[2],
        geometry.groups,
        channels // geometry.groups,
        *geometry.kernel_size,
        *geometry.stride,
        *geometry.padding,
        *geometry.dilation,
        geometry.remove_center,
        geometry.softmax,
        offset_stride,
        mask_stride,
        _TYPES[x.dtype],
        _TYPES[offset.dtype],
        torch.get_num_threads(),
        geometry.offset_scale,
        x.data_ptr(),
        offset.data_ptr(),
        mask.data_ptr(),
        *pointers,
    )
    failed = getattr(library, function)(call)
    if failed:
        raise MemoryError("dcnv3: out of memory") if failed == 1 else RuntimeError(f"dcnv3: error {failed}")
