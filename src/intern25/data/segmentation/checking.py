# SPDX-License-Identifier: MIT
"""Find what is wrong with a segmentation data set before training starts, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from intern25.data.decoding import ImageDecodingError
from intern25.data.defects import Defect, refuse
from intern25.data.segmentation.batch import IGNORED
from intern25.data.segmentation.images import MaskReadError, StoredSemanticImages


def check(images: StoredSemanticImages, *, threads: int = 2) -> list[Defect]:
    """List the defects of a data set: unreadable files, unknown values, sizes that differ.

    Each picture and mask is decoded. A row names the file and says what to do.

    Args:
        images: Pictures of one split.
        threads: Pictures decoded at the same time.
    """
    return [*images.defects, *(row for row in _findings(images, threads) if row is not None)]


def without_defects(
    images: StoredSemanticImages, *, skip_bad: bool, threads: int = 2
) -> tuple[StoredSemanticImages, list[Defect]]:
    """Check a data set and leave out what cannot be used.

    Args:
        images: Pictures of one split.
        skip_bad: Leave bad pictures out instead of raising.
        threads: Pictures decoded at the same time.

    Returns:
        The usable pictures, and all defects.

    Raises:
        ValueError: There are defects and ``skip_bad`` is false, or no picture is left.
    """
    findings = list(_findings(images, threads))
    defects = [*images.defects, *(row for row in findings if row is not None)]
    if not defects:
        return images, []
    if not skip_bad:
        refuse(images.where, defects)
    kept = [index for index, row in enumerate(findings) if row is None or not row.serious]
    if not kept:
        raise ValueError(f"none of the {len(images)} pictures of {images.where} can be used; {defects[0]}")
    return replace(images.select(kept), defects=()), defects


def _findings(images: StoredSemanticImages, threads: int) -> Iterator[Defect | None]:
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda index: _inspect(images, index), range(len(images)))


def _inspect(images: StoredSemanticImages, index: int) -> Defect | None:
    """What is wrong with one picture or its mask; ``None`` where nothing is."""
    name, mask_name = images.names[index], images.mask_names[index]
    try:
        picture = images.image(index)
    except ImageDecodingError as error:
        return Defect(
            name,
            f"it cannot be read: {str(error).removeprefix(f'{name}: ')}",
            "copy it again or remove it and its mask",
        )
    try:
        mask = images.mask(index)
    except MaskReadError as error:
        problem = str(error).removeprefix(f"{mask_name}: ")
        return Defect(mask_name, problem, "correct the mask, or classes.txt where it lacks a class")
    if mask.shape != (picture.height, picture.width):
        sizes = f"{mask.shape[0]} x {mask.shape[1]}, its picture {picture.height} x {picture.width}"
        return Defect(
            mask_name, f"its size is {sizes} (height x width)", "draw the mask at the picture's size"
        )
    if (mask == IGNORED).all():
        return Defect(mask_name, "it has no pixel of any class", "label it or remove it", serious=False)
    return None
