# SPDX-License-Identifier: MIT
"""Neck of DINO: every map of the backbone to one width, and coarser maps beyond the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from intern25.detection.dino_config import NORM_GROUPS


class ConvNorm(nn.Module):
    """Convolution without bias and group normalisation."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.GroupNorm(NORM_GROUPS, out_channels)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        return cast(Tensor, self.norm(self.conv(x)))


class ChannelMapper(nn.Module):
    """1x1 convolutions to one width; strided 3x3 convolutions make the levels the backbone lacks.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        channels: Channels of every level.
        levels: Number of levels, at least the number of maps.

    Raises:
        ValueError: There are more maps than levels, or none.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, levels: int) -> None:
        super().__init__()
        if not 1 <= len(in_channels) <= levels:
            raise ValueError(
                f"the backbone returns {len(in_channels)} maps but the neck has {levels} levels; "
                "choose fewer with the backbone's out_indices or raise levels"
            )
        self.convs = nn.ModuleList(ConvNorm(width, channels, 1) for width in in_channels)
        widths = [in_channels[-1], *[channels] * levels][: levels - len(in_channels)]
        self.extra_convs = nn.ModuleList(ConvNorm(width, channels, 3, stride=2) for width in widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the backbone, finest first, to ``levels`` maps of ``channels`` channels."""
        levels = [conv(x) for conv, x in zip(self.convs, maps, strict=True)]
        x = maps[-1]
        for conv in self.extra_convs:
            x = conv(x)
            levels.append(x)
        return levels
