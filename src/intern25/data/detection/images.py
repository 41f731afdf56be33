# SPDX-License-Identifier: MIT
"""The pictures of one split as every detection reader returns them, and where their bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.decoding import decode_stored
from intern25.data.defects import Defect
from intern25.data.detection.annotations import Annotation, AnnotationRows, Size
from intern25.data.stores import ImageStore, MemoryStore
from intern25.data.trees import stored_image_size


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDetectionImages:
    """Annotated pictures of one split; implements ``DetectionImages``."""

    where: str
    """Path and split, for messages."""
    names: tuple[str, ...]
    """What the store and messages call each picture."""
    image_ids: tuple[int | str, ...]
    """Ids of the pictures in the data set."""
    annotations: Sequence[Annotation]
    """Objects of each picture."""
    classes: ClassNames
    """Class names; labels are positions in it."""
    category_ids: tuple[int | str, ...]
    """Id of each class in the data set, to write results in its own terms."""
    store: ImageStore
    """Gives the bytes of a name."""
    defects: tuple[Defect, ...] = ()
    """Rows that could not be read; they are not among ``annotations``."""
    frequencies: tuple[str, ...] | None = None
    """``r``, ``c`` or ``f`` of each class: rare, common or frequent in the training data (LVIS)."""
    amodal: bool = False
    """Whether boxes go round the whole object, also where it leaves the picture (CrowdHuman)."""

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """File name of picture ``index``."""
        return self.names[index]

    def image_id(self, index: int) -> int | str:
        """Id of picture ``index`` in its data set."""
        return self.image_ids[index]

    def image(self, index: int) -> Image.Image:
        """Return picture ``index``, upright RGB.

        Raises:
            ImageDecodingError: It is missing or damaged.
        """
        return decode_stored(self.store, self.names[index])

    def annotation(self, index: int) -> Annotation:
        """Objects of picture ``index``."""
        return self.annotations[index]

    def select(self, indices: Sequence[int]) -> StoredDetectionImages:
        """Return the pictures at ``indices``, in that order."""
        if isinstance(self.annotations, RelativeAnnotations):
            annotations: Sequence[Annotation] = self.annotations.select(indices)
        else:
            annotations = tuple(self.annotations[index] for index in indices)
        return replace(
            self,
            names=tuple(self.names[index] for index in indices),
            image_ids=tuple(self.image_ids[index] for index in indices),
            annotations=annotations,
        )

    def in_memory(self) -> StoredDetectionImages:
        """Return the same pictures with all encoded bytes held in memory."""
        return replace(self, store=MemoryStore({name: self.store.read(name) for name in self.names}))

    def decoded_in_memory(self) -> StoredDetectionImages:
        """Return the same pictures with all pixels held in memory, three bytes a pixel."""
        pixels = {name: np.asarray(self.image(index)) for index, name in enumerate(self.names)}
        return replace(self, store=MemoryStore(pixels))

    def with_objects(self, *, masks: bool = False) -> StoredDetectionImages:
        """Return the pictures that have something to learn from, as the official training does.

        Args:
            masks: Also leave out pictures of which an object has no mask.

        Raises:
            ValueError: No picture is left.
        """
        kept = [
            index
            for index in range(len(self))
            if not self.annotations[index].ignored.all()
            and (not masks or self.annotations[index].has_all_masks)
        ]
        if not kept:
            wanted = "an object with a mask" if masks else "an object"
            raise ValueError(f"none of the {len(self)} pictures of {self.where} has {wanted}")
        return self if len(kept) == len(self) else self.select(kept)

    def present_classes(self) -> list[NDArray[np.int64]]:
        """Classes of the objects of each picture that something can be learned from, each once."""
        return [np.unique(annotation.labels[~annotation.ignored]) for annotation in self.annotations]

    def class_counts(self) -> list[int]:
        """Number of objects of each class."""
        counts = np.zeros(len(self.classes), dtype=np.int64)
        for annotation in self.annotations:
            counts += np.bincount(annotation.labels, minlength=len(self.classes))
        return [int(count) for count in counts]


class RelativeAnnotations(Sequence[Annotation]):
    """Annotations stored as shares of the picture's sides, turned into pixels when looked at.

    The size of a picture is read from its header the first time, not when the data set is opened.
    """

    def __init__(
        self,
        rows: tuple[AnnotationRows, ...],
        names: tuple[str, ...],
        store: ImageStore,
        *,
        fractions: bool = True,
    ) -> None:
        self.rows = rows
        self.names = names
        self.store = store
        self.fractions = fractions
        self._ready: dict[int, Annotation] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Annotation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Annotation]: ...
    def __getitem__(self, index: int | slice) -> Annotation | Sequence[Annotation]:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        if index < 0 or index >= len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        if index not in self._ready:
            self._ready[index] = self._pixels(index)
        return self._ready[index]

    def select(self, indices: Sequence[int]) -> RelativeAnnotations:
        """Return the annotations at ``indices``."""
        chosen = RelativeAnnotations(
            tuple(self.rows[i] for i in indices),
            tuple(self.names[i] for i in indices),
            self.store,
            fractions=self.fractions,
        )
        chosen._ready = {new: self._ready[old] for new, old in enumerate(indices) if old in self._ready}
        return chosen

    def _pixels(self, index: int) -> Annotation:
        try:
            size = stored_image_size(self.store, self.names[index])
        except ValueError:
            size = (1, 1)  # the picture cannot be read: the check says so, and nothing can be trained with it
        annotation = self.rows[index].annotation(size)
        return _scaled(annotation, size) if self.fractions else annotation


def _scaled(annotation: Annotation, size: Size) -> Annotation:
    """Turn shares of the sides into pixels."""
    height, width = size
    masks = annotation.masks
    if masks is not None:
        factor = np.array([width, height], dtype=np.float64)
        masks = tuple(
            tuple((ring.reshape(-1, 2) * factor).reshape(-1) for ring in mask)
            if isinstance(mask, tuple)
            else mask
            for mask in masks
        )
    scale = np.array([width, height, width, height], dtype=np.float32)
    return replace(
        annotation,
        boxes=annotation.boxes * scale,
        areas=annotation.areas * np.float32(height * width),
        masks=masks,
    )
