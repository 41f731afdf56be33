# SPDX-License-Identifier: MIT
"""Average precision as the area under a precision-recall curve, in the two ways of Pascal VOC.

Pascal VOC and Open Images match detections each by its own rule; what follows the matching is here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def box_overlaps(
    boxes: NDArray[np.float64], others: NDArray[np.float64], *, of_first: bool = False
) -> NDArray[np.float64]:
    """Return the intersection over union of all pairs, ``(K, M)``.

    Args:
        boxes: ``(K, 4)``, (left, top, right, bottom).
        others: ``(M, 4)``.
        of_first: Divide by the area of the box instead, for regions to ignore.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
    union = areas if of_first else areas + np.prod(others[:, 2:] - others[:, :2], axis=1)[None] - shared
    result: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def precision_recall(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall after each detection, best score first.

    Args:
        scores: ``(K,)``.
        hits: ``(K,)``, whether a detection found an object.
        objects: Number of objects.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    return found / np.arange(1, len(order) + 1), found / max(objects, 1)


def area_under_curve(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Area under the precision made monotonous from the right (VOC 2010 and later, Open Images)."""
    recall = np.concatenate(([0.0], recall, [1.0]))
    precision = np.concatenate(([0.0], precision, [0.0]))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


def eleven_point_average(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Mean of the best precision at a recall of at least 0, .1, ..., 1 (VOC 2007)."""
    best = [precision[recall >= level].max(initial=0.0) for level in np.arange(0.0, 1.1, 0.1)]
    return float(np.mean(best))
