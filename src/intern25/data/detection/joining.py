# SPDX-License-Identifier: MIT
"""Several detection data sets of the same classes as one, such as VOC2007 and VOC2012."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from intern25.data.detection.images import StoredDetectionImages
from intern25.data.stores import ImageData, ImageStore


@dataclass(frozen=True, slots=True)
class JoinedStore:
    """Several stores; the part of a name before the first slash says which."""

    parts: Mapping[str, ImageStore]

    def read(self, name: str) -> ImageData:
        """Return the content of ``name``."""
        part, _, rest = name.partition("/")
        return self.parts[part].read(rest)


def joined(parts: Sequence[StoredDetectionImages]) -> StoredDetectionImages:
    """Return the pictures of all data sets, one after the other.

    Args:
        parts: Data sets with the same classes in the same order. Names and ids get the number of the part.

    Raises:
        ValueError: There is none, or the classes differ.

    Example:
        >>> years = [read_detection(f"VOCdevkit/VOC{y}", split="trainval") for y in (2007, 2012)]
        ... # doctest: +SKIP
        >>> train = joined(years)  # doctest: +SKIP
    """
    if not parts:
        raise ValueError("no data sets to join")
    first = parts[0]
    for part in parts[1:]:
        if part.classes.en != first.classes.en:
            raise different_classes(first, part)
    return replace(
        first,
        where=" + ".join(part.where for part in parts),
        names=tuple(f"{number}/{name}" for number, part in enumerate(parts) for name in part.names),
        image_ids=tuple(f"{number}/{key}" for number, part in enumerate(parts) for key in part.image_ids),
        annotations=tuple(annotation for part in parts for annotation in part.annotations),
        store=JoinedStore({str(number): part.store for number, part in enumerate(parts)}),
        defects=tuple(defect for part in parts for defect in part.defects),
        amodal=any(part.amodal for part in parts),
    )


def different_classes(first: StoredDetectionImages, second: StoredDetectionImages) -> ValueError:
    """Return the error that says which classes only one of two data sets has."""
    names = [dict.fromkeys(images.classes.en) for images in (first, second)]
    only = [[name for name in own if name not in other] for own, other in (names, names[::-1])]
    found = [
        f"only in {images.where} {', '.join(lone[:5])}{', ...' if len(lone) > 5 else ''}"
        for images, lone in zip((first, second), only, strict=True)
        if lone
    ]
    if not found:
        found = [f"{first.where} and {second.where} have the same ones in another order or with other ids"]
    return ValueError(f"different classes: {'; '.join(found)}. Give both the same list of classes")
