# SPDX-License-Identifier: MIT
"""Pixel decoder: deformable attention over 1/32, 1/16 and 1/8, then one step up to 1/4.

That of Mask2Former, and what the proposals of the generalist are read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from intern25.layers.convolution import ConvNormReLU, PointwiseConv2d, resize
from intern25.layers.deformable_encoder import (
    DeformableEncoder,
    SpatialShapes,
    encoder_reference_points,
)
from intern25.layers.sine_embedding import sine_position_embedding

LEVELS = 3
"""Levels that attend to each other and that the queries look at."""


class PixelDecoder(nn.Module):
    """Maps of the backbone to three levels for the queries and one map for the masks.

    Args:
        in_channels: Channels of the backbone's four maps, finest first.
        channels: Width of everything behind them; a multiple of 32 and of ``heads``.
        heads: Attention heads.
        points: Sampling points per head and level.
        feedforward: Hidden width of the feed-forward parts.
        layers: Layers of deformable attention.

    Raises:
        ValueError: There are not four maps.

    Source:
        Mask2Former, arXiv:2112.01527, section 3.2.1; its encoder: Deformable DETR, arXiv:2010.04159.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        heads: int,
        points: int,
        feedforward: int,
        layers: int,
    ) -> None:
        super().__init__()
        if len(in_channels) != LEVELS + 1:
            raise ValueError(f"the pixel decoder needs four maps, the backbone gives {len(in_channels)}")
        self.projections = nn.ModuleList(
            ConvNormReLU(width, channels, norm="GN", bias=True, relu=False)
            for width in reversed(in_channels[1:])
        )
        self.level_embedding = nn.Embedding(LEVELS, channels)
        self.encoder = DeformableEncoder(
            channels,
            heads=heads,
            levels=LEVELS,
            points=points,
            feedforward=feedforward,
            layers=layers,
        )
        self.lateral = ConvNormReLU(in_channels[0], channels, norm="GN", relu=False)
        self.output = ConvNormReLU(channels, channels, 3, norm="GN")
        self.mask_features = PointwiseConv2d(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier's and Kaiming's uniform initialisation, as the official head."""
        for projection in self.projections:
            nn.init.xavier_uniform_(cast(ConvNormReLU, projection).conv.weight)
        for conv in (self.lateral.conv, self.output.conv, self.mask_features):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        assert self.mask_features.bias is not None, "built with a bias"
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decode.

        Args:
            features: Maps at 1/4, 1/8, 1/16 and 1/32.

        Returns:
            Mask features ``(N, C, H/4, W/4)``, and the levels at 1/32, 1/16 and 1/8 with C channels.
        """
        tokens, shapes = self.encode(features)
        levels = unflatten_levels(tokens, shapes)
        return self.refine(features[0], levels[-1]), levels

    def encode(self, features: Sequence[Tensor]) -> tuple[Tensor, SpatialShapes]:
        """Let the cells of the three coarser maps attend to each other.

        Returns:
            Cells ``(N, S, C)`` of 1/32, 1/16 and 1/8, one level after another, and (height, width) of each.
        """
        projected = [
            projection(level)
            for projection, level in zip(self.projections, reversed(features[1:]), strict=True)
        ]
        shapes = tuple((level.shape[-2], level.shape[-1]) for level in projected)
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in projected], dim=1)
        position = torch.cat(
            [
                flat_position(level) + embedding
                for level, embedding in zip(projected, self.level_embedding.weight, strict=True)
            ],
            dim=1,
        )
        whole = position.new_ones((1, LEVELS, 2))  # no padding
        return self.encoder(tokens, position, shapes, encoder_reference_points(shapes, whole)), shapes

    def refine(self, finest: Tensor, encoded: Tensor) -> Tensor:
        """Mask features ``(N, C, H/4, W/4)`` of the backbone's map at 1/4 and the encoded level at 1/8."""
        lateral = self.lateral(finest)
        merged = self.output(lateral + resize(encoded, (lateral.shape[-2], lateral.shape[-1])))
        return cast(Tensor, self.mask_features(merged))


def unflatten_levels(tokens: Tensor, shapes: SpatialShapes) -> list[Tensor]:
    """Maps ``(N, C, h, w)`` of the cells ``(N, S, C)`` of all levels."""
    parts = tokens.split([height * width for height, width in shapes], dim=1)
    return [part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]


def flat_position(level: Tensor) -> Tensor:
    """Sine embedding ``(1, h * w, C)`` of the cells of a map ``(N, C, h, w)`` without padding."""
    _, channels, height, width = level.shape
    mask = torch.zeros((1, height, width), dtype=torch.bool, device=level.device)
    dtype = torch.promote_types(level.dtype, torch.float32)
    embedding = sine_position_embedding(mask, channels // 2, dtype=dtype)
    return embedding.flatten(2).transpose(1, 2).to(level.dtype)
