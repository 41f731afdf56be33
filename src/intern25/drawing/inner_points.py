# SPDX-License-Identifier: MIT
"""The middle of the widest part of a mask: where its name is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intern25.drawing.labels import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Names are wider than high: a cell of the grid on which room is looked for has this shape.
_CELL_SHAPE = 3
# Cells from top to bottom; finer ones would change nothing that is seen.
_CELLS = 48


def inner_point(mask: NDArray[np.bool_]) -> Point:
    """Return a pixel of ``mask`` ``(H, W)`` that is far from its border, as (x, y), in the pixel's middle.

    The mask is eaten away from its border until nothing is left; what goes last is its widest part.

    Raises:
        ValueError: The mask is empty.

    Example:
        >>> mask = np.zeros((20, 30), dtype=bool)
        >>> mask[5:16, 10:30] = True
        >>> inner_point(mask)
        (20.5, 10.5)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("an empty mask has no middle")
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    down = -(-max(part.shape[0], part.shape[1] // _CELL_SHAPE) // _CELLS)
    across = min(_CELL_SHAPE * down, part.shape[1])
    cells = part[down // 2 :: down, across // 2 :: across]
    if not cells.any():
        # Finer than the grid.
        cells, down, across = part, 1, 1
    y, x = _last_left(cells)
    return left + x * across + across // 2 % across + 0.5, top + y * down + down // 2 % down + 0.5


def _last_left(cells: NDArray[np.bool_]) -> tuple[int, int]:
    rest = last = np.pad(cells, 1)
    while rest.any():
        last = rest
        rest = np.zeros_like(last)
        middle = last[1:-1, 1:-1] & last[:-2, 1:-1] & last[2:, 1:-1] & last[1:-1, :-2] & last[1:-1, 2:]
        rest[1:-1, 1:-1] = middle
    points = np.argwhere(last)
    nearest = np.abs(points - points.mean(axis=0)).sum(axis=1).argmin()
    y, x = points[nearest].tolist()
    return y - 1, x - 1
