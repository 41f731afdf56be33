# SPDX-License-Identifier: MIT
"""How kernels read offsets and masks: rows at equal distances, as a slice of one projection has them."""

from __future__ import annotations

from torch import Tensor


def in_rows(tensor: Tensor) -> tuple[Tensor, int]:
    """``(N, H, W, channels)`` and the elements from pixel to pixel; a copy only if these are not equal."""
    stride = _row_stride(tensor)
    return (tensor, stride) if stride is not None else (tensor.contiguous(), tensor.shape[3])


def _row_stride(tensor: Tensor) -> int | None:
    """Elements from pixel to pixel, None if not equal; the strides of axes of length 1 mean nothing."""
    shape = tensor.shape
    if tensor.is_contiguous():
        return shape[3]
    strides = tensor.stride()
    if strides[3] != 1:
        return None
    row_stride, pixels = shape[3], 1
    for axis in (2, 1, 0):
        if shape[axis] == 1:
            continue
        if pixels == 1:
            row_stride = strides[axis]
        elif strides[axis] != row_stride * pixels:
            return None
        pixels *= shape[axis]
    return row_stride
