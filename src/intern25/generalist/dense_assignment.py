# SPDX-License-Identifier: MIT
"""Which cells of the dense proposals learn from which object, and what they learn."""

# N batch, K objects of a picture (the most of the batch), S cells of all levels

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.generalist.dense_proposals import DenseOutput
from intern25.layers.boxes import iou
from intern25.layers.losses import giou_loss, mean_count, quality_focal_loss

SHARE_EPS = 1e-9
"""Smallest area of a union, as a share of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRule:
    r"""Cells inside an object are ranked by :math:`p^a \, \mathrm{IoU}^b`; the best learn from it."""

    cells: int = 10
    """Cells that learn from an object."""
    score_power: float = 0.5
    """``a``: how much a cell's score counts."""
    overlap_power: float = 6.0
    """``b``: how much the IoU of its box counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellAssignment:
    """The object of every cell."""

    positive: Tensor
    """``(N, S)`` bool, cells that learn from an object."""
    objects: Tensor
    """``(N, S)`` int64 its index within the picture; meaningless where not positive."""


@torch.no_grad()
def assign_cells(
    output: DenseOutput, boxes: Tensor, present: Tensor, rule: AlignmentRule | None = None
) -> CellAssignment:
    """Assign the cells of every picture.

    An object smaller than a cell is grown to it, so that each object holds a centre on each level. A cell
    that several objects chose learns from the one its box overlaps most.

    Args:
        output: What the cells say.
        boxes: ``(N, K, 4)`` left, top, right, bottom as shares of the picture.
        present: ``(N, K)`` bool, False where a picture has no K-th object.
        rule: How cells are ranked; None = the default.

    Source:
        TOOD, arXiv:2108.07755, section 3.2.
    """
    rule = AlignmentRule() if rule is None else rule
    if boxes.shape[1] == 0:
        objects = torch.zeros_like(output.logits, dtype=torch.int64)
        return CellAssignment(positive=objects.bool(), objects=objects)
    overlap = iou(output.boxes[:, None], boxes[:, :, None], eps=SHARE_EPS)  # (N, K, S)
    scores = output.logits.to(overlap.dtype).sigmoid()[:, None]
    alignment = scores**rule.score_power * overlap.clamp(min=0) ** rule.overlap_power
    inside = _holds_centres(output, boxes) & present[..., None]
    ranked = alignment.masked_fill(~inside, -1).topk(min(rule.cells, alignment.shape[2]), dim=2)
    chosen = torch.zeros_like(inside).scatter_(2, ranked.indices, ranked.values >= 0)
    best, objects = overlap.masked_fill(~chosen, -1).max(dim=1)
    return CellAssignment(positive=best >= 0, objects=objects)


def dense_losses(
    output: DenseOutput, boxes: Tensor, present: Tensor, rule: AlignmentRule | None = None
) -> dict[str, Tensor]:
    """Losses of the dense proposals; arguments as :func:`assign_cells`.

    Returns:
        ``loss_objectness``, quality focal loss against the IoU of a cell's own box, and ``loss_giou`` of the
        cells that learn from an object; both divided by the number of those over the processes.
    """
    dtype = torch.promote_types(output.logits.dtype, torch.float32)
    assignment = assign_cells(output, boxes, present, rule)
    pictures, cells = assignment.positive.nonzero(as_tuple=True)
    found = output.boxes[pictures, cells].to(dtype)
    wanted = boxes[pictures, assignment.objects[pictures, cells]].to(dtype)
    logits = output.logits.to(dtype)
    qualities = torch.zeros_like(logits)
    qualities[pictures, cells] = iou(found.detach(), wanted, eps=SHARE_EPS).clamp(0, 1)
    count = mean_count(len(cells), logits.device).to(dtype)
    return {
        "loss_objectness": quality_focal_loss(logits, qualities, avg_factor=count),
        "loss_giou": giou_loss(found, wanted, eps=SHARE_EPS, avg_factor=count),
    }


def _holds_centres(output: DenseOutput, boxes: Tensor) -> Tensor:
    """``(N, K, S)`` bool: the centre of the cell lies in the box, which is at least as large as the cell."""
    low, high = boxes[:, :, None, :2], boxes[:, :, None, 2:]
    half = torch.maximum((high - low) * 0.5, output.cells * 0.5)
    return ((output.centres - (low + high) * 0.5).abs() <= half).all(dim=-1)
