# SPDX-License-Identifier: MIT
"""Mask2Former: one set of queries for semantic, instance and panoptic segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from intern25.layers.pixel_decoder import PixelDecoder
from intern25.segmentation.config import IGNORE, Mask2FormerConfig
from intern25.segmentation.mask2former_criterion import Mask2FormerCriterion
from intern25.segmentation.mask2former_decoder import MaskedDecoder, QueryPredictions
from intern25.segmentation.mask2former_targets import (
    Segments,
    SegmentTarget,
    check_segments,
    semantic_targets,
)
from intern25.segmentation.segmenter import Segmenter, check_labels


class Mask2Former(Segmenter):
    """Mask2Former on InternImage or on another backbone with four maps.

    Convention:
        - the scores of :meth:`forward` are class probability times mask probability summed over the queries:
          not logits, yet the official code takes their softmax again, and so does
          :func:`intern25.segmentation.inference.segment`.
        - ``instances`` and ``panoptic`` of :mod:`intern25.segmentation.panoptic` read objects from the same
          queries.

    Args:
        config: Architecture, such as ``MASK2FORMER_H_ADE20K``.
        backbone: Another backbone than the config's: any module that returns a list of NCHW maps and has
            ``feature_info``.

    Example:
        >>> from intern25.backbones import INTERNIMAGE_NANO
        >>> config = Mask2FormerConfig(
        ...     backbone=INTERNIMAGE_NANO, num_classes=19, channels=64, num_queries=20, heads=4,
        ...     encoder_feedforward=128, decoder_feedforward=128, encoder_layers=1, decoder_layers=3,
        ... )
        >>> Mask2Former(config).eval()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 19, 64, 64])

    Source:
        Mask2Former, arXiv:2112.01527.
    """  # fmt: skip

    config: Mask2FormerConfig

    def __init__(self, config: Mask2FormerConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__(config.backbone, backbone)
        self.config = config
        self.pixel_decoder = PixelDecoder(
            self.feature_channels,
            config.channels,
            heads=config.heads,
            points=config.points,
            feedforward=config.encoder_feedforward,
            layers=config.encoder_layers,
        )
        self.decoder = MaskedDecoder(config)
        self.criterion = Mask2FormerCriterion(config)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks and encoder layers in the backward pass instead of keeping their activations."""
        super().set_grad_checkpointing(enable)
        self.pixel_decoder.encoder.grad_checkpointing = enable

    def predict_queries(self, images: Tensor) -> QueryPredictions:
        """Classes and masks of the queries after the last layer.

        Args:
            images: Normalised ``(N, 3, H, W)``.

        Returns:
            ``class_logits (N, Q, num_classes + 1)``, the last one "no object", and
            ``mask_logits (N, Q, H/4, W/4)``.
        """
        mask_features, levels = self.pixel_decoder(self.features(images))
        return cast(QueryPredictions, self.decoder(mask_features, levels)[-1])

    def scores(self, images: Tensor) -> Tensor:
        """Class probability times mask probability, summed over queries, ``(N, num_classes, H/4, W/4)``."""
        class_logits, mask_logits = self.predict_queries(images)
        classes = class_logits.softmax(dim=-1)[..., :-1]
        height, width = mask_logits.shape[-2:]
        scores = torch.bmm(classes.transpose(1, 2), mask_logits.sigmoid().flatten(2))
        return scores.view(*scores.shape[:2], height, width)

    def losses(self, images: Tensor, targets: Tensor | Sequence[Segments]) -> dict[str, Tensor]:
        """Losses of every layer's predictions.

        Args:
            images: Normalised ``(N, 3, H, W)``.
            targets: ``(N, H, W)`` class numbers, each class of a picture becoming one segment; or one object
                a picture with ``labels (K,)`` and ``masks (K, H, W)``, for instances and panoptic segments.

        Returns:
            ``loss_class``, ``loss_mask`` and ``loss_dice`` of the last layer, and the same names with
            ``_layer{i}`` for the predictions before layer ``i``.
        """
        segments: list[SegmentTarget]
        if isinstance(targets, Tensor):
            check_labels(targets, images, self.num_classes, IGNORE)
            segments = semantic_targets(targets)
        else:
            segments = check_segments(targets, images, self.num_classes)
        mask_features, levels = self.pixel_decoder(self.features(images))
        predictions = self.decoder(mask_features, levels, every_layer=True)
        return cast(dict[str, Tensor], self.criterion(predictions, segments))
