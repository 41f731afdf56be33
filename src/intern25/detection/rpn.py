# SPDX-License-Identifier: MIT
"""Region proposal network: where something may be, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.detection.anchors import base_anchors, grid_anchors, inside_anchors, valid_anchors
from intern25.detection.assigning import UNUSED, MaxIoUAssigner, sample
from intern25.detection.box_coding import BoxCoder, full_precision
from intern25.detection.postprocessing import grouped_nms
from intern25.detection.rcnn_config import RCNNConfig
from intern25.detection.targets import DetectionTarget
from intern25.layers.losses import smooth_l1_loss

Size = tuple[int, int]

_INITIAL_STD = 0.01


class RPN(nn.Module):
    """Objectness and a box for every anchor of every level of a pyramid, with shared weights.

    Args:
        config: Anchors, sampling and suppression.
        strides: Stride of every level, finest first.

    Source:
        Faster R-CNN, arXiv:1506.01497, section 3.1.
    """

    def __init__(self, config: RCNNConfig, strides: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.strides = tuple(strides)
        self.shapes = len(config.anchor_scales) * len(config.anchor_ratios)
        self.conv = nn.Conv2d(config.fpn_channels, config.fpn_channels, 3, padding=1)
        self.objectness = nn.Conv2d(config.fpn_channels, self.shapes, 1)
        self.boxes = nn.Conv2d(config.fpn_channels, 4 * self.shapes, 1)
        self.coder = BoxCoder()
        self.assigner = MaxIoUAssigner(
            positive_iou=config.rpn_positive_iou,
            negative_iou=config.rpn_negative_iou,
            min_forced_iou=config.rpn_negative_iou,
            ignored_overlap=config.crowd_overlap,
        )
        for layer in (self.conv, self.objectness, self.boxes):
            nn.init.normal_(layer.weight, std=_INITIAL_STD)
            assert layer.bias is not None, "the layers of the proposal network have biases"
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return per level objectness logits ``(N, shapes, h, w)`` and box codes ``(N, 4 * shapes, h, w)``.

        They are float32 at least, because coordinates of large pictures need it.
        """
        outputs = []
        for level in pyramid:
            hidden = self.conv(level).relu()
            outputs.append((full_precision(self.objectness(hidden)), full_precision(self.boxes(hidden))))
        return outputs

    def anchors(self, outputs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """Anchors ``(h * w * shapes, 4)`` of every level.

        They are rounded to float32 whatever the maps are: which anchors tie for an object depends on it.
        """
        config = self.config
        return [
            grid_anchors(
                base_anchors(stride, config.anchor_scales, config.anchor_ratios).to(logits.device),
                (logits.shape[2], logits.shape[3]),
                stride,
            ).to(logits)
            for stride, (logits, _) in zip(self.strides, outputs, strict=True)
        ]

    @torch.no_grad()
    def propose(
        self, outputs: Sequence[tuple[Tensor, Tensor]], image_sizes: Sequence[Size], *, training: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Proposals: the best of each level, suppressed level by level, the best of the rest.

        Args:
            outputs: Result of :meth:`forward`.
            image_sizes: Height and width of every picture without padding.
            training: Use the numbers of proposals of training.

        Returns:
            Per picture boxes ``(K, 4)`` in input pixels and their objectness ``(K,)``, descending.
        """
        anchors = self.anchors(outputs)
        return [
            self._propose_one([(a[image], b[image]) for a, b in outputs], anchors, size, training=training)
            for image, size in enumerate(image_sizes)
        ]

    def _propose_one(
        self, outputs: Sequence[tuple[Tensor, Tensor]], anchors: list[Tensor], size: Size, *, training: bool
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        count = config.proposals_per_level_training if training else config.proposals_per_level
        scores, codes, references, levels = [], [], [], []
        for level, (logits, level_codes) in enumerate(outputs):
            objectness = logits.permute(1, 2, 0).flatten().sigmoid()
            best, places = objectness.topk(min(count, len(objectness)))
            scores.append(best)
            codes.append(level_codes.permute(1, 2, 0).reshape(-1, 4)[places])
            references.append(anchors[level][places])
            levels.append(torch.full_like(places, level))
        boxes = self.coder.decode(torch.cat(references), torch.cat(codes), size=size)
        flat_scores, flat_levels = torch.cat(scores), torch.cat(levels)
        real = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        if not real.all():
            boxes, flat_scores, flat_levels = boxes[real], flat_scores[real], flat_levels[real]
        kept = grouped_nms(boxes, flat_scores, flat_levels, config.proposal_nms_iou)
        kept = kept[: config.max_proposals_training if training else config.max_proposals]
        return boxes[kept], flat_scores[kept]

    def losses(
        self,
        outputs: Sequence[tuple[Tensor, Tensor]],
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
    ) -> dict[str, Tensor]:
        """Binary cross-entropy of objectness and L1 of the codes over sampled anchors of all pictures.

        Args:
            outputs: Result of :meth:`forward`.
            image_sizes: Height and width of every picture without padding.
            targets: Objects of every picture.

        Returns:
            ``loss_rpn_class`` and ``loss_rpn_box``, each divided by the number of sampled anchors.
        """
        anchors = self.anchors(outputs)
        logits = torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level, _ in outputs], dim=1)
        codes = torch.cat(
            [level.permute(0, 2, 3, 1).reshape(len(level), -1, 4) for _, level in outputs], dim=1
        )
        objectness, boxes, used = logits.new_zeros(()), logits.new_zeros(()), 0
        all_anchors = torch.cat(anchors)
        for image, (size, target) in enumerate(zip(image_sizes, targets, strict=True)):
            assigned = self._assign(outputs, all_anchors, size, target)
            positives, negatives = sample(
                assigned, self.config.rpn_samples, self.config.rpn_positive_fraction
            )
            chosen = torch.cat((positives, negatives))
            truth = (assigned[chosen] >= 0).to(logits)
            objectness = objectness + F.binary_cross_entropy_with_logits(
                logits[image, chosen], truth, reduction="sum"
            )
            wanted = self.coder.encode(all_anchors[positives], target.boxes.to(logits)[assigned[positives]])
            boxes = boxes + smooth_l1_loss(
                codes[image, positives], wanted, beta=self.config.rpn_beta, avg_factor=1.0
            )
            used += max(len(positives), 1) + max(len(negatives), 1)
        return {"loss_rpn_class": objectness / used, "loss_rpn_box": boxes / used}

    def _assign(
        self,
        outputs: Sequence[tuple[Tensor, Tensor]],
        anchors: Tensor,
        size: Size,
        target: DetectionTarget,
    ) -> Tensor:
        """Object of every anchor; anchors off the picture are unused and force no match."""
        usable = torch.cat(
            [
                valid_anchors(
                    (logits.shape[2], logits.shape[3]), stride, self.shapes, size, device=logits.device
                )
                for stride, (logits, _) in zip(self.strides, outputs, strict=True)
            ]
        )
        usable &= inside_anchors(anchors, size, self.config.anchor_border)
        assigned = torch.full((len(anchors),), UNUSED, dtype=torch.int64, device=anchors.device)
        ignored = None if target.ignored is None else target.ignored.to(anchors)
        assigned[usable] = self.assigner(anchors[usable], target.boxes.to(anchors), ignored)
        return assigned
