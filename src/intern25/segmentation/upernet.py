# SPDX-License-Identifier: MIT
"""UperNet: pyramid pooling on the last map, a feature pyramid, all levels fused at 1/4."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from intern25.layers.convolution import ConvNormReLU, Size, resize
from intern25.segmentation.config import IGNORE, UperNetConfig
from intern25.segmentation.fcn import FCNHead, PixelClassifier
from intern25.segmentation.losses import semantic_losses
from intern25.segmentation.segmenter import Segmenter, check_labels

AUXILIARY_STAGE = 2
"""Map the auxiliary head stands on: the last but one."""


class PyramidPooling(nn.Module):
    """Averages over grids of several sizes beside the map itself (PSPNet, arXiv:1612.01105).

    Args:
        in_channels: Channels of the map.
        channels: Width of each pooled map and of the output.
        pool_sizes: Sides of the grids.
    """

    def __init__(self, in_channels: int, channels: int, pool_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.pool_sizes = pool_sizes
        self.convs = nn.ModuleList(ConvNormReLU(in_channels, channels) for _ in pool_sizes)
        self.bottleneck = ConvNormReLU(in_channels + len(pool_sizes) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, h, w)`` to ``(N, channels, h, w)``."""
        pooled = [
            conv(F.adaptive_avg_pool2d(x, size))
            for conv, size in zip(self.convs, self.pool_sizes, strict=True)
        ]
        return self.bottleneck.over_levels([x, *pooled], _size(x))


class UperNetHead(nn.Module):
    """The decoder of UperNet.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        config: Width, pooling grids and the way the levels are fused.
    """

    def __init__(self, in_channels: list[int], config: UperNetConfig) -> None:
        super().__init__()
        channels = config.channels
        self.pyramid_pooling = PyramidPooling(in_channels[-1], channels, config.pool_sizes)
        self.laterals = nn.ModuleList(ConvNormReLU(width, channels) for width in in_channels[:-1])
        self.outputs = nn.ModuleList(ConvNormReLU(channels, channels, 3) for _ in in_channels[:-1])
        levels = len(in_channels) if config.fusion == "concat" else 1
        self.fusion = ConvNormReLU(levels * channels, channels, 3)
        self.sums_levels = config.fusion == "sum"
        self.classifier = PixelClassifier(channels, config.num_classes, config.dropout)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Maps at 1/4 ... 1/32 to scores ``(N, num_classes, H/4, W/4)``."""
        levels = [self.pyramid_pooling(features[-1])]
        top = levels[0]
        for index in reversed(range(len(self.laterals))):
            lateral = self.laterals[index](features[index])
            top = lateral + resize(top, _size(lateral))
            levels.insert(0, self.outputs[index](top))
        return cast(Tensor, self.classifier(self._fuse(levels)))

    def _fuse(self, levels: list[Tensor]) -> Tensor:
        """All levels at the finest one's size."""
        size = _size(levels[0])
        if not self.sums_levels:
            return self.fusion.over_levels(levels, size)
        fused = levels[-1]
        for level in reversed(levels[:-1]):
            fused = level + resize(fused, _size(level))
        return cast(Tensor, self.fusion(fused))


class UperNet(Segmenter):
    """UperNet on InternImage or on another backbone with four maps.

    Args:
        config: Architecture, such as ``UPERNET_T``.
        backbone: Another backbone than the config's: any module that returns a list of NCHW maps and has
            ``feature_info``.

    Example:
        >>> import torch
        >>> from intern25.segmentation.config import UPERNET_NANO
        >>> model = UperNet(UPERNET_NANO).eval()
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 150, 64, 64])

    Source:
        UperNet, arXiv:1807.10221; InternImage, arXiv:2211.05778, section 4.3.
    """

    config: UperNetConfig

    def __init__(self, config: UperNetConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__(config.backbone, backbone)
        self.config = config
        channels = self.feature_channels
        self.decode_head = UperNetHead(channels, config)
        self.auxiliary_head = (
            FCNHead(channels[AUXILIARY_STAGE], config.auxiliary_channels, config.num_classes, config.dropout)
            if config.auxiliary_channels
            else None
        )

    def scores(self, images: Tensor) -> Tensor:
        """Score of each class at 1/4 of the images' size, ``(N, num_classes, H/4, W/4)``."""
        return cast(Tensor, self.decode_head(self.features(images)))

    def losses(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross entropy (and dice) of the head, and ``loss_auxiliary_...`` of the auxiliary head."""
        check_labels(targets, images, self.num_classes, IGNORE)
        features = self.features(images)
        config = self.config
        scores = self.decode_head(features)
        weights = config.class_weights
        losses = semantic_losses(scores, targets, class_weights=weights, dice_weight=config.dice_weight)
        if self.auxiliary_head is not None:
            scores = self.auxiliary_head(features[AUXILIARY_STAGE])
            auxiliary = semantic_losses(scores, targets, class_weights=weights)
            losses["loss_auxiliary_ce"] = config.auxiliary_weight * auxiliary["loss_ce"]
        return losses


def _size(x: Tensor) -> Size:
    return x.shape[-2], x.shape[-1]
