# SPDX-License-Identifier: MIT
"""Instances and panoptic segments from the queries of Mask2Former.

What is special: masks are enlarged a few at a time, so that a large picture needs no full-size map of
probabilities for every query.
"""

# Q queries, K what is kept, H W the original picture

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from intern25.layers.convolution import Size, resize
from intern25.results import Detections

MASK_EPS = 1e-6
"""Keeps the mean over an empty mask finite."""
# Numbers of the masks that are enlarged at once: 16 MB.
_CHUNK = 1 << 22


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
    min_score: float = 0.0,
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
        min_score: Pairs of a lower score are left out; most of them before their masks are enlarged.

    Returns:
        One :class:`Detections` a picture with masks and their bounding boxes, best first. Empty masks are
        left out.

    Source:
        Mask2Former, arXiv:2112.01527, section 4.1 (as MaskFormer, arXiv:2107.06278, and the confidence of its
        appendix).
    """
    sizes = original_sizes or [input_size] * len(class_logits)
    return [
        _instances(classes, masks, input_size, size, things, (max_instances, min_score))
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
    limits: tuple[int, float],
) -> Detections:
    max_instances, min_score = limits
    probability = class_logits.softmax(dim=-1)[:, :-1]
    num_classes = probability.shape[1]
    best = probability.flatten().topk(min(max_instances, probability.numel()))
    queries, labels = best.indices // num_classes, best.indices % num_classes
    # The mask's part of the score is at most 1.
    kept = best.values >= min_score
    if things is not None:
        kept &= torch.isin(labels, torch.tensor(sorted(things), device=labels.device))
    queries, labels = queries[kept], labels[kept]
    masks = torch.zeros((len(queries), *size), dtype=torch.bool, device=mask_logits.device)
    confidences = probability.new_zeros(len(queries))
    for rows, logits in _enlarged(mask_logits[queries], input_size, size):
        masks[rows] = logits > 0
        inside = (logits.sigmoid() * masks[rows]).flatten(1).sum(1)
        confidences[rows] = (inside / (masks[rows].flatten(1).sum(1) + MASK_EPS)).to(confidences.dtype)
    scores = probability[queries, labels] * confidences
    order = scores.argsort(descending=True, stable=True)
    order = order[masks.flatten(1).any(1)[order] & (scores[order] >= min_score)]
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
    areas = _areas(mask_logits[kept], scores, input_size, size)
    ids = torch.zeros(size, dtype=torch.int32, device=mask_logits.device)
    rows: list[int] = []
    segment_of_stuff: dict[int, int] = {}
    for row, label in enumerate(labels.tolist()):
        own = areas.owner == row
        seen = own & areas.is_sure
        if not seen.any() or own.sum() / areas.wholes[row] < min_share:
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


class _Areas(NamedTuple):
    """Which query has each pixel."""

    owner: Tensor
    """``(H, W)`` row of the query with the largest class times mask probability; the first of equals."""
    is_sure: Tensor
    """``(H, W)`` whether the owner's own mask has the pixel."""
    wholes: list[int]
    """Pixels of each query's mask, whoever has them."""


def _areas(mask_logits: Tensor, scores: Tensor, input_size: Size, size: Size) -> _Areas:
    best = torch.full(size, -1.0, device=mask_logits.device)
    owner = torch.full(size, -1, device=mask_logits.device)
    is_sure = torch.zeros(size, dtype=torch.bool, device=mask_logits.device)
    wholes: list[int] = []
    for rows, logits in _enlarged(mask_logits, input_size, size):
        masks = logits.sigmoid()
        wins, winners = (scores[rows, None, None] * masks).max(dim=0)
        better = wins > best
        best = torch.where(better, wins, best)
        owner = torch.where(better, winners + rows.start, owner)
        is_sure = torch.where(better, masks.gather(0, winners[None])[0] >= 0.5, is_sure)
        wholes += (masks >= 0.5).flatten(1).sum(1).tolist()
    return _Areas(owner, is_sure, wholes)


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


def _enlarged(mask_logits: Tensor, input_size: Size, size: Size) -> Iterator[tuple[slice, Tensor]]:
    """``(K, h, w)`` to ``(k, H, W)``, some at a time, by way of the network's input size, as official."""
    step = max(1, _CHUNK // max(size[0] * size[1], input_size[0] * input_size[1]))
    for start in range(0, len(mask_logits), step):
        rows = slice(start, min(start + step, len(mask_logits)))
        part = mask_logits[rows]
        full = part.to(torch.promote_types(part.dtype, torch.float32))
        yield rows, resize(resize(full[None], input_size), size)[0]
