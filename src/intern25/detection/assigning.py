# SPDX-License-Identifier: MIT
"""Which object an anchor or region has to learn, and which of the many are used."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.layers.boxes import OVERLAP_EPS, box_area, iou_matrix

BACKGROUND = -1
"""Assigned to boxes that show no object."""
UNUSED = -2
"""Assigned to boxes that teach nothing."""
PAIRS_AT_ONCE = 2**22
"""Pairs of object and box whose overlaps are computed in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxIoUAssigner:
    """Give every box the object it overlaps most, if the overlap is large enough.

    Rules, in this order: overlap below ``negative_iou`` is background; from ``positive_iou`` on the box
    belongs to the object; between the two it is unused. With ``forced_matches`` each object also takes the
    boxes that overlap it most (all of them when several tie) if that overlap is at least ``min_forced_iou``;
    the last object wins where two claim one box. Background mostly inside an ignored region is unused.

    Source:
        Faster R-CNN, arXiv:1506.01497, section 3.1.2.
    """

    positive_iou: float
    """Overlap from which a box is an object."""
    negative_iou: float
    """Overlap below which a box is background."""
    min_forced_iou: float
    """Least overlap of a forced match."""
    forced_matches: bool = True
    """Whether objects take their best boxes."""
    ignored_overlap: float = 1.0
    """Share of a box inside an ignored region above which it is unused."""

    def __call__(self, boxes: Tensor, objects: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Assign.

        Args:
            boxes: ``(N, 4)`` anchors or regions, left, top, right, bottom.
            objects: ``(K, 4)`` boxes of the objects.
            ignored: ``(M, 4)`` regions that are neither object nor background, or None.

        Returns:
            ``(N,)`` int64: number of the object, ``BACKGROUND`` or ``UNUSED``.
        """
        assigned = torch.full((len(boxes),), BACKGROUND, dtype=torch.int64, device=boxes.device)
        if len(objects) and len(boxes):
            # In parts, because the intermediate corners of all pairs would take gigabytes.
            parts = boxes.split(max(PAIRS_AT_ONCE // len(objects), 1))
            overlaps = torch.cat([iou_matrix(objects, part) for part in parts], dim=1)
            best, best_object = overlaps.max(dim=0)
            assigned[best >= self.negative_iou] = UNUSED
            assigned = torch.where(best >= self.positive_iou, best_object, assigned)
            if self.forced_matches:
                assigned = self._force(assigned, overlaps)
        if ignored is None or len(ignored) == 0:
            return assigned
        in_crowd = _share_inside(boxes, ignored) > self.ignored_overlap
        return assigned.masked_fill(in_crowd & (assigned == BACKGROUND), UNUSED)

    def _force(self, assigned: Tensor, overlaps: Tensor) -> Tensor:
        """Assign the boxes that overlap an object as much as its best box does."""
        most = overlaps.amax(dim=1, keepdim=True)
        claims = (overlaps == most) & (most >= self.min_forced_iou)
        numbers = torch.arange(len(overlaps), device=overlaps.device)[:, None]
        last_claim = torch.where(claims, numbers, BACKGROUND).amax(dim=0)
        return torch.where(last_claim >= 0, last_claim, assigned)


def _share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """Largest share of each box inside one of the regions, ``(N,)``."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    inside = (high - low).clamp(min=0).prod(dim=-1)
    return (inside / box_area(boxes)[:, None].clamp(min=OVERLAP_EPS)).amax(dim=1)


def sample(assigned: Tensor, count: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Choose boxes at random: up to ``count * positive_fraction`` objects, then background up to ``count``.

    With ``count`` at least the number of boxes nothing is random: all of them are chosen.

    Args:
        assigned: ``(N,)`` result of :class:`MaxIoUAssigner`.
        count: Boxes to choose.
        positive_fraction: Largest share of objects.

    Returns:
        Ascending positions of the chosen objects and of the chosen background, int64.
    """
    positives = _choose(torch.nonzero(assigned >= 0).flatten(), int(count * positive_fraction))
    negatives = _choose(torch.nonzero(assigned == BACKGROUND).flatten(), count - len(positives))
    return positives, negatives


def _choose(positions: Tensor, count: int) -> Tensor:
    if len(positions) <= count:
        return positions
    chosen = torch.randperm(len(positions), device=positions.device)[:count]
    return positions[chosen].sort().values
