# SPDX-License-Identifier: MIT
"""Triton kernels of multi-scale deformable attention; only ``gpu.py`` imports this file, at the first launch.

One program computes ``BLOCK`` rows of ``D`` channels; a row is one head of one query. Rows count as they lie
in the output, so that neighbouring programs read and write neighbouring memory.
"""

# ruff: noqa: PLR0913 - a kernel takes all it needs as arguments
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
import triton
import triton.language as tl


@triton.jit
def _position(location_ptr, in_range, height, width, ACC: tl.constexpr):
    """Upper left pixel, distances to it, and whether the sampling point of every row lies inside."""
    x = tl.load(location_ptr, mask=in_range, other=0.0).to(ACC) * width - 0.5
    y = tl.load(location_ptr + 1, mask=in_range, other=0.0).to(ACC) * height - 0.5
    inside = in_range & (x > -1) & (x < width) & (y > -1) & (y < height)
    x = tl.where(inside, x, 0.0)
    y = tl.where(inside, y, 0.0)
    left = tl.floor(x)
    top = tl.floor(y)
    return left.to(tl.int32), top.to(tl.int32), x - left, y - top, inside


@triton.jit
def forward_kernel(
    value_ptr, sizes_ptr, locations_ptr, weights_ptr, out_ptr,
    rows, queries, tokens,
    HEADS: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sample, weigh and sum ``BLOCK`` rows."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    in_range = row < rows
    channel = tl.arange(0, D_PADDED)
    has_channel = (channel < D)[None, :]
    first_tap = row.to(tl.int64) * (LEVELS * POINTS)
    image = (row // HEADS // queries).to(tl.int64)
    level_ptr = value_ptr + (image * tokens * (HEADS * D) + (row % HEADS) * D)[:, None] + channel[None, :]
    total = tl.zeros((BLOCK, D_PADDED), ACC)
    for level in range(LEVELS):
        height = tl.load(sizes_ptr + 2 * level)
        width = tl.load(sizes_ptr + 2 * level + 1)
        for point in range(POINTS):
            tap = first_tap + level * POINTS + point
            left, top, fraction_x, fraction_y, inside = _position(
                locations_ptr + 2 * tap, in_range, height, width, ACC
            )
            weight = tl.load(weights_ptr + tap, mask=in_range, other=0.0).to(ACC)
            for corner in tl.static_range(4):
                column = left + corner % 2
                line = top + corner // 2
                share_x = fraction_x if corner % 2 == 1 else 1.0 - fraction_x
                share_y = fraction_y if corner // 2 == 1 else 1.0 - fraction_y
                valid = inside & (column >= 0) & (column < width) & (line >= 0) & (line < height)
                place = (line.to(tl.int64) * width + column) * (HEADS * D)
                value = tl.load(
                    level_ptr + place[:, None], mask=valid[:, None] & has_channel, other=0.0
                ).to(ACC)  # fmt: skip
                total += value * (weight * share_x * share_y)[:, None]
        level_ptr += height.to(tl.int64) * width * (HEADS * D)
    out = out_ptr + (row.to(tl.int64) * D)[:, None] + channel[None, :]
    tl.store(out, total.to(out_ptr.dtype.element_ty), mask=in_range[:, None] & has_channel)


@triton.jit
def backward_kernel(
    grad_ptr, value_ptr, sizes_ptr, locations_ptr, weights_ptr,
    grad_value_ptr, grad_locations_ptr, grad_weights_ptr,
    rows, queries, tokens,
    HEADS: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of ``BLOCK`` rows; that of ``value`` is added atomically, the others are its own."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    in_range = row < rows
    channel = tl.arange(0, D_PADDED)
    has_channel = (channel < D)[None, :]
    wide_row = row.to(tl.int64)
    first_tap = wide_row * (LEVELS * POINTS)
    image = (row // HEADS // queries).to(tl.int64)
    level_start = (image * tokens * (HEADS * D) + (row % HEADS) * D)[:, None] + channel[None, :]
    grad = tl.load(
        grad_ptr + (wide_row * D)[:, None] + channel[None, :], mask=in_range[:, None] & has_channel, other=0.0
    ).to(ACC)
    kind = grad_locations_ptr.dtype.element_ty
    for level in range(LEVELS):
        height = tl.load(sizes_ptr + 2 * level)
        width = tl.load(sizes_ptr + 2 * level + 1)
        for point in range(POINTS):
            tap = first_tap + level * POINTS + point
            left, top, fraction_x, fraction_y, inside = _position(
                locations_ptr + 2 * tap, in_range, height, width, ACC
            )
            weight = tl.load(weights_ptr + tap, mask=in_range, other=0.0).to(ACC)
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
                place = level_start + ((line.to(tl.int64) * width + column) * (HEADS * D))[:, None]
                value = tl.load(value_ptr + place, mask=keep, other=0.0).to(ACC)
                projection = tl.sum(value * grad, axis=1)
                sample += projection * (share_x * share_y)
                along_x += projection * (share_y if corner % 2 == 1 else -share_y)
                along_y += projection * (share_x if corner // 2 == 1 else -share_x)
                tl.atomic_add(
                    grad_value_ptr + place,
                    grad * (weight * share_x * share_y)[:, None],
                    mask=keep,
                    sem="relaxed",
                )
            tl.store(grad_locations_ptr + 2 * tap, (along_x * weight * width).to(kind), mask=in_range)
            tl.store(grad_locations_ptr + 2 * tap + 1, (along_y * weight * height).to(kind), mask=in_range)
            tl.store(grad_weights_ptr + tap, sample.to(kind), mask=in_range)
        level_start += height.to(tl.int64) * width * (HEADS * D)
