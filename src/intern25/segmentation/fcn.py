# SPDX-License-Identifier: MIT
"""The auxiliary head: one convolution and a classifier on a middle map (arXiv:1411.4038)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from intern25.layers.convolution import ConvNormReLU, PointwiseConv2d


class PixelClassifier(nn.Sequential):
    """Channel dropout, then a 1x1 convolution to the classes."""

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.conv = PointwiseConv2d(channels, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small normal weights, zero biases."""
        nn.init.normal_(self.conv.weight, std=0.01)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)


class FCNHead(nn.Module):
    """3x3 convolution, normalisation, ReLU, classifier.

    Args:
        in_channels: Channels of the map.
        channels: Width of the head.
        num_classes: Classes of the output.
        dropout: Probability of dropping a channel, in training.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.conv = ConvNormReLU(in_channels, channels, 3)
        self.classifier = PixelClassifier(channels, num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, h, w)`` to scores ``(N, num_classes, h, w)``."""
        return cast(Tensor, self.classifier(self.conv(x)))
