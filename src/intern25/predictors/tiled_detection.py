# SPDX-License-Identifier: MIT
"""The objects of pictures; of a very large one, found tile by tile and once in the whole, and joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing, Size
from intern25.data.tiling import Tile, is_cut, same_objects, tile_side, tiles
from intern25.predictors.inputs import Picture
from intern25.predictors.selection import Selection
from intern25.results import Detections

# Bool masks of the whole picture, one an object.
_MOST_MASK_BYTES = 8 << 30


AnyPreprocessing = DetectionPreprocessing | SegmentationPreprocessing


class Detect(Protocol):
    """A detector that says in pixels of which size it answers."""

    def __call__(
        self, pictures: Sequence[Image.Image], *, output_sizes: Sequence[Size] | None = None
    ) -> list[Detections]:
        """Return what is in each picture."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """A mask as the pixels inside a rectangle, stretched over it when it is painted."""

    pixels: NDArray[np.bool_]
    place: tuple[int, int, int, int]

    def paint(self, canvas: NDArray[np.bool_]) -> None:
        """Add the mask to ``canvas``."""
        left, top, right, bottom = self.place
        size = right - left, bottom - top
        pixels = self.pixels
        if size != pixels.shape[::-1]:
            picture = Image.fromarray(pixels.astype(np.uint8) * 255)
            pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR)) >= 128
        canvas[top:bottom, left:right] |= pixels


@dataclass(frozen=True, slots=True)
class _Finds:
    """Everything found in all views of one picture, in its pixels."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    views: NDArray[np.int64]
    areas: NDArray[np.float64]
    patches: list[_Patch] | None


def find_objects(
    detect: Detect,
    preprocessing: AnyPreprocessing,
    pictures: Sequence[Image.Image],
    wanted: Selection,
    tile: int | None,
    batch_size: int,
) -> list[Detections]:
    """Find the wanted objects of each picture, in tiles where it is large or tiles are asked for.

    Args:
        detect: The detector.
        preprocessing: Its preprocessing.
        pictures: Upright RGB pictures; those that are looked at whole go to ``detect`` together.
        wanted: Selection of objects.
        tile: Side of the tiles; 0 never; None by the size of the picture.
        batch_size: Tiles at once.

    Returns:
        The objects of each picture, without names.

    Raises:
        ValueError: ``tile`` is too small, or masks would not fit into memory.
    """
    scale = {"long_side": preprocessing.long_side, "short_side": preprocessing.short_side}
    sides = [tile_side((picture.height, picture.width), tile, **scale) for picture in pictures]
    whole = [picture for picture, side in zip(pictures, sides, strict=True) if side is None]
    found = iter(detect(whole))
    return [
        wanted(next(found))
        if side is None
        else detect_in_tiles(detect, preprocessing, picture, side, wanted, batch_size)
        for picture, side in zip(pictures, sides, strict=True)
    ]


def with_names(found: Detections, classes: ClassNames, picture: Picture) -> Detections:
    """Return objects with the names of their classes, their picture and its path."""
    image, source = picture
    labels = found.labels.tolist()
    return replace(
        found,
        names_en=tuple(classes.en[label] for label in labels),
        names_zh=tuple(classes.zh[label] for label in labels),
        source=source,
        image=image,
    )


def detect_in_tiles(
    detect: Detect,
    preprocessing: AnyPreprocessing,
    picture: Image.Image,
    side: int,
    wanted: Selection,
    batch_size: int,
) -> Detections:
    """Find the objects of one large picture.

    Args:
        detect: The detector.
        preprocessing: Its preprocessing, for the size at which the whole picture is looked at.
        picture: Upright RGB picture.
        side: Side of the tiles, pixels.
        wanted: Selection of objects, used on each tile and on the joined result.
        batch_size: Tiles at once.

    Returns:
        The objects in pixels of the picture; an object seen by several tiles is there once.

    Raises:
        ValueError: The masks of all objects would not fit into memory.
    """
    size = (picture.height, picture.width)
    parts = tiles(size, side)
    views = [(Tile(0, 0, picture.width, picture.height), _whole(detect, preprocessing, picture))]
    for start in range(0, len(parts), batch_size):
        chosen = parts[start : start + batch_size]
        found = detect([picture.crop(part.box) for part in chosen])
        views += zip(chosen, found, strict=True)
    finds = _collect([(tile, wanted(found)) for tile, found in views])
    groups = same_objects(finds.boxes, finds.labels, finds.views, finds.areas)
    return _joined(finds, groups, size, wanted)


def _whole(detect: Detect, preprocessing: AnyPreprocessing, picture: Image.Image) -> Detections:
    """Answer in pixels of the reduced picture: masks of the full one would be large and no finer."""
    size = preprocessing.resized_size((picture.height, picture.width))
    return detect([picture], output_sizes=[size])[0]


def _collect(views: Sequence[tuple[Tile, Detections]]) -> _Finds:
    counts = [len(found) for _, found in views]
    corners = np.array([(tile.left, tile.top) * 2 for tile, _ in views], dtype=np.float64)
    # The whole picture answers in reduced pixels, the tiles in their own.
    factors = np.array(
        [(tile.size[1] / found.size[1], tile.size[0] / found.size[0]) * 2 for tile, found in views]
    )
    boxes = np.concatenate([found.boxes.astype(np.float64).reshape(-1, 4) for _, found in views])
    patches: list[_Patch] | None = None
    if any(found.masks is not None for _, found in views):
        patches = [patch for tile, found in views for patch in _patches(tile, found)]
    return _Finds(
        boxes=boxes * factors.repeat(counts, axis=0) + corners.repeat(counts, axis=0),
        scores=np.concatenate([found.scores for _, found in views]),
        labels=np.concatenate([found.labels for _, found in views]),
        views=np.arange(len(views)).repeat(counts),
        areas=np.array([tile.box for tile, _ in views], dtype=np.float64).repeat(counts, axis=0),
        patches=patches,
    )


def _patches(tile: Tile, found: Detections) -> list[_Patch]:
    assert found.masks is not None, "a model gives masks for all pictures or for none"
    down, across = tile.size[0] / found.size[0], tile.size[1] / found.size[1]
    patches = []
    for mask in found.masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)
        left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, 0)
        place = (
            tile.left + round(left * across),
            tile.top + round(top * down),
            tile.left + round(right * across),
            tile.top + round(bottom * down),
        )
        patches.append(_Patch(mask[top:bottom, left:right].copy(), place))
    return patches


def _joined(finds: _Finds, groups: Sequence[Sequence[int]], size: Size, wanted: Selection) -> Detections:
    """One object a group, then the selection, then the masks of what is left."""
    cut = is_cut(finds.boxes, finds.areas, size)
    sources = [_sources(finds, rows, cut) for rows in groups]
    boxes = [_hull(finds.boxes[rows]) for rows in sources]
    scores = np.array([finds.scores[list(rows)].max() for rows in groups], dtype=np.float32)
    order = np.argsort(-scores, kind="stable")
    found = Detections(
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4)[order],
        scores=scores[order],
        labels=np.array([finds.labels[rows[0]] for rows in groups], dtype=np.int64)[order],
        size=size,
    )
    rows = wanted.rows(found)
    chosen = found.select(rows)
    if finds.patches is None:
        return chosen
    return replace(chosen, masks=_masks([sources[order[row]] for row in rows], finds.patches, size))


def _sources(finds: _Finds, rows: Sequence[int], cut: NDArray[np.bool_]) -> list[int]:
    """The finds that give box and mask: the finest view that sees the whole object, else all pieces."""
    complete = [row for row in rows if not cut[row]]
    if not complete:
        return list(rows)
    return [min(complete, key=lambda row: (_extent(finds.areas[row]), -finds.scores[row]))]


def _extent(area: NDArray[np.float64]) -> float:
    return float((area[2] - area[0]) * (area[3] - area[1]))


def _hull(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _masks(sources: Sequence[Sequence[int]], patches: Sequence[_Patch], size: Size) -> NDArray[np.bool_]:
    needed = len(sources) * size[0] * size[1]
    if needed > _MOST_MASK_BYTES:
        raise ValueError(
            f"masks of {len(sources)} objects in a picture of {size[0]} x {size[1]} need "
            f"{needed / 2**30:.0f} GiB; ask for fewer: max_detections=, classes= or a higher threshold="
        )
    masks = np.zeros((len(sources), *size), dtype=bool)
    for mask, rows in zip(masks, sources, strict=True):
        for row in rows:
            patches[row].paint(mask)
    return masks
