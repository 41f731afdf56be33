# SPDX-License-Identifier: MIT
"""What is decided about a region: its class, its exact box, the pixels of its object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from intern25.detection.box_coding import BoxCoder, full_precision
from intern25.detection.rcnn_config import RCNNConfig

_CLASS_STD = 0.01
_BOX_STD = 0.001


class ConvNormAct(nn.Module):
    """3x3 convolution without bias, batch norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        _kaiming(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        return cast(Tensor, self.norm(self.conv(x))).relu()


class BoxHead(nn.Module):
    """Class logits and box codes of regions: convolutions, fully connected layers, two linear outputs.

    Args:
        config: Widths, classes.
        stage: Stage of refinement, whose deviations code the boxes.

    Source:
        Faster R-CNN, arXiv:1506.01497; with convolutions Group Normalization, arXiv:1803.08494, section 5.2.
    """

    def __init__(self, config: RCNNConfig, stage: int = 0) -> None:
        super().__init__()
        self.coder = BoxCoder(config.stage_deviations[stage])
        self.num_classes = config.num_classes
        self.convs = nn.ModuleList(ConvNormAct(config.fpn_channels) for _ in range(config.box_head_convs))
        inputs = config.fpn_channels * config.box_roi_size**2
        widths = [inputs, *[config.box_head_width] * config.box_head_fcs]
        self.fcs = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.classes = nn.Linear(config.box_head_width, config.num_classes + 1)
        self.boxes = nn.Linear(config.box_head_width, 4 if config.class_agnostic else 4 * config.num_classes)
        for layer in self.fcs:
            nn.init.xavier_uniform_(cast(nn.Linear, layer).weight)
        nn.init.normal_(self.classes.weight, std=_CLASS_STD)
        nn.init.normal_(self.boxes.weight, std=_BOX_STD)
        for layer in (*self.fcs, self.classes, self.boxes):
            nn.init.zeros_(cast(nn.Linear, layer).bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Decide about regions.

        Args:
            features: ``(K, C, S, S)``.

        Returns:
            Logits ``(K, classes + 1)``, background last, and codes ``(K, classes, 4)``, or ``(K, 1, 4)`` when
            the classes share a box; float32 at least.
        """
        x = features
        for conv in self.convs:
            x = conv(x)
        x = x.flatten(1)
        for layer in self.fcs:
            x = layer(x).relu()
        return full_precision(self.classes(x)), full_precision(self.boxes(x)).unflatten(1, (-1, 4))

    def refine(self, regions: Tensor, labels: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor:
        """Move regions by the codes of their class.

        Args:
            regions: ``(K, 4)``.
            labels: ``(K,)`` classes; without meaning when the classes share a box.
            codes: Second result of :meth:`forward`.
            size: Height and width of the picture.

        Returns:
            ``(K, 4)``, inside the picture.
        """
        return self.coder.decode(regions, codes_of(codes, labels), size=size)


class MaskHead(nn.Module):
    """Mask logits of regions, one mask a class: 3x3 convolutions, a 2x2 transposed one, a 1x1 one.

    Args:
        config: Widths, classes.

    Source:
        Mask R-CNN, arXiv:1703.06870, figure 4 right.
    """

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        width = config.mask_head_channels
        widths = [config.fpn_channels, *[width] * config.mask_head_convs]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.upsample = nn.ConvTranspose2d(widths[-1], width, 2, stride=2)
        self.logits = nn.Conv2d(width, config.num_classes, 1)
        for layer in (*self.convs, self.upsample, self.logits):
            _kaiming(cast(nn.Conv2d, layer))

    def forward(self, features: Tensor) -> Tensor:
        """``(K, C, S, S)`` features to ``(K, classes, 2S, 2S)`` logits."""
        x = features
        for conv in self.convs:
            x = conv(x).relu()
        return full_precision(self.logits(self.upsample(x).relu()))


def codes_of(codes: Tensor, labels: Tensor) -> Tensor:
    """Codes ``(K, 4)`` of the class ``labels`` from ``(K, classes, 4)`` or ``(K, 1, 4)``."""
    if codes.shape[1] == 1:
        return codes[:, 0]
    return codes[torch.arange(len(codes), device=codes.device), labels]


def of_pictures(values: Tensor, regions: Sequence[Tensor]) -> list[Tensor]:
    """Cut ``values``, one row a region, into the parts of the pictures."""
    return list(values.split([len(boxes) for boxes in regions]))


def _kaiming(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
