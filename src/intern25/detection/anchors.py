# SPDX-License-Identifier: MIT
"""Anchors: the boxes that proposals are measured from, a few shapes around every cell of every level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PADDING_STEP = 32
"""Pictures are padded to a multiple of this; anchors on padding beyond it belong to no picture."""


def base_anchors(stride: int, scales: Sequence[float], ratios: Sequence[float]) -> Tensor:
    r"""Anchors of the cell at the origin: area :math:`(stride \cdot scale)^2`, height over width = ratio.

    Convention: centred on ``(0, 0)``, the corner of the picture, without a shift by half a cell; all scales
    of the first ratio first.

    Returns:
        ``(len(ratios) * len(scales), 4)``, left, top, right, bottom, float32.

    Example:
        >>> base_anchors(4, [8.0], [1.0])
        tensor([[-16., -16.,  16.,  16.]])
    """
    root = torch.tensor(list(ratios), dtype=torch.float32).sqrt()[:, None]
    side = stride * torch.tensor(list(scales), dtype=torch.float32)[None]
    half_width, half_height = (side / root / 2).flatten(), (side * root / 2).flatten()
    return torch.stack((-half_width, -half_height, half_width, half_height), dim=1)


def grid_anchors(base: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Repeat ``base`` at every cell of a map of ``size`` (height, width).

    Returns:
        ``(height * width * len(base), 4)``: rows, then columns, then shapes; type and device of ``base``.
    """
    rows = torch.arange(size[0], device=base.device, dtype=base.dtype) * stride
    columns = torch.arange(size[1], device=base.device, dtype=base.dtype) * stride
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    shifts = torch.stack((x, y, x, y), dim=-1)
    return (shifts[:, :, None] + base).reshape(-1, 4)


def valid_anchors(
    size: tuple[int, int], stride: int, shapes: int, image_size: tuple[int, int], *, device: torch.device
) -> Tensor:
    """Mark the anchors whose cell lies on the picture or on its padding to a multiple of 32.

    A batch pads small pictures further, and the cells there must not change what is learnt from the picture.

    Args:
        size: Height and width of the map.
        stride: Stride of the map.
        shapes: Anchors a cell.
        image_size: Height and width of the picture without padding.
        device: Where the result lives.

    Returns:
        ``(height * width * shapes,)`` bool in the order of :func:`grid_anchors`.
    """
    cells = [-(-_padded(side) // stride) for side in image_size]
    valid = torch.zeros(size, dtype=torch.bool, device=device)
    valid[: cells[0], : cells[1]] = True
    return valid.flatten().repeat_interleave(shapes)


def _padded(side: int) -> int:
    return -(-side // PADDING_STEP) * PADDING_STEP


def inside_anchors(anchors: Tensor, image_size: tuple[int, int], border: int | None) -> Tensor:
    """Mark the ``(K, 4)`` anchors at most ``border`` pixels outside the picture; all for None."""
    if border is None:
        return torch.ones(len(anchors), dtype=torch.bool, device=anchors.device)
    height, width = image_size
    left, top, right, bottom = anchors.unbind(dim=1)
    return (left >= -border) & (top >= -border) & (right < width + border) & (bottom < height + border)
