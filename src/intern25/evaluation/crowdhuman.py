# SPDX-License-Identifier: MIT
"""The three figures of CrowdHuman: average precision, log-average miss rate, Jaccard index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.average_precision import box_overlaps
from intern25.evaluation.predictions import Prediction

IOU = 0.5
REFERENCES = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)
"""False positives a picture at which the miss rate is read, as Dollar et al. (2012) print them."""
THRESHOLDS = tuple(step / 10 for step in range(10))
"""Scores at which the Jaccard index is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CrowdHumanScores:
    """Shares in 0..1."""

    ap: float
    """Average precision at IoU .50, trapezoids under the curve; higher is better."""
    miss_rate: float
    """Log-average miss rate (MR^-2); lower is better."""
    jaccard: float
    """Mean Jaccard index at its best score threshold; higher is better."""
    jaccard_threshold: float
    """That threshold."""
    objects: int
    """Persons that count."""
    images: int
    """Pictures that were scored."""


def score_crowdhuman(
    annotations: Sequence[Annotation], predictions: Sequence[Prediction], *, label: int = 0
) -> CrowdHumanScores:
    """Score full-body boxes of persons.

    A detection takes the free person it overlaps most, by more than half; failing that, one with more than
    half of its own area in a region to ignore is left out.

    Args:
        annotations: One a picture; ``ignored`` marks regions to ignore.
        predictions: One a picture, in the same order.
        label: The class that counts.

    Returns:
        The figures.

    Raises:
        ImportError: scipy, which the Jaccard index needs, is not installed.
        ValueError: There are no persons, or the numbers of pictures differ.

    Source:
        Shao et al., "CrowdHuman", 2018; Chu et al., "Detection in Crowded Scenes", 2020 (Jaccard index).
    """
    if len(annotations) != len(predictions):
        raise ValueError(f"{len(annotations)} annotated pictures but {len(predictions)} predictions")
    truths = [_split(annotation, label) for annotation in annotations]
    objects = sum(len(persons) for persons, _ in truths)
    if not objects:
        raise ValueError(f"no picture has an object of class {label}, so there is nothing to score")
    found = [(p.boxes[rows], p.scores[rows]) for p in predictions for rows in [p.of_class(label)]]
    scores, hits = _match_all(truths, found)
    ap, miss_rate = _curve_figures(scores, hits, objects, len(annotations))
    indices = [_mean_jaccard(truths, found, threshold) for threshold in THRESHOLDS]
    best = int(np.argmax(indices))
    return CrowdHumanScores(
        ap=ap,
        miss_rate=miss_rate,
        jaccard=indices[best],
        jaccard_threshold=THRESHOLDS[best],
        objects=objects,
        images=len(annotations),
    )


Truth = tuple[NDArray[np.float64], NDArray[np.float64]]
Found = tuple[NDArray[np.float64], NDArray[np.float64]]


def _split(annotation: Annotation, label: int) -> Truth:
    """Boxes of persons and of regions to ignore."""
    boxes = annotation.boxes.astype(np.float64)
    counts: NDArray[np.bool_] = np.asarray(annotation.labels == label) & ~annotation.ignored
    return boxes[counts], boxes[annotation.ignored]


def _match_all(
    truths: Sequence[Truth], found: Sequence[Found]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of the detections that count, best first, and whether each is right."""
    scores, hits = [], []
    for (persons, regions), (boxes, box_scores) in zip(truths, found, strict=True):
        overlaps = box_overlaps(boxes, persons)
        ignored = np.any(box_overlaps(boxes, regions, of_first=True) > IOU, axis=1)
        for number in range(len(boxes)):
            nearest = int(overlaps[number].argmax()) if len(persons) else -1
            hit = nearest >= 0 and overlaps[number, nearest] > IOU
            if hit:
                overlaps[:, nearest] = 0.0
            if hit or not ignored[number]:
                scores.append(box_scores[number])
                hits.append(hit)
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return np.asarray(scores, dtype=np.float64)[order], np.asarray(hits, dtype=np.bool_)[order]


def _curve_figures(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], objects: int, images: int
) -> tuple[float, float]:
    """Average precision and log-average miss rate."""
    if not len(scores):
        return 0.0, 1.0
    right = np.cumsum(hits)
    recall, precision = right / objects, right / np.arange(1, len(hits) + 1)
    ap = float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))
    wrong_per_image = np.cumsum(~hits) / images
    places = np.minimum(np.searchsorted(wrong_per_image, REFERENCES, side="left"), len(hits) - 1)
    missed = np.maximum(1.0 - recall[places], np.finfo(np.float64).tiny)
    return ap, float(np.exp(np.log(missed).mean()))


def _mean_jaccard(truths: Sequence[Truth], found: Sequence[Found], threshold: float) -> float:
    """Mean over pictures of matches over persons and detections together."""
    values = []
    for (persons, regions), (boxes, scores) in zip(truths, found, strict=True):
        kept = boxes[scores >= threshold]
        pairs = _largest_matching(box_overlaps(kept, persons) > IOU)
        free = np.setdiff1d(np.arange(len(kept)), pairs)
        ignored = np.any(box_overlaps(kept[free], regions, of_first=True) > IOU, axis=1).sum()
        union = len(kept) - int(ignored) + len(persons) - len(pairs)
        values.append(len(pairs) / union if union else 1.0)
    return float(np.mean(values))


def _largest_matching(overlaps: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows that the largest one-to-one assignment of rows to columns pairs."""
    if not overlaps.any():
        return np.zeros(0, dtype=np.int64)
    try:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import maximum_bipartite_matching
    except ImportError as error:
        raise ImportError("the Jaccard index needs the eval extra: pip install 'intern25[eval]'") from error
    build: Any = csr_matrix  # scipy's class is untyped
    columns = maximum_bipartite_matching(build(overlaps), perm_type="column")
    return np.flatnonzero(columns >= 0).astype(np.int64)
