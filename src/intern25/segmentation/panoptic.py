# SPDX-License-Identifier: MIT
"""Instances and panoptic segments from the queries of Mask2Former."""

# Q queries, K what is kept, H W the original picture

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.results import Detections
from intern25.segmentation.convolution import Size, resize

MASK_EPS = 1e-6
"""Keeps the mean over an empty mask finite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanopticSegments:
    """Segments that share no pixel: one for each thing, one for each kind of stuff."""

    ids: Tensor
    """``(H, W)`` int32: 0 for no segment, else one more than the segment's place in the other fields."""
    labels: Tensor
    """``(K,)`` int64 class numbers."""
    scores: Tensor
    """``(K,)`` class probability; of the first query where stuff was merged."""
    is_thing: Tensor
    """``(K,)`` bool."""


@torch.no_grad()
def instances(
    class_logits: Tensor,
    mask_logits: Tensor,
    *,
    input_size: Size,
    original_sizes: Sequence[Size] | None = None,
    things: Collection[int] | None = None,
    max_instances: int = 100,
) -> list[Detections]:
    """Objects with masks: the best pairs of query and class, scored by class and by mask.

    The score is the class probability times the mean mask probability inside the mask.

    Args:
        class_logits: ``(N, Q, num_classes + 1)``.
        mask_logits: ``(N, Q, h, w)``.
        input_size: (height, width) of the network's input.
        original_sizes: (height, width) of each original picture; None = ``input_size``.
        things: Classes that are objects; None = all.
        max_instances: Pairs that are looked at for each picture.

    Returns:
        One :class:`Detections` a picture with masks and their bounding boxes, best first. Empty masks are
        left out.

    Source:
        Mask2Former, arXiv:2112.01527, section 4.1 (as MaskFormer, arXiv:2107.06278, and the confidence of its
        appendix).
    """
    sizes = original_sizes or [input_size] * len(class_logits)
    return [
        _instances(classes, masks, input_size, size, things, max_instances)
        for classes, masks, size in zip(class_logits, mask_logits, sizes, strict=True)
    ]


@torch.no_grad()
def panoptic(
    class_logits: Tensor,
    mask_logits: Tensor,
    *,
    things: Collection[int],
    input_size: Size,
    original_sizes: Sequence[Size] | None = None,
    min_score: float = 0.8,
    min_share: float = 0.8,
) -> list[PanopticSegments]:
    """Give each pixel to the query with the largest class times mask probability.

    A query is dropped whose class is "no object", whose score is too low, or most of whose mask went to
    others. Queries of the same stuff become one segment.

    Args:
        class_logits: ``(N, Q, num_classes + 1)``.
        mask_logits: ``(N, Q, h, w)``.
        things: Classes of countable objects; the rest is stuff.
        input_size: (height, width) of the network's input.
        original_sizes: (height, width) of each original picture; None = ``input_size``.
        min_score: Class probability a query needs.
        min_share: Share of its mask (probability at least one half) a query must keep.

    Returns:
        Segments of each picture.

    Source:
        MaskFormer, arXiv:2107.06278, section 3.4; thresholds of Mask2Former, arXiv:2112.01527.
    """
    sizes = original_sizes or [input_size] * len(class_logits)
    return [
        _panoptic(classes, masks, input_size, size, things, (min_score, min_share))
        for classes, masks, size in zip(class_logits, mask_logits, sizes, strict=True)
    ]


def _instances(
    class_logits: Tensor,
    mask_logits: Tensor,
    input_size: Size,
    size: Size,
    things: Collection[int] | None,
    max_instances: int,
) -> Detections:
    probability = class_logits.softmax(dim=-1)[:, :-1]
    num_classes = probability.shape[1]
    best = probability.flatten().topk(min(max_instances, probability.numel()))
    queries, labels = best.indices // num_classes, best.indices % num_classes
    if things is not None:
        kept = torch.isin(labels, torch.tensor(sorted(things), device=labels.device))
        queries, labels = queries[kept], labels[kept]
    logits = _enlarge(mask_logits[queries], input_size, size)
    masks = logits > 0
    areas = masks.flatten(1).sum(1)
    mask_scores = (logits.sigmoid() * masks).flatten(1).sum(1) / (areas + MASK_EPS)
    scores = probability[queries, labels] * mask_scores
    order = scores.argsort(descending=True, stable=True)
    order = order[areas[order] > 0]
    return Detections(
        boxes=boxes_of_masks(masks[order]).float().cpu().numpy(),
        scores=scores[order].float().cpu().numpy(),
        labels=labels[order].cpu().numpy(),
        masks=masks[order].cpu().numpy(),
        size=size,
    )


def _panoptic(
    class_logits: Tensor,
    mask_logits: Tensor,
    input_size: Size,
    size: Size,
    things: Collection[int],
    thresholds: tuple[float, float],
) -> PanopticSegments:
    min_score, min_share = thresholds
    scores, labels = class_logits.softmax(dim=-1).max(dim=-1)
    kept = (labels != class_logits.shape[-1] - 1) & (scores > min_score)
    scores, labels = scores[kept], labels[kept]
    masks = _enlarge(mask_logits[kept], input_size, size).sigmoid()
    ids = torch.zeros(size, dtype=torch.int32, device=masks.device)
    rows: list[int] = []
    segment_of_stuff: dict[int, int] = {}
    owner = (scores[:, None, None] * masks).argmax(dim=0) if len(masks) else ids
    for row, label in enumerate(labels.tolist()):
        own, whole = owner == row, masks[row] >= 0.5
        seen = own & whole
        if not seen.any() or own.sum() / whole.sum() < min_share:
            continue
        if label in segment_of_stuff:
            ids[seen] = segment_of_stuff[label]
            continue
        rows.append(row)
        ids[seen] = len(rows)
        if label not in things:
            segment_of_stuff[label] = len(rows)
    chosen = labels[rows]
    is_thing = torch.tensor([label in things for label in chosen.tolist()], dtype=torch.bool)
    return PanopticSegments(ids=ids, labels=chosen, scores=scores[rows], is_thing=is_thing.to(ids.device))


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Bounding boxes ``(K, 4)``, left, top, right, bottom on the grid where pixel i covers [i, i + 1].

    Args:
        masks: ``(K, H, W)`` bool; an empty mask has a box of zeros.
    """
    lines = []
    for along in (1, 2):  # columns, then rows
        present = masks.any(dim=along)
        count = present.shape[1]
        places = torch.arange(count, device=masks.device)
        first = torch.where(present, places, count).amin(1)
        last = torch.where(present, places + 1, 0).amax(1)
        lines.append((first.minimum(last), last))
    (left, right), (top, bottom) = lines
    return torch.stack((left, top, right, bottom), dim=1)


def _enlarge(mask_logits: Tensor, input_size: Size, size: Size) -> Tensor:
    """``(K, h, w)`` to ``(K, H, W)`` by way of the network's input size, as the official code."""
    full = mask_logits.to(torch.promote_types(mask_logits.dtype, torch.float32))
    return resize(resize(full[None], input_size), size)[0]
