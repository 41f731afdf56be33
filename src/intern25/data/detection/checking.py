# SPDX-License-Identifier: MIT
"""Find what is wrong with a detection data set before training starts, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from intern25.data.decoding import ImageDecodingError
from intern25.data.defects import Defect, refuse
from intern25.data.detection.annotations import Annotation
from intern25.data.detection.images import StoredDetectionImages

_LEFT_OUT = "it is left out; draw it again if it should count"
_TOLERANCE = 1.0
"""Pixels by which a box may leave the picture: annotation tools round."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the check says about one picture."""

    defects: list[Defect]
    usable: bool
    annotation: Annotation


def check(images: StoredDetectionImages, *, masks: bool = False, threads: int = 2) -> list[Defect]:
    """List the defects of a data set, in the order of its pictures; those of its files come first.

    Each picture is decoded. A row names the file and the annotation, and says what to do.

    Args:
        images: Pictures of one split.
        masks: Whether each object needs a mask.
        threads: Pictures decoded at the same time.
    """
    return [
        *_defects_of_files(images),
        *(row for f in _findings(images, masks, threads) for row in f.defects),
    ]


def without_defects(
    images: StoredDetectionImages, *, skip_bad: bool, masks: bool = False, threads: int = 2
) -> tuple[StoredDetectionImages, list[Defect]]:
    """Check a data set and leave out what cannot be used.

    Boxes that partly leave the picture are cut at its border, empty ones are left out; both without asking.
    Pictures that cannot be read and annotations that make no sense need ``skip_bad``.

    Args:
        images: Pictures of one split.
        skip_bad: Leave bad pictures and annotations out instead of raising.
        masks: Whether each object needs a mask; pictures with one that has none are bad then.
        threads: Pictures decoded at the same time.

    Returns:
        The usable pictures, and all defects.

    Raises:
        ValueError: There are serious defects and ``skip_bad`` is false, or no picture is left.
    """
    findings = list(_findings(images, masks, threads))
    defects = [*_defects_of_files(images), *(row for finding in findings for row in finding.defects)]
    if not skip_bad:
        refuse(images.where, defects)
    if not defects:
        return images, []
    first_of_id = {image_id: index for index, image_id in reversed(list(enumerate(images.image_ids)))}
    kept = [i for i, f in enumerate(findings) if f.usable and first_of_id[images.image_ids[i]] == i]
    if not kept:
        raise ValueError(f"none of the {len(images)} pictures of {images.where} can be used; {defects[0]}")
    good = images.select(kept)
    return replace(good, annotations=tuple(findings[i].annotation for i in kept), defects=()), defects


def _defects_of_files(images: StoredDetectionImages) -> Iterator[Defect]:
    """Rows that the reader refused, and pictures listed twice."""
    yield from images.defects
    for what, values in (("file name", images.names), ("id", images.image_ids)):
        for value, count in Counter(values).items():
            if count > 1:
                yield Defect(
                    images.where, f"{what} {value} is listed {count} times", "list each picture once"
                )


def _findings(images: StoredDetectionImages, masks: bool, threads: int) -> Iterator[_Finding]:
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda index: _inspect(images, index, masks), range(len(images)))


def _inspect(images: StoredDetectionImages, index: int, masks: bool) -> _Finding:
    name, annotation = images.names[index], images.annotations[index]
    try:
        picture = images.image(index)
    except ImageDecodingError as error:
        missing = isinstance(error.__cause__, FileNotFoundError | KeyError)
        problem = (
            "the file is missing" if missing else f"it cannot be read: {str(error).removeprefix(f'{name}: ')}"
        )
        defect = Defect(name, problem, "copy it again or remove it from the annotations")
        return _Finding([defect], False, annotation)
    size = (picture.height, picture.width)
    if size != annotation.size:
        stated = " x ".join(str(side) for side in annotation.size)
        problem = f"the picture is {size[0]} x {size[1]} (height x width) but its annotation says {stated}"
        if size == annotation.size[::-1]:
            problem += "; perhaps it was annotated without the rotation in its EXIF data"
        return _Finding([Defect(name, problem, "annotate the picture as it is shown")], False, annotation)
    return _inspect_objects(name, annotation, len(images.classes), images.amodal, masks)


def _inspect_objects(
    name: str, annotation: Annotation, num_classes: int, amodal: bool, masks: bool
) -> _Finding:
    defects: list[Defect] = []
    kept: list[int] = []
    seen: set[tuple[float, ...]] = set()
    lacks_mask = False
    cut = _cut_at_border(annotation)
    for index in range(len(annotation)):
        box, label = annotation.boxes[index], int(annotation.labels[index])
        key = (label, *box.tolist())
        defect = _box_defect(name, annotation, index, cut[index], num_classes)
        if defect is None and masks and _mask_missing(annotation, index):
            defect = _row(
                name, annotation, index, "it has a box but no mask", "draw one, or train boxes only"
            )
            lacks_mask = True
        if defect is None and key in seen and not annotation.ignored[index] and annotation.masks is None:
            defect = _row(
                name, annotation, index, "the same box and class is there twice", "one is left out", False
            )
        seen.add(key)
        if defect is not None:
            defects.append(defect)
            continue
        kept.append(index)
        if not amodal and np.abs(cut[index] - box).max() > _TOLERANCE:
            problem = f"box {_show(box)} leaves the picture ({_show_size(annotation)})"
            defects.append(_row(name, annotation, index, problem, "it is cut at the border", False))
    boxes = annotation.boxes if amodal else cut
    return _Finding(defects, not lacks_mask, replace(annotation, boxes=boxes).select(kept))


def _cut_at_border(annotation: Annotation) -> NDArray[np.float32]:
    height, width = annotation.size
    return annotation.boxes.clip(0, np.array([width, height, width, height], dtype=np.float32))


def _box_defect(
    name: str, annotation: Annotation, index: int, cut: NDArray[np.float32], num_classes: int
) -> Defect | None:
    """Why object ``index`` cannot be used; ``None`` where it can."""
    box, label = annotation.boxes[index], int(annotation.labels[index])
    if not 0 <= label < num_classes:
        problem = f"class {label} is not one of the {num_classes} classes"
        return _row(name, annotation, index, problem, "correct the class")
    if not np.isfinite(box).all():
        return _row(name, annotation, index, "its box has NaN or infinite coordinates", "correct the box")
    if box[2] <= box[0] or box[3] <= box[1]:
        return _row(name, annotation, index, f"box {_show(box)} has no area", _LEFT_OUT, False)
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        problem = f"box {_show(box)} is outside the picture ({_show_size(annotation)})"
        return _row(name, annotation, index, problem, "correct or remove it")
    return _mask_defect(name, annotation, index)


def _mask_defect(name: str, annotation: Annotation, index: int) -> Defect | None:
    if annotation.masks is None or annotation.masks[index] is None:
        return None
    try:
        empty = not annotation.mask(index).any()
    except ValueError as error:
        return _row(name, annotation, index, str(error), "correct its segmentation")
    if empty:
        return _row(name, annotation, index, "its mask covers no pixel", _LEFT_OUT, False)
    return None


def _mask_missing(annotation: Annotation, index: int) -> bool:
    if annotation.ignored[index]:
        return False
    return annotation.masks is None or annotation.masks[index] is None


def _row(
    name: str, annotation: Annotation, index: int, problem: str, remedy: str, serious: bool = True
) -> Defect:
    return Defect(name, problem, remedy, annotation.ids[index], serious)


def _show(box: NDArray[np.float32]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box.tolist()) + ")"


def _show_size(annotation: Annotation) -> str:
    return f"{annotation.size[1]} wide, {annotation.size[0]} high"
