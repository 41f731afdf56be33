# SPDX-License-Identifier: MIT
"""Cascade Mask R-CNN: each stage decides about the boxes that the stage before it made better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from intern25.detection.rcnn_config import RCNNConfig
from intern25.detection.roi_heads import BoxHead, MaskHead, of_pictures
from intern25.detection.roi_training import SampledRegions, box_losses, mask_loss, sample_regions
from intern25.detection.targets import DetectionTarget
from intern25.detection.two_stage import Decisions, Losses, Size, TwoStageDetector, mask_of_class


class CascadeMaskRCNN(TwoStageDetector):
    """Cascade Mask R-CNN on InternImage or any backbone that returns NCHW maps and has ``feature_info``.

    Scores are the softmax of the mean of the stages' logits, boxes come from the last stage, masks are the
    mean of the stages' probabilities.

    Convention:
        - boxes are (left, top, right, bottom); targets in input pixels, results in original pixels.
        - sizes are (height, width); padding stands at the right and at the bottom.

    Args:
        config: Architecture, such as ``CASCADE_L``.
        backbone: Another backbone in place of ``config.backbone``.

    Source:
        Cascade R-CNN, arXiv:1906.09756.
    """

    def __init__(self, config: RCNNConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__(config, backbone=backbone)
        stages = range(len(config.stage_ious))
        self.box_head = nn.ModuleList(BoxHead(config, stage) for stage in stages)
        self.mask_head = nn.ModuleList(MaskHead(config) for _ in stages) if config.with_mask else None

    def _final_box_head(self) -> BoxHead:
        return cast(BoxHead, self.box_head[-1])

    def _decide(
        self, pyramid: Sequence[Tensor], proposals: list[Tensor], image_sizes: Sequence[Size]
    ) -> Decisions:
        regions, total = proposals, torch.zeros(())
        for stage, head in enumerate(self.box_head):
            features = self.region_features(pyramid, regions, self.config.box_roi_size)
            logits, codes = head(features)
            total = logits if stage == 0 else total + logits
            if stage < len(self.box_head) - 1:
                labels = logits[:, :-1].argmax(dim=1)
                regions = _refine(cast(BoxHead, head), regions, labels, codes, image_sizes)
        return regions, total / len(self.box_head), codes

    def _masks(self, pyramid: Sequence[Tensor], boxes: list[Tensor], labels: Tensor) -> Tensor:
        assert self.mask_head is not None, "masks are asked for only where there are mask heads"
        features = self.region_features(pyramid, boxes, self.config.mask_roi_size)
        return torch.stack([mask_of_class(head(features), labels) for head in self.mask_head]).mean(dim=0)

    def _region_losses(
        self,
        pyramid: Sequence[Tensor],
        proposals: list[Tensor],
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
    ) -> Losses:
        losses: Losses = {}
        for stage, weight in enumerate(self.config.stage_weights):
            samples = [
                sample_regions(*pair, self.config, stage) for pair in zip(proposals, targets, strict=True)
            ]
            own, proposals = self._stage_losses(stage, pyramid, samples, image_sizes, targets)
            losses.update({f"stage{stage}.{name}": weight * loss for name, loss in own.items()})
        return losses

    def _stage_losses(
        self,
        stage: int,
        pyramid: Sequence[Tensor],
        samples: Sequence[SampledRegions],
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
    ) -> tuple[Losses, list[Tensor]]:
        """Losses of one stage, and the proposals of the next one."""
        config, head = self.config, cast(BoxHead, self.box_head[stage])
        regions = [chosen.boxes for chosen in samples]
        logits, codes = head(self.region_features(pyramid, regions, config.box_roi_size))
        losses = box_losses(head, logits, codes, samples, targets, config)
        if self.mask_head is not None:
            positive = [chosen.boxes[: chosen.positives] for chosen in samples]
            features = self.region_features(pyramid, positive, config.mask_roi_size)
            losses["loss_mask"] = mask_loss(self.mask_head[stage](features), samples, targets)
        labels = torch.cat([chosen.labels for chosen in samples])
        with torch.no_grad():
            labels = torch.where(labels < self.num_classes, labels, logits[:, :-1].argmax(dim=1))
            refined = _refine(head, regions, labels, codes, image_sizes)
        # The objects' own boxes join every stage anew.
        return losses, [boxes[~chosen.are_objects] for boxes, chosen in zip(refined, samples, strict=True)]


def _refine(
    head: BoxHead, regions: Sequence[Tensor], labels: Tensor, codes: Tensor, image_sizes: Sequence[Size]
) -> list[Tensor]:
    """Regions of every picture, moved by the codes of their class."""
    parts = zip(regions, of_pictures(labels, regions), of_pictures(codes, regions), image_sizes, strict=True)
    return [head.refine(*part) for part in parts]
