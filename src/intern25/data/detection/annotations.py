# SPDX-License-Identifier: MIT
"""Boxes and instance masks of pictures, as every reader of a detection data set returns them.

Masks stay as the data set stores them, polygons or run lengths, and become pixels when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from intern25.data.class_names import ClassNames
from intern25.data.detection.masks import StoredMask, decode_mask

if TYPE_CHECKING:
    from PIL import Image

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """What is known about one picture.

    Convention:
        - boxes: (left, top, right, bottom) in pixels of the picture, right and bottom exclusive; the pixel in
          row 0, column 0 covers (0, 0, 1, 1).
        - labels: positions in the ``classes`` of the data set.
    """

    boxes: NDArray[np.float32]
    """``(K, 4)``."""
    labels: NDArray[np.int64]
    """``(K,)``."""
    size: Size
    """(height, width) of the picture."""
    masks: tuple[StoredMask | None, ...] | None = None
    """One mask a box in the data set's own form, ``None`` for a box without; ``None`` where none has one."""
    crowd: NDArray[np.bool_]
    """``(K,)``: regions to ignore or groups that were not told apart (COCO ``iscrowd``, Open Images
    ``IsGroupOf``, CrowdHuman ``mask``)."""
    difficult: NDArray[np.bool_]
    """``(K,)``: objects that neither train nor count in a score (Pascal VOC)."""
    areas: NDArray[np.float32]
    """``(K,)``: area in pixels, of the mask where the data set gives it, else of the box."""
    ids: tuple[int | str, ...]
    """Names of the annotations in messages: ids of the data set, or lines of the file."""
    negative_labels: tuple[int, ...] = ()
    """Classes that were looked for and are not in the picture (LVIS, Open Images)."""
    not_exhaustive_labels: tuple[int, ...] = ()
    """Classes of which not every object is annotated (LVIS)."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """``(K,)``: crowd or difficult; such a box is no training target."""
        return self.crowd | self.difficult

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Pixels of object ``index``, ``(H, W)``.

        Raises:
            ValueError: The object has no mask, or it is broken.
        """
        stored = self.masks[index] if self.masks is not None else None
        if stored is None:
            raise ValueError(f"annotation {self.ids[index]} has a box but no mask")
        return decode_mask(stored, self.size)

    def decode_masks(self) -> NDArray[np.bool_]:
        """Pixels of all objects, ``(K, H, W)``.

        Raises:
            ValueError: An object has no mask, or it is broken.
        """
        masks = np.zeros((len(self), *self.size), dtype=np.bool_)
        for index in range(len(self)):
            masks[index] = self.mask(index)
        return masks

    @property
    def has_all_masks(self) -> bool:
        """Whether each object that trains has a mask; true without objects."""
        if not len(self):
            return True
        if self.masks is None:
            return False
        return all(
            mask is not None for mask, ignored in zip(self.masks, self.ignored, strict=True) if not ignored
        )

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> Annotation:
        """Return the objects at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            boxes=self.boxes[chosen],
            labels=self.labels[chosen],
            masks=None if self.masks is None else tuple(self.masks[i] for i in chosen),
            crowd=self.crowd[chosen],
            difficult=self.difficult[chosen],
            areas=self.areas[chosen],
            ids=tuple(self.ids[i] for i in chosen),
        )


class DetectionImages(Protocol):
    """Annotated pictures of one split."""

    @property
    def classes(self) -> ClassNames:
        """Names of the classes; labels are positions in it."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """File name of a picture, for messages."""
        ...

    def image_id(self, index: int) -> int | str:
        """Id of a picture in its data set."""
        ...

    def image(self, index: int) -> Image.Image:
        """Return the picture, upright RGB."""
        ...

    def annotation(self, index: int) -> Annotation:
        """Boxes and masks of the picture."""
        ...


@dataclass(slots=True)
class AnnotationRows:
    """Objects of one picture while a reader collects them, box by box."""

    boxes: list[Sequence[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    masks: list[StoredMask | None] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    ids: list[int | str] = field(default_factory=list)
    negative: list[int] = field(default_factory=list)
    not_exhaustive: list[int] = field(default_factory=list)

    def add(
        self,
        box: Sequence[float],
        label: int,
        row_id: int | str,
        *,
        mask: StoredMask | None = None,
        crowd: bool = False,
        difficult: bool = False,
        area: float | None = None,
    ) -> None:
        """Append one object; ``box`` is (left, top, right, bottom), ``area`` that of the box by default."""
        self.boxes.append(box)
        self.labels.append(label)
        self.masks.append(mask)
        self.crowd.append(crowd)
        self.difficult.append(difficult)
        self.areas.append((box[2] - box[0]) * (box[3] - box[1]) if area is None else area)
        self.ids.append(row_id)

    def annotation(self, size: Size) -> Annotation:
        """Return what was collected, for a picture of ``size``."""
        has_masks = any(mask is not None for mask in self.masks)
        with np.errstate(over="ignore"):  # such a box becomes infinite, which the check reports
            boxes = np.asarray(self.boxes, dtype=np.float32).reshape(-1, 4)
            areas = np.asarray(self.areas, dtype=np.float32)
        return Annotation(
            boxes=boxes,
            labels=np.asarray(self.labels, dtype=np.int64),
            size=size,
            masks=tuple(self.masks) if has_masks else None,
            crowd=np.asarray(self.crowd, dtype=np.bool_),
            difficult=np.asarray(self.difficult, dtype=np.bool_),
            areas=areas,
            ids=tuple(self.ids),
            negative_labels=tuple(self.negative),
            not_exhaustive_labels=tuple(self.not_exhaustive),
        )
