# SPDX-License-Identifier: MIT
"""A whole picture as tokens of the unified decoder: a few pooled vectors, and the cells of a map."""

# N batch, h w cells of a map, M pooled vectors

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from intern25.generalist.places import PlaceEncoding, cell_boxes
from intern25.layers.attention import ResidualAttention
from intern25.layers.convolution import PointwiseConv2d, resize

HEAD_CHANNELS = 32
"""Channels of one attention head."""


class AttentionPool(nn.Module):
    r"""Vectors pooled by attention from the mean, :math:`N(\bar x + \mathrm{MHA}(\bar x + p_m, x + e, x))`.

    Each vector asks with a learned position ``p_m`` of its own; ``e`` are the places of the cells.

    Args:
        width: Channels.
        heads: Attention heads; must divide ``width``.
        pooled: Vectors ``M``.

    Source:
        CLIP, arXiv:2103.00020, section 2.4; several vectors: Uni-Perceiver v2, arXiv:2211.09808.
    """

    def __init__(self, width: int, heads: int, pooled: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(pooled, width))
        self.attention = ResidualAttention(width, heads)
        nn.init.normal_(self.queries)  # far enough apart to ask for different things from the start

    def forward(self, cells: Tensor, places: Tensor) -> Tensor:
        """``(N, h * w, width)`` cells and ``(h * w, width)`` places to ``(N, M, width)``."""
        mean = cells.mean(dim=1, keepdim=True).expand(-1, len(self.queries), -1)
        return cast(Tensor, self.attention(mean, self.queries, cells, places))


class GlobalTokens(nn.Module):
    r"""Pooled vectors of the last stage beside the cells of a stage.

    .. math:: f_{global} = [\mathrm{AttnPool}_1(C_5), ..., \mathrm{AttnPool}_M(C_5), \mathrm{Flatten}(C)]

    ``C`` is the last stage (1/32), or for small pictures the one before (1/16) with the last one added from
    above, as in a feature pyramid.

    Args:
        in_channels: Channels of the backbone's four maps, finest first.
        width: Channels of the tokens; a multiple of 32.
        pooled: Pooled vectors ``M``.
        stage: 3 for the cells at 1/32, 2 for those at 1/16.

    Raises:
        ValueError: ``width`` is no multiple of 32, or ``stage`` is neither 2 nor 3.

    Example:
        >>> tokens = GlobalTokens([8, 16, 32, 64], 64, pooled=4, stage=2)
        >>> maps = [torch.zeros(1, 8 * 2**i, 32 // 2**i, 40 // 2**i) for i in range(4)]
        >>> tokens(maps).shape  # 4 + 8 * 10
        torch.Size([1, 84, 64])

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.1; Feature Pyramid Networks, arXiv:1612.03144.
    """

    def __init__(self, in_channels: Sequence[int], width: int, *, pooled: int, stage: int) -> None:
        super().__init__()
        if width % HEAD_CHANNELS:
            raise ValueError(f"width={width} must be a multiple of {HEAD_CHANNELS}, one attention head")
        if stage not in (2, 3):
            raise ValueError(f"stage={stage} must be 2 (1/16) or 3 (1/32)")
        self.stage = stage
        self.last = PointwiseConv2d(in_channels[3], width)
        self.lateral = PointwiseConv2d(in_channels[2], width) if stage == 2 else None
        self.place = PlaceEncoding(width)
        self.pool = AttentionPool(width, width // HEAD_CHANNELS, pooled)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Four maps ``(N, C_i, h_i, w_i)`` to tokens ``(N, M + h * w, width)``, pooled vectors first."""
        last = self.last(maps[3])
        cells, places = flatten_cells(last), self._places(last)
        pooled = self.pool(cells, places)
        if self.lateral is not None:
            finer = self.lateral(maps[2])
            merged = finer + resize(last, (finer.shape[-2], finer.shape[-1]))
            cells, places = flatten_cells(merged), self._places(merged)
        return torch.cat((pooled, cells + places), dim=1)

    def _places(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        return cast(Tensor, self.place(cell_boxes(size, x), size))


def flatten_cells(x: Tensor) -> Tensor:
    """``(N, C, h, w)`` to ``(N, h * w, C)``."""
    return x.flatten(2).transpose(1, 2)
