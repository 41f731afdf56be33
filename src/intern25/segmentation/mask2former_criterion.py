# SPDX-License-Identifier: MIT
"""Training objective of Mask2Former: queries matched to segments, masks compared at sampled points."""

# Q queries, K segments of a picture, P points

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.layers.losses import dice_loss
from intern25.layers.matching import hungarian, mask_costs
from intern25.layers.point_sampling import sample_points, uncertain_points
from intern25.segmentation.config import Mask2FormerConfig
from intern25.segmentation.mask2former_decoder import QueryPredictions
from intern25.segmentation.mask2former_targets import SegmentTarget

Match = tuple[Tensor, Tensor]
"""Indices of queries and of the segments they answer for."""


class Mask2FormerCriterion(nn.Module):
    """Losses of the predictions of every layer.

    Args:
        config: Weights of the terms and numbers of points.

    Source:
        Mask2Former, arXiv:2112.01527, section 3.3.
    """

    def __init__(self, config: Mask2FormerConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, predictions: Sequence[QueryPredictions], targets: Sequence[SegmentTarget]
    ) -> dict[str, Tensor]:
        """Weighted losses by name.

        Args:
            predictions: Of every layer, the last layer's last.
            targets: Segments of every picture.

        Returns:
            ``loss_class``, ``loss_mask``, ``loss_dice``, and for the predictions before layer ``i`` the
            same with ``_layer{i}``.
        """
        num_masks = _mean_over_processes(
            predictions[-1].mask_logits.new_tensor(float(sum(len(target.labels) for target in targets)))
        ).clamp(min=1.0)
        losses: dict[str, Tensor] = {}
        for index, prediction in enumerate(predictions):
            suffix = "" if index == len(predictions) - 1 else f"_layer{index}"
            full = QueryPredictions(*(_at_least_float32(tensor) for tensor in prediction))
            for name, loss in self.layer_losses(full, targets, num_masks).items():
                losses[f"{name}{suffix}"] = loss
        return losses

    def layer_losses(
        self, prediction: QueryPredictions, targets: Sequence[SegmentTarget], num_masks: Tensor
    ) -> dict[str, Tensor]:
        """Losses of one layer's predictions; ``num_masks`` divides the mask terms."""
        matches = [
            self.match(class_logits, mask_logits, target)
            for class_logits, mask_logits, target in zip(*prediction, targets, strict=True)
        ]
        return {
            "loss_class": self._class_loss(prediction.class_logits, targets, matches),
            **self._mask_losses(prediction.mask_logits, targets, matches, num_masks),
        }

    @torch.no_grad()
    def match(self, class_logits: Tensor, mask_logits: Tensor, target: SegmentTarget) -> Match:
        """Match the queries of one picture with its segments, one to one.

        Args:
            class_logits: ``(Q, num_classes + 1)``.
            mask_logits: ``(Q, h, w)``.
            target: K segments.

        Returns:
            Indices of queries and segments, both ``(min(Q, K),)``.
        """
        points = mask_logits.new_empty((1, self.config.loss_points, 2)).uniform_()
        with torch.autocast(mask_logits.device.type, enabled=False):
            found = sample_points(mask_logits, points)
            wanted = sample_points(target.masks.to(found.dtype), points)
            return hungarian(self.costs(class_logits, found, target.labels, wanted))

    def costs(self, class_logits: Tensor, found: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
        """Cost of every pair.

        Args:
            class_logits: ``(Q, num_classes + 1)``.
            found: ``(Q, P)`` mask logits at the points.
            labels: ``(K,)``.
            wanted: ``(K, P)`` masks at the same points.

        Returns:
            ``(Q, K)``.
        """
        config = self.config
        class_cost = -class_logits.softmax(dim=-1)[:, labels]
        mask_cost, dice_cost = mask_costs(found, wanted)
        return (
            config.class_weight * class_cost + config.mask_weight * mask_cost + config.dice_weight * dice_cost
        )

    def _class_loss(self, logits: Tensor, targets: Sequence[SegmentTarget], matches: list[Match]) -> Tensor:
        """Cross entropy of all queries; unmatched ones are "no object", which counts less."""
        no_object = self.config.num_classes
        labels = torch.full(logits.shape[:2], no_object, dtype=torch.int64, device=logits.device)
        for row, target, (queries, segments) in zip(labels, targets, matches, strict=True):
            row[queries] = target.labels[segments]
        weights = logits.new_ones(no_object + 1)
        weights[no_object] = self.config.no_object_weight
        # The weighted mean divides by the weights of the labels, as the official head does.
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), weights)
        return self.config.class_weight * loss

    def _mask_losses(
        self,
        mask_logits: Tensor,
        targets: Sequence[SegmentTarget],
        matches: list[Match],
        num_masks: Tensor,
    ) -> dict[str, Tensor]:
        """Binary cross entropy and dice of the matched masks at uncertain points."""
        config = self.config
        logits = torch.cat([rows[queries] for rows, (queries, _) in zip(mask_logits, matches, strict=True)])
        if not len(logits):
            nothing = mask_logits.sum() * 0.0  # keeps every parameter in the graph
            return {"loss_mask": nothing, "loss_dice": nothing}
        points = uncertain_points(
            logits.detach(),
            config.loss_points,
            oversample_ratio=config.oversample_ratio,
            importance_ratio=config.importance_ratio,
        )
        wanted = _sample_targets(targets, matches, points)
        with torch.autocast(logits.device.type, enabled=False):
            found = sample_points(logits, points)
            entropy = F.binary_cross_entropy_with_logits(found, wanted, reduction="none").mean(1).sum()
            dice = dice_loss(found, wanted, eps=1.0, avg_factor=num_masks)
        return {
            "loss_mask": config.mask_weight * entropy / num_masks,
            "loss_dice": config.dice_weight * dice,
        }


@torch.no_grad()
def _sample_targets(targets: Sequence[SegmentTarget], matches: list[Match], points: Tensor) -> Tensor:
    """Matched masks at the points, ``(masks, P)``; picture by picture, for pictures may differ in size."""
    parts = []
    rows = iter(points.split([len(queries) for queries, _ in matches]))
    for target, (_, segments), own in zip(targets, matches, rows, strict=True):
        if len(own):
            parts.append(sample_points(target.masks[segments].to(points.dtype), own))
    return torch.cat(parts)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _mean_over_processes(x: Tensor) -> Tensor:
    """Mean of a number over the processes of a distributed run."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    x = x / distributed.get_world_size()
    distributed.all_reduce(x)
    return x
