# SPDX-License-Identifier: MIT
"""Very large pictures as overlapping tiles: where they lie, which finds are one object, who decides a pixel.

What is special: two finds are one object when they agree where their tiles overlap, so that an object cut by
a border is joined and two neighbours are not, whatever part of them each tile sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
Boxes = NDArray[np.float64]

SMALLEST_TILE = 64
# Share of a tile that the next one repeats.
OVERLAP = 0.2
# Pictures with a longer side than this, and than so many times the usual one of the model, are cut up.
LARGE_SIDE = 5000
LARGE_FACTOR = 4
# Two finds are one object from this intersection over union in the part that both tiles see.
_AGREEMENT = 0.5
# Nearer to a border than this many pixels, a box is taken as cut by it.
_CUT_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture, pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, as :meth:`PIL.Image.Image.crop` takes them."""
        return self.left, self.top, self.right, self.bottom


def tile_side(size: Size, tile: int | None, *, long_side: int, short_side: int) -> int | None:
    """Return the side of the tiles for a picture, or None when it is to be looked at whole.

    Args:
        size: Height and width of the picture.
        tile: Side asked for; 0 for never; None to decide by the size of the picture.
        long_side: Long side of the model's input.
        short_side: Short side of the model's input.

    Raises:
        ValueError: ``tile`` is negative or too small to hold an object.
    """
    if tile is None:
        is_large = max(size) > max(LARGE_SIDE, LARGE_FACTOR * long_side)
        return max(2 * short_side, 1024) if is_large else None
    if tile != 0 and tile < SMALLEST_TILE:
        raise ValueError(f"tile={tile} must be {SMALLEST_TILE} pixels or more, or 0 for the whole picture")
    return tile if 0 < tile < max(size) else None


def tiles(size: Size, side: int, *, overlap: float = OVERLAP) -> tuple[Tile, ...]:
    """Return the tiles of a picture, row by row: evenly spread, the share ``overlap`` or more in common.

    Example:
        >>> [tile.box for tile in tiles((100, 250), 100)]
        [(0, 0, 100, 100), (75, 0, 175, 100), (150, 0, 250, 100)]
    """
    height, width = size
    return tuple(
        Tile(left, top, min(left + side, width), min(top + side, height))
        for top in _starts(height, side, overlap)
        for left in _starts(width, side, overlap)
    )


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1.0 - overlap))) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def certainty(tile: Tile, size: Size) -> NDArray[np.float32]:
    """Return how much a tile knows of each of its pixels, 0 to 1: less towards borders inside the picture."""
    rows = _ramp(tile.top, tile.bottom, size[0])
    columns = _ramp(tile.left, tile.right, size[1])
    return np.minimum(rows[:, None], columns[None, :])


def _ramp(start: int, stop: int, length: int) -> NDArray[np.float32]:
    steps = np.arange(stop - start, dtype=np.float32) + 0.5
    rise = np.float32((stop - start) * OVERLAP)
    ramp = np.ones(stop - start, dtype=np.float32)
    if start > 0:
        ramp = np.minimum(ramp, steps / rise)
    if stop < length:
        ramp = np.minimum(ramp, steps[::-1] / rise)
    return ramp


def is_cut(boxes: Boxes, areas: Boxes, size: Size) -> NDArray[np.bool_]:
    """Whether each box ends at a border of its tile that lies inside the picture.

    Args:
        boxes: ``(K, 4)``, pixels of the picture.
        areas: ``(K, 4)``, the tile that each box was found in.
        size: Height and width of the picture.
    """
    height, width = size
    inside = np.stack([areas[:, 0] > 0, areas[:, 1] > 0, areas[:, 2] < width, areas[:, 3] < height], axis=1)
    near = np.abs(boxes - areas) < _CUT_MARGIN
    return np.asarray((inside & near).any(axis=1))


def same_objects(
    boxes: Boxes, labels: NDArray[np.int64], views: NDArray[np.int64], areas: Boxes
) -> list[list[int]]:
    """Group finds of several tiles by object.

    Args:
        boxes: ``(K, 4)``, pixels of the picture.
        labels: ``(K,)``; only finds of one class are joined.
        views: ``(K,)``, number of the tile that each box was found in; two finds of one tile are two objects.
        areas: ``(K, 4)``, that tile.

    Returns:
        Row numbers of each object's finds, each row in exactly one group, groups by their first row.
    """
    group_of = list(range(len(boxes)))
    members = {row: [row] for row in range(len(boxes))}
    for first, second in _agreeing_pairs(boxes, labels, views, areas):
        a, b = sorted((group_of[first], group_of[second]))
        if a == b or {views[row] for row in members[a]} & {views[row] for row in members[b]}:
            continue
        members[a] += members.pop(b)
        for row in members[a]:
            group_of[row] = a
    return [sorted(rows) for rows in members.values()]


def _agreeing_pairs(
    boxes: Boxes, labels: NDArray[np.int64], views: NDArray[np.int64], areas: Boxes
) -> list[tuple[int, int]]:
    """Pairs of different tiles and one class that agree, the best agreement first."""
    pairs: list[tuple[float, int, int]] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for position, row in enumerate(rows[:-1]):
            others = rows[position + 1 :]
            others = others[views[others] != views[row]]
            zone = _intersection(areas[row], areas[others])
            mine, theirs = _intersection(boxes[row], zone), _intersection(boxes[others], zone)
            shared = _area(_intersection(mine, theirs))
            union = _area(mine) + _area(theirs) - shared
            agreement = shared / np.maximum(union, 1e-9)
            pairs += [
                (float(agreement[k]), int(row), int(others[k]))
                for k in np.flatnonzero(agreement >= _AGREEMENT)
            ]
    pairs.sort(key=lambda pair: -pair[0])
    return [(first, second) for _, first, second in pairs]


def _intersection(a: Boxes, b: Boxes) -> Boxes:
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.concatenate([low, np.maximum(low, high)], axis=-1)


def _area(boxes: Boxes) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    return area
