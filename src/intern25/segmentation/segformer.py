# SPDX-License-Identifier: MIT
"""SegFormer's head: every level projected by one linear layer, enlarged to 1/4 and mixed by another."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from intern25.layers.convolution import ConvNormReLU
from intern25.segmentation.config import IGNORE, SegFormerConfig
from intern25.segmentation.fcn import PixelClassifier
from intern25.segmentation.losses import semantic_losses
from intern25.segmentation.segmenter import Segmenter, check_labels


class SegFormerHead(nn.Module):
    """1x1 convolutions on each level, 1x1 convolution over all of them, classifier.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        config: Width of the head.
    """

    def __init__(self, in_channels: list[int], config: SegFormerConfig) -> None:
        super().__init__()
        channels = config.channels
        self.projections = nn.ModuleList(ConvNormReLU(width, channels) for width in in_channels)
        self.fusion = ConvNormReLU(len(in_channels) * channels, channels)
        self.classifier = PixelClassifier(channels, config.num_classes, config.dropout)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Maps at 1/4 ... 1/32 to scores ``(N, num_classes, H/4, W/4)``."""
        levels = [projection(level) for projection, level in zip(self.projections, features, strict=True)]
        height, width = levels[0].shape[-2:]
        return cast(Tensor, self.classifier(self.fusion.over_levels(levels, (height, width))))


class SegFormer(Segmenter):
    """SegFormer's head on InternImage or on another backbone.

    Args:
        config: Architecture, such as ``SEGFORMER_L``.
        backbone: Another backbone than the config's: any module that returns a list of NCHW maps and has
            ``feature_info``.

    Example:
        >>> import torch
        >>> from intern25.backbones import INTERNIMAGE_NANO
        >>> model = SegFormer(SegFormerConfig(backbone=INTERNIMAGE_NANO, num_classes=19, channels=64)).eval()
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 19, 64, 64])

    Source:
        SegFormer, arXiv:2105.15203.
    """

    config: SegFormerConfig

    def __init__(self, config: SegFormerConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__(config.backbone, backbone)
        self.config = config
        self.decode_head = SegFormerHead(self.feature_channels, config)

    def scores(self, images: Tensor) -> Tensor:
        """Score of each class at 1/4 of the images' size, ``(N, num_classes, H/4, W/4)``."""
        return cast(Tensor, self.decode_head(self.features(images)))

    def losses(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross entropy, and dice where the config gives it a weight."""
        check_labels(targets, images, self.num_classes, IGNORE)
        return semantic_losses(
            self.scores(images),
            targets,
            class_weights=self.config.class_weights,
            dice_weight=self.config.dice_weight,
        )
