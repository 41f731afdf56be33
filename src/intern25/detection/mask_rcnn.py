# SPDX-License-Identifier: MIT
"""Mask R-CNN: proposals, one decision about each of them, and a mask for every detection."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from intern25.detection.rcnn_config import RCNNConfig
from intern25.detection.roi_heads import BoxHead, MaskHead
from intern25.detection.roi_training import box_losses, mask_loss, sample_regions
from intern25.detection.targets import DetectionTarget
from intern25.detection.two_stage import Decisions, Losses, Size, TwoStageDetector, mask_of_class


class MaskRCNN(TwoStageDetector):
    """Mask R-CNN on InternImage or any backbone that returns NCHW maps and has ``feature_info``.

    Convention:
        - boxes are (left, top, right, bottom); targets in input pixels, results in original pixels.
        - sizes are (height, width); padding stands at the right and at the bottom.

    Args:
        config: Architecture, such as ``MASK_RCNN_T``.
        backbone: Another backbone in place of ``config.backbone``.

    Example:
        >>> import torch
        >>> from intern25.detection.rcnn_config import MASK_RCNN_NANO
        >>> model = MaskRCNN(MASK_RCNN_NANO).eval()
        >>> (found,) = model(torch.zeros(1, 3, 96, 128), image_sizes=[(90, 120)], original_sizes=[(180, 240)])
        >>> found.size
        (180, 240)

    Source:
        Mask R-CNN, arXiv:1703.06870.
    """

    def __init__(self, config: RCNNConfig, *, backbone: nn.Module | None = None) -> None:
        if len(config.stage_ious) != 1:
            raise ValueError(f"Mask R-CNN has one stage, got {len(config.stage_ious)}: use CascadeMaskRCNN")
        super().__init__(config, backbone=backbone)
        self.box_head = BoxHead(config)
        self.mask_head = MaskHead(config) if config.with_mask else None

    def _final_box_head(self) -> BoxHead:
        return self.box_head

    def _decide(
        self, pyramid: Sequence[Tensor], proposals: list[Tensor], image_sizes: Sequence[Size]
    ) -> Decisions:
        features = self.region_features(pyramid, proposals, self.config.box_roi_size)
        return proposals, *self.box_head(features)

    def _masks(self, pyramid: Sequence[Tensor], boxes: list[Tensor], labels: Tensor) -> Tensor:
        assert self.mask_head is not None, "masks are asked for only where there is a mask head"
        features = self.region_features(pyramid, boxes, self.config.mask_roi_size)
        return mask_of_class(self.mask_head(features), labels)

    def _region_losses(
        self,
        pyramid: Sequence[Tensor],
        proposals: list[Tensor],
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
    ) -> Losses:
        config = self.config
        samples = [sample_regions(*pair, config) for pair in zip(proposals, targets, strict=True)]
        features = self.region_features(pyramid, [chosen.boxes for chosen in samples], config.box_roi_size)
        logits, codes = self.box_head(features)
        losses = box_losses(self.box_head, logits, codes, samples, targets, config)
        if self.mask_head is not None:
            positive = [chosen.boxes[: chosen.positives] for chosen in samples]
            features = self.region_features(pyramid, positive, config.mask_roi_size)
            losses["loss_mask"] = mask_loss(self.mask_head(features), samples, targets)
        return losses
