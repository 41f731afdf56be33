# SPDX-License-Identifier: MIT
"""Triton kernels of DCNv3; importing this file needs triton, so only ``gpu.py`` does, at the first launch.

One program computes ``BLOCK`` rows of ``D`` channels; a row is one output pixel of one group. Rows count
as they lie in the channels-last output, so that neighbouring programs read and write neighbouring memory.
"""

# ruff: noqa: PLR0913 - a kernel takes all it needs as arguments
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
import triton
import triton.language as tl


@triton.jit
def _row_pointers(offset_ptr, mask_ptr, offset_stride, mask_stride, row, G: tl.constexpr, K: tl.constexpr):
    """Pointers to the offsets and the modulation of every row."""
    pixel = (row // G).to(tl.int64)
    group = row % G
    return offset_ptr + pixel * offset_stride + group * (2 * K), mask_ptr + pixel * mask_stride + group * K


@triton.jit
def _softmax_terms(mask_row, in_range, K: tl.constexpr, K_PADDED: tl.constexpr, ACC: tl.constexpr):
    """Maximum and inverse sum of the exponentials of every row's logits."""
    point = tl.arange(0, K_PADDED)
    keep = in_range[:, None] & (point < K)[None, :]
    logits = tl.load(mask_row[:, None] + point[None, :], mask=keep, other=0.0).to(ACC)
    logits = tl.where((point < K)[None, :], logits, float("-inf"))
    largest = tl.max(logits, axis=1)
    return largest, 1.0 / tl.sum(tl.exp(logits - largest[:, None]), axis=1)


@triton.jit
def _position(
    offset_row, in_range, k, out_x, out_y, height, width,
    KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
    PAD_H: tl.constexpr, PAD_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    SCALE: tl.constexpr, REMOVE_CENTER: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Upper left pixel, distances to it, and whether the sampling point of every row lies inside."""
    cell = k
    if REMOVE_CENTER:
        cell = k + (k >= (KERNEL_H * KERNEL_W) // 2)
    step_x = (cell // KERNEL_H) * DILATION_W
    step_y = (cell % KERNEL_H) * DILATION_H
    centre_x: tl.constexpr = (DILATION_W * (KERNEL_W - 1)) // 2
    centre_y: tl.constexpr = (DILATION_H * (KERNEL_H - 1)) // 2
    shift_x = tl.load(offset_row + 2 * k, mask=in_range, other=0.0).to(ACC)
    shift_y = tl.load(offset_row + 2 * k + 1, mask=in_range, other=0.0).to(ACC)
    start_x = (out_x * STRIDE_W).to(ACC) + (centre_x - PAD_W - centre_x * SCALE)
    start_y = (out_y * STRIDE_H).to(ACC) + (centre_y - PAD_H - centre_y * SCALE)
    x = start_x + (step_x + shift_x) * SCALE
    y = start_y + (step_y + shift_y) * SCALE
    inside = in_range & (x > -1) & (x < width) & (y > -1) & (y < height)
    x = tl.where(inside, x, 0.0)
    y = tl.where(inside, y, 0.0)
    left = tl.floor(x)
    top = tl.floor(y)
    return left.to(tl.int32), top.to(tl.int32), x - left, y - top, inside


@triton.jit
def forward_kernel(
    x_ptr, offset_ptr, mask_ptr, out_ptr,
    offset_stride, mask_stride, rows, height, width, out_height, out_width,
    G: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, K: tl.constexpr, K_PADDED: tl.constexpr,
    KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
    PAD_H: tl.constexpr, PAD_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    SCALE: tl.constexpr, REMOVE_CENTER: tl.constexpr, SOFTMAX: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sample, modulate and sum ``BLOCK`` rows."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    in_range = row < rows
    channel = tl.arange(0, D_PADDED)
    has_channel = (channel < D)[None, :]
    offset_row, mask_row = _row_pointers(offset_ptr, mask_ptr, offset_stride, mask_stride, row, G, K)
    pixel = row // G
    out_x = pixel % out_width
    out_y = (pixel // out_width) % out_height
    image = (pixel // (out_width * out_height)).to(tl.int64)
    image_ptr = x_ptr + (image * height * width * (G * D) + (row % G) * D)[:, None] + channel[None, :]
    if SOFTMAX:
        largest, inverse_sum = _softmax_terms(mask_row, in_range, K, K_PADDED, ACC)
    total = tl.zeros((BLOCK, D_PADDED), ACC)
    for k in range(K):
        left, top, fraction_x, fraction_y, inside = _position(
            offset_row, in_range, k, out_x, out_y, height, width, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
            PAD_H, PAD_W, DILATION_H, DILATION_W, SCALE, REMOVE_CENTER, ACC,
        )  # fmt: skip
        weight = tl.load(mask_row + k, mask=in_range, other=0.0).to(ACC)
        if SOFTMAX:
            weight = tl.exp(weight - largest) * inverse_sum
        for corner in tl.static_range(4):
            column = left + corner % 2
            line = top + corner // 2
            share_x = fraction_x if corner % 2 == 1 else 1.0 - fraction_x
            share_y = fraction_y if corner // 2 == 1 else 1.0 - fraction_y
            valid = inside & (column >= 0) & (column < width) & (line >= 0) & (line < height)
            place = (line.to(tl.int64) * width + column) * (G * D)
            value = tl.load(image_ptr + place[:, None], mask=valid[:, None] & has_channel, other=0.0).to(ACC)
            total += value * (weight * share_x * share_y)[:, None]
    out = out_ptr + (row.to(tl.int64) * D)[:, None] + channel[None, :]
    tl.store(out, total.to(out_ptr.dtype.element_ty), mask=in_range[:, None] & has_channel)


@triton.jit
def backward_kernel(
    grad_ptr, x_ptr, offset_ptr, mask_ptr, grad_x_ptr, grad_offset_ptr, grad_mask_ptr,
    offset_stride, mask_stride, rows, height, width, out_height, out_width,
    G: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, K: tl.constexpr, K_PADDED: tl.constexpr,
    KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
    PAD_H: tl.constexpr, PAD_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    SCALE: tl.constexpr, REMOVE_CENTER: tl.constexpr, SOFTMAX: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of ``BLOCK`` rows; that of ``x`` is added atomically, the others are the program's own."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    in_range = row < rows
    channel = tl.arange(0, D_PADDED)
    point = tl.arange(0, K_PADDED)
    has_channel = (channel < D)[None, :]
    wide_row = row.to(tl.int64)
    offset_row, mask_row = _row_pointers(offset_ptr, mask_ptr, offset_stride, mask_stride, row, G, K)
    pixel = row // G
    out_x = pixel % out_width
    out_y = (pixel // out_width) % out_height
    image = (pixel // (out_width * out_height)).to(tl.int64)
    image_start = (image * height * width * (G * D) + (row % G) * D)[:, None] + channel[None, :]
    grad = tl.load(
        grad_ptr + (wide_row * D)[:, None] + channel[None, :], mask=in_range[:, None] & has_channel, other=0.0
    ).to(ACC)
    if SOFTMAX:
        largest, inverse_sum = _softmax_terms(mask_row, in_range, K, K_PADDED, ACC)
    grad_mask = tl.zeros((BLOCK, K_PADDED), ACC)
    mean = tl.zeros((BLOCK,), ACC)
    for k in range(K):
        left, top, fraction_x, fraction_y, inside = _position(
            offset_row, in_range, k, out_x, out_y, height, width, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
            PAD_H, PAD_W, DILATION_H, DILATION_W, SCALE, REMOVE_CENTER, ACC,
        )  # fmt: skip
        weight = tl.load(mask_row + k, mask=in_range, other=0.0).to(ACC)
        if SOFTMAX:
            weight = tl.exp(weight - largest) * inverse_sum
        along_x = tl.zeros((BLOCK,), ACC)
        along_y = tl.zeros((BLOCK,), ACC)
        sample = tl.zeros((BLOCK,), ACC)
        for corner in tl.static_range(4):
            column = left + corner % 2
            line = top + corner // 2
            share_x = fraction_x if corner % 2 == 1 else 1.0 - fraction_x
            share_y = fraction_y if corner // 2 == 1 else 1.0 - fraction_y
            valid = inside & (column >= 0) & (column < width) & (line >= 0) & (line < height)
            keep = valid[:, None] & has_channel
            place = image_start + ((line.to(tl.int64) * width + column) * (G * D))[:, None]
            value = tl.load(x_ptr + place, mask=keep, other=0.0).to(ACC)
            projection = tl.sum(value * grad, axis=1)
            sample += projection * (share_x * share_y)
            along_x += projection * (share_y if corner % 2 == 1 else -share_y)
            along_y += projection * (share_x if corner // 2 == 1 else -share_x)
            tl.atomic_add(
                grad_x_ptr + place, grad * (weight * share_x * share_y)[:, None], mask=keep, sem="relaxed"
            )
        target = grad_offset_ptr + wide_row * (2 * K) + 2 * k
        kind = grad_offset_ptr.dtype.element_ty
        tl.store(target, (along_x * weight * SCALE).to(kind), mask=in_range)
        tl.store(target + 1, (along_y * weight * SCALE).to(kind), mask=in_range)
        grad_mask = tl.where((point == k)[None, :], sample[:, None], grad_mask)
        mean += sample * weight
    if SOFTMAX:
        keep_point = in_range[:, None] & (point < K)[None, :]
        logits = tl.load(mask_row[:, None] + point[None, :], mask=keep_point, other=0.0).to(ACC)
        weights = tl.exp(logits - largest[:, None]) * inverse_sum[:, None]
        grad_mask = weights * (grad_mask - mean[:, None])
    tl.store(
        grad_mask_ptr + (wide_row * K)[:, None] + point[None, :],
        grad_mask.to(grad_mask_ptr.dtype.element_ty),
        mask=in_range[:, None] & (point < K)[None, :],
    )
