# SPDX-License-Identifier: MIT
"""Pixel decoder of Mask2Former: deformable attention over 1/32, 1/16 and 1/8, then one step up to 1/4."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from intern25.layers.deformable_encoder import DeformableEncoder, encoder_reference_points
from intern25.layers.sine_embedding import sine_position_embedding
from intern25.segmentation.config import Mask2FormerConfig
from intern25.segmentation.convolution import ConvNormReLU, PointwiseConv2d, resize

LEVELS = 3
"""Levels that attend to each other and that the queries look at."""


class PixelDecoder(nn.Module):
    """Maps of the backbone to three levels for the queries and one map for the masks.

    Args:
        in_channels: Channels of the backbone's four maps, finest first.
        config: Widths and depths.

    Source:
        Mask2Former, arXiv:2112.01527, section 3.2.1; its encoder: Deformable DETR, arXiv:2010.04159.
    """

    def __init__(self, in_channels: list[int], config: Mask2FormerConfig) -> None:
        super().__init__()
        channels = config.channels
        if len(in_channels) != LEVELS + 1:
            raise ValueError(f"Mask2Former needs four maps, the backbone gives {len(in_channels)}")
        self.projections = nn.ModuleList(
            ConvNormReLU(width, channels, norm="GN", bias=True, relu=False)
            for width in reversed(in_channels[1:])
        )
        self.level_embedding = nn.Embedding(LEVELS, channels)
        self.encoder = DeformableEncoder(
            channels,
            heads=config.heads,
            levels=LEVELS,
            points=config.points,
            feedforward=config.encoder_feedforward,
            layers=config.encoder_layers,
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

    def forward(self, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decode.

        Args:
            features: Maps at 1/4, 1/8, 1/16 and 1/32.

        Returns:
            Mask features ``(N, C, H/4, W/4)``, and the levels at 1/32, 1/16 and 1/8 with C channels.
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
        tokens = self.encoder(tokens, position, shapes, encoder_reference_points(shapes, whole))
        parts = tokens.split([height * width for height, width in shapes], dim=1)
        levels = [part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]
        lateral = self.lateral(features[0])
        finest = self.output(lateral + resize(levels[-1], (lateral.shape[-2], lateral.shape[-1])))
        return self.mask_features(finest), levels


def flat_position(level: Tensor) -> Tensor:
    """Sine embedding ``(1, h * w, C)`` of the cells of a map ``(N, C, h, w)`` without padding."""
    _, channels, height, width = level.shape
    mask = torch.zeros((1, height, width), dtype=torch.bool, device=level.device)
    dtype = torch.promote_types(level.dtype, torch.float32)
    embedding = sine_position_embedding(mask, channels // 2, dtype=dtype)
    return embedding.flatten(2).transpose(1, 2).to(level.dtype)
