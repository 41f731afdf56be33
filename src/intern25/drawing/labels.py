# SPDX-License-Identifier: MIT
"""Where names of boxes go: beside their box, inside the picture, not on each other, not on small objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Point = tuple[float, float]
"""From the left, from the top."""

Rectangles = NDArray[np.float64]

# A label that hides more than this share of another says less than none.
_TOLERATED_OVERLAP = 0.15
# Hiding a whole object counts as much as hiding this share of another label.
_WEIGHT_OF_OBJECTS = 0.15
# The usual places come first: a later one must be better by this much.
_WEIGHT_OF_ORDER = 0.004


def place_labels(
    boxes: Sequence[Rectangle],
    sizes: Sequence[tuple[float, float]],
    canvas: tuple[int, int],
    *,
    centers: Sequence[Point] | None = None,
) -> list[Rectangle | None]:
    """Find room for one label a box.

    Args:
        boxes: Boxes, the most important first: they choose first.
        sizes: Width and height of the label of each box.
        canvas: Width and height of the drawing.
        centers: The best place for the middle of each label, before those at its box; None for no such place.

    Returns:
        The place of each label, None where every place would hide other labels.
    """
    objects = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    placed = np.empty((0, 4))
    places: list[Rectangle | None] = []
    middles: Sequence[Point | None] = [None] * len(boxes) if centers is None else centers
    for box, size, middle in zip(boxes, sizes, middles, strict=True):
        candidates = _candidates(box, size, canvas, middle)
        hidden_labels = _hidden_share(candidates, placed)
        cost = hidden_labels + _WEIGHT_OF_OBJECTS * _hidden_share(candidates, objects)
        best = int(np.argmin(cost + _WEIGHT_OF_ORDER * np.arange(len(candidates))))
        if hidden_labels[best] > _TOLERATED_OVERLAP:
            places.append(None)
            continue
        left, top, right, bottom = candidates[best].tolist()
        places.append((left, top, right, bottom))
        placed = np.concatenate([placed, candidates[best : best + 1]])
    return places


def _candidates(
    box: Rectangle, size: tuple[float, float], canvas: tuple[int, int], middle: Point | None
) -> Rectangles:
    """Places on ``middle``, beside and in the corners of ``box``, the best first, moved into the picture."""
    left, top, right, bottom = box
    width, height = size
    best = [] if middle is None else [(middle[0] - width / 2, middle[1] - height / 2)]
    corners = np.array(
        [
            *best,
            (left, top - height),
            (left, top),
            (right - width, top - height),
            (left, bottom),
            (right - width, bottom),
            (right, top),
            (left - width, top),
            (right - width, top),
            (left, bottom - height),
            (right - width, bottom - height),
            (right, bottom - height),
            (left - width, bottom - height),
            ((left + right - width) / 2, (top + bottom - height) / 2),
        ]
    )
    room = np.maximum(np.subtract(canvas, size), 0.0)
    corners = np.clip(corners, 0.0, room)
    return np.concatenate([corners, corners + np.array(size)], axis=1)


def _hidden_share(candidates: Rectangles, others: Rectangles) -> NDArray[np.float64]:
    """Largest share of one of ``others`` that each candidate hides."""
    if not len(others):
        return np.zeros(len(candidates))
    low = np.maximum(candidates[:, None, :2], others[None, :, :2])
    high = np.minimum(candidates[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    share: NDArray[np.float64] = (shared / np.maximum(_areas(others), 1.0)[None, :]).max(axis=1)
    return share


def _areas(rectangles: Rectangles) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (rectangles[:, 2:] - rectangles[:, :2]).prod(axis=1)
    return areas
