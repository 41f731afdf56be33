# SPDX-License-Identifier: MIT
"""Where things are in a picture: one system of coordinates for boxes and for the cells of maps."""

# N batch, K boxes, h w cells of a map

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from intern25.layers.sine_embedding import sine_box_embedding

SHORTEST_WAVE = 1 / 8
"""Shortest wave of the encoding in longer sides of the picture."""
WAVE_RATIO = 32.0
"""Longest over shortest wave: the longest spans a picture four times."""


def in_longer_sides(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Shares of the picture to units of its longer side, so that a square stays a square.

    Args:
        boxes: ``(..., 4)`` centre x, centre y, width, height as shares of the picture.
        size: (height, width) of the picture or of any map that covers it.

    Returns:
        ``(..., 4)``.
    """
    height, width = size
    longer = max(height, width)
    return boxes * boxes.new_tensor((width / longer, height / longer)).repeat(2)


def cell_boxes(size: Sequence[int], like: Tensor) -> Tensor:
    """Cells of a map of ``size`` (height, width), row by row, as boxes in shares of the picture.

    Returns:
        ``(h * w, 4)`` centre x, centre y, width, height, in the type and place of ``like``.
    """
    height, width = size
    y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height
    x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    sides = (torch.full_like(grid_x, 1 / width), torch.full_like(grid_y, 1 / height))
    return torch.stack((grid_x, grid_y, *sides), dim=-1).flatten(0, 1)


class PlaceEncoding(nn.Module):
    r"""Sine encoding of a box and a linear layer, :math:`W \sin(b) + c`; a cell is a box of its own size.

    Args:
        width: Channels of the result.
        channels: Sines and cosines of each of the four numbers, even.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.1.
    """

    def __init__(self, width: int, *, channels: int = 32) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(4 * channels, width)

    def forward(self, boxes: Tensor, size: Sequence[int]) -> Tensor:
        """``(..., 4)`` boxes in shares of a picture of ``size`` (height, width) to ``(..., width)``."""
        # Half types would blur neighbouring places.
        precise = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
        places = in_longer_sides(precise, size) / SHORTEST_WAVE
        waves = sine_box_embedding(places, self.channels, temperature=WAVE_RATIO)
        return cast(Tensor, self.linear(waves.to(self.linear.weight.dtype)))
