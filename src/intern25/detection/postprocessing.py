# SPDX-License-Identifier: MIT
"""From scored boxes to detections: suppression of duplicates, class by class, best first."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

SEPARATE_NMS_BOXES = 10_000
"""From this many boxes on, groups are suppressed one after the other instead of all in one call."""


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression inside each group (class, pyramid level) for itself.

    All groups go through one call on boxes that are shifted apart, group by group; many boxes group by group.

    Args:
        boxes: ``(K, 4)``, left, top, right, bottom.
        scores: ``(K,)``.
        groups: ``(K,)`` int64 from 0.
        iou_threshold: Boxes that overlap a better one by more are dropped.

    Returns:
        Positions of the boxes that stay, best score first.
    """
    if len(boxes) == 0:
        return groups
    if len(boxes) < SEPARATE_NMS_BOXES:
        shift = groups.to(boxes.dtype) * (boxes.max() + 1)
        return torch.as_tensor(nms(boxes + shift[:, None], scores, iou_threshold))
    members = [torch.nonzero(groups == group).flatten() for group in groups.unique()]
    kept = torch.cat([m[nms(boxes[m], scores[m], iou_threshold)] for m in members]).sort().values
    return kept[scores[kept].argsort(descending=True, stable=True)]


def select_detections(
    boxes: Tensor, probabilities: Tensor, *, score_threshold: float, nms_iou: float, max_detections: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the detections of one picture; a region may become several objects of different classes.

    Args:
        boxes: ``(K, classes, 4)``, or ``(K, 1, 4)`` when the classes share a box.
        probabilities: ``(K, classes + 1)``, background last.
        score_threshold: Only higher probabilities count.
        nms_iou: Overlap from which the worse of two boxes of one class is dropped.
        max_detections: Most detections that are kept.

    Returns:
        Boxes ``(D, 4)``, scores ``(D,)`` descending and labels ``(D,)`` int64.
    """
    scores = probabilities[:, :-1]
    rows, labels = torch.nonzero(scores > score_threshold, as_tuple=True)
    columns = labels if boxes.shape[1] > 1 else torch.zeros_like(labels)
    chosen, chosen_scores = boxes[rows, columns], scores[rows, labels]
    kept = grouped_nms(chosen, chosen_scores, labels, nms_iou)[:max_detections]
    return chosen[kept], chosen_scores[kept], labels[kept]
