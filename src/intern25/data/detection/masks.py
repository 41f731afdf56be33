# SPDX-License-Identifier: MIT
"""Instance masks as COCO stores them, polygons and run lengths, to pixels in NumPy.

Polygons are filled exactly as COCO's own tools fill them (on a grid five times finer), so areas and scores
agree with theirs.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from intern25.data.run_lengths import compress_runs, expand_runs
from intern25.data.run_lengths import decode_mask as decode_run_lengths

_SUBPIXELS = 5


class RunLengths(TypedDict):
    """A mask as compressed run lengths, the form of ``pycocotools``."""

    size: list[int]
    """[height, width]."""
    counts: str
    """Compressed counts."""


Polygons = tuple[NDArray[np.float64], ...]
"""Rings of one object, each ``x0, y0, x1, y1, ...``; the object is the union of the rings."""
StoredMask = Polygons | RunLengths


class MaskError(ValueError):
    """A mask of a data set is broken; the message says how."""


def stored_mask(segmentation: Any, size: tuple[int, int]) -> StoredMask | None:
    """Check the COCO ``segmentation`` of one object and return it in compact form.

    Args:
        segmentation: List of rings, ``{"size": [h, w], "counts": list or str}``, or empty.
        size: (height, width) of the picture.

    Returns:
        Polygons or compressed run lengths; ``None`` where there is no mask.

    Raises:
        MaskError: It is neither, a ring is malformed, or the run lengths do not cover the picture.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return _stored_run_lengths(segmentation, size)
    if not isinstance(segmentation, list):
        raise MaskError(f"a mask is a list of polygons or an RLE object, not {type(segmentation).__name__}")
    if not isinstance(segmentation[0], list):
        raise MaskError("a mask is a list of polygons, but its first item is no list: write [[x, y, ...]]")
    return tuple(_ring(values) for values in segmentation)


def _ring(values: Any) -> NDArray[np.float64]:
    try:
        ring = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MaskError(f"a polygon holds something else than numbers: {str(values)[:60]}") from error
    if ring.ndim != 1 or len(ring) < 6 or len(ring) % 2:
        raise MaskError(f"a polygon needs at least 3 points, x and y for each: it has {ring.size} numbers")
    if not np.isfinite(ring).all():
        raise MaskError("a polygon holds NaN or infinite coordinates")
    return ring


def _stored_run_lengths(segmentation: dict[str, Any], size: tuple[int, int]) -> RunLengths:
    counts, stated = segmentation.get("counts"), segmentation.get("size")
    if not isinstance(stated, list | tuple) or tuple(stated) != size:
        raise MaskError(f"its RLE is of size {stated} (height, width) but the picture is {list(size)}")
    try:
        runs = expand_runs(counts) if isinstance(counts, str | bytes) else _whole_numbers(counts)
    except (ValueError, OverflowError) as error:
        raise MaskError(f"its RLE counts are broken: {error}") from error
    total, pixels = int(runs.sum()), size[0] * size[1]
    if total != pixels or (runs < 0).any():
        raise MaskError(f"its RLE counts sum to {total}, but {size[0]} x {size[1]} pixels are {pixels}")
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [size[0], size[1]], "counts": text if isinstance(text, str) else compress_runs(runs)}


def _whole_numbers(counts: Any) -> NDArray[np.int64]:
    values = np.asarray(counts)
    if values.ndim != 1 or not values.size or not np.issubdtype(values.dtype, np.integer):
        raise ValueError("they are neither a list of whole numbers nor a string")
    return values.astype(np.int64)


def decode_mask(mask: StoredMask, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of one mask, ``(H, W)``.

    Args:
        mask: Polygons or compressed run lengths.
        size: (height, width) of the picture.

    Raises:
        ValueError: The run lengths are broken.
    """
    if isinstance(mask, dict):
        return decode_run_lengths(mask)
    pixels = np.zeros(size, dtype=np.bool_)
    for ring in mask:
        pixels |= fill_polygon(ring, size)
    return pixels


def fill_polygon(ring: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels inside one ring, ``(H, W)``, by the rule of the COCO tools.

    The outline is walked on a grid five times finer; where it crosses the middle of a pixel column, the
    column changes between outside and inside from the next pixel below.

    Args:
        ring: ``x0, y0, x1, y1, ...`` in pixels.
        size: (height, width) of the picture.
    """
    height, width = size
    u, v = _outline((_SUBPIXELS * ring.reshape(-1, 2) + 0.5).astype(np.int64))
    crossing = np.flatnonzero(u[1:] != u[:-1])
    x = (np.minimum(u[crossing], u[crossing + 1]) + 0.5) / _SUBPIXELS - 0.5
    y = (np.minimum(v[crossing], v[crossing + 1]) + 0.5) / _SUBPIXELS - 0.5
    middle = (np.floor(x) == x) & (x >= 0) & (x <= width - 1)
    column, row = x[middle].astype(np.int64), np.ceil(y[middle].clip(0, height)).astype(np.int64)
    return _fill_between(column * height + row, height, width)


def _fill_between(toggles: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Mask that changes value at each position of ``toggles``, counted down the columns."""
    flat = np.zeros(height * width, dtype=np.bool_)
    if len(toggles):
        first = int(toggles.min())
        last = height * width if len(toggles) % 2 else int(toggles.max())
        changes = np.bincount(toggles - first, minlength=last - first + 1)[: last - first]
        # The last bit of the running sum is the parity, also after the sum overflows.
        flat[first:last] = np.cumsum(changes & 1, dtype=np.uint8) & 1
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _outline(points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grid points along the closed outline, in order, one step along the longer axis at a time."""
    start, end = points, np.roll(points, -1, axis=0)
    moved = (start != end).any(axis=1)
    start, end = start[moved], end[moved]
    delta = end - start
    wide = np.abs(delta[:, 0]) >= np.abs(delta[:, 1])
    steps = np.abs(delta).max(axis=1, initial=0)
    # An edge is drawn from its lower end along the longer axis, so both directions round alike.
    backwards = np.where(wide, delta[:, 0], delta[:, 1]) < 0
    low, high = np.where(backwards[:, None], end, start), np.where(backwards[:, None], start, end)
    rise = np.where(wide, high[:, 1] - low[:, 1], high[:, 0] - low[:, 0])
    slope = rise / np.maximum(steps, 1)
    edge = np.repeat(np.arange(len(steps)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - (steps + 1), steps + 1)
    step = np.where(backwards[edge], steps[edge] - step, step)
    across = (np.where(wide, low[:, 1], low[:, 0])[edge] + slope[edge] * step + 0.5).astype(np.int64)
    along = np.where(wide, low[:, 0], low[:, 1])[edge] + step
    return np.where(wide[edge], along, across), np.where(wide[edge], across, along)


def mask_box(pixels: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Smallest box (left, top, right, bottom) around the pixels of a mask; zeros where it is empty."""
    columns, rows = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def segmentation_json(mask: StoredMask | None) -> list[list[float]] | RunLengths:
    """Return a mask as it stands in COCO json; an empty list for none."""
    if mask is None:
        return []
    return mask if isinstance(mask, dict) else [ring.tolist() for ring in mask]
