# SPDX-License-Identifier: MIT
"""Sine embeddings of positions: of the cells of a padded map, and of points or boxes."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_position_embedding(
    mask: Tensor,
    channels: int,
    *,
    temperature: float = 10000.0,
    scale: float = 2 * math.pi,
    eps: float = 1e-6,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    r"""Sine embedding of the cells of a map, counted inside the un-padded area and normalised to ``scale``.

    .. math:: e_{2i}(y) = \sin(y / T^{2i/C}), \quad e_{2i+1}(y) = \cos(y / T^{2i/C}), \quad
        y = \mathrm{scale} \cdot \mathrm{row} / \mathrm{rows}

    Convention:
        - rows and columns count from 1 to the number of un-padded ones.
        - the first half of the output is of y, the second of x.

    Args:
        mask: ``(N, H, W)`` bool, True where padded.
        channels: Channels of one coordinate, even.
        temperature: ``T``; 20 in DINO, 10000 in Mask2Former.
        scale: Value of the last un-padded row or column.
        eps: Added to the number of rows.
        dtype: Type of computation and result.

    Returns:
        ``(N, 2 * channels, H, W)``.

    Raises:
        ValueError: ``channels`` is odd.

    Source:
        DETR, arXiv:2005.12872; DAB-DETR, arXiv:2201.12329 (temperature).
    """
    valid = ~mask
    y = valid.cumsum(dim=1, dtype=dtype)
    x = valid.cumsum(dim=2, dtype=dtype)
    y = y / (y[:, -1:, :] + eps) * scale
    x = x / (x[:, :, -1:] + eps) * scale
    embedding = torch.cat((_sine(y, channels, temperature), _sine(x, channels, temperature)), dim=-1)
    return embedding.permute(0, 3, 1, 2)


def sine_box_embedding(boxes: Tensor, channels: int = 128, *, temperature: float = 10000.0) -> Tensor:
    """Sine embedding of points or boxes in [0, 1], in the order y, x(, width, height).

    Args:
        boxes: ``(..., 2)`` x, y or ``(..., 4)`` centre x, centre y, width, height.
        channels: Channels of one number, even.
        temperature: Ratio of the longest to the shortest wave.

    Returns:
        ``(..., 2 * channels)`` or ``(..., 4 * channels)``.

    Raises:
        ValueError: ``channels`` is odd, or the last axis is neither 2 nor 4.

    Source:
        DAB-DETR, arXiv:2201.12329, section 4.2.
    """
    if boxes.shape[-1] not in (2, 4):
        raise ValueError(f"expected (..., 2) points or (..., 4) boxes, got {tuple(boxes.shape)}")
    order = (1, 0, 2, 3)[: boxes.shape[-1]]
    angles = boxes * (2 * math.pi)
    return torch.cat([_sine(angles[..., index], channels, temperature) for index in order], dim=-1)


def _sine(angles: Tensor, channels: int, temperature: float) -> Tensor:
    """``(...)`` to ``(..., channels)``: sine and cosine in turns, of falling frequency."""
    if channels % 2:
        raise ValueError(f"channels={channels} must be even: one sine and one cosine a frequency")
    exponent = torch.arange(0, channels, 2, dtype=angles.dtype, device=angles.device) / channels
    angles = angles[..., None] / temperature**exponent
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
