# SPDX-License-Identifier: MIT
"""Pictures with a class mask, as every reader of a segmentation data set returns them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from intern25.data.class_names import ClassNames
from intern25.data.decoding import decode_stored
from intern25.data.defects import Defect
from intern25.data.segmentation.batch import IGNORED, Size
from intern25.data.stores import ImageData, ImageStore, MemoryStore
from intern25.data.trees import stored_image_size

UNKNOWN = -1
"""Entry of a lookup for a value that the data set does not have."""


class MaskReadError(ValueError):
    """A class mask is missing, damaged or holds wrong values; the message names it."""


class SemanticImages(Protocol):
    """Pictures of one split with a class for each pixel."""

    @property
    def classes(self) -> ClassNames:
        """Names of the classes; mask values are positions in it."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """File name of a picture, for messages."""
        ...

    def size(self, index: int) -> Size:
        """(height, width) of the picture."""
        ...

    def image(self, index: int) -> Image.Image:
        """Return the picture, upright RGB."""
        ...

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Class of each pixel, ``(H, W)``; 255 is ignored."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSemanticImages:
    """Pictures and mask files of one split; implements ``SemanticImages``."""

    where: str
    """Path and split, for messages."""
    names: tuple[str, ...]
    """What the store and messages call each picture."""
    mask_names: tuple[str, ...]
    """What the store calls the mask of each picture."""
    classes: ClassNames
    """Class names; labels are positions in it."""
    lookup: NDArray[np.int16]
    """Label of each value in the files; 255 = ignored, -1 = the data set has no such value."""
    store: ImageStore
    """Gives the bytes of a name."""
    defects: tuple[Defect, ...] = ()
    """Files that have no partner; they are not among ``names``."""

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """File name of picture ``index``."""
        return self.names[index]

    def size(self, index: int) -> Size:
        """(height, width) of picture ``index``, from its header."""
        return stored_image_size(self.store, self.names[index])

    def image(self, index: int) -> Image.Image:
        """Return picture ``index``, upright RGB.

        Raises:
            ImageDecodingError: It is missing or damaged.
        """
        return decode_stored(self.store, self.names[index])

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Class of each pixel of picture ``index``, ``(H, W)``; 255 is ignored.

        Raises:
            MaskReadError: It is missing or damaged, or holds values that the data set does not have.
        """
        name = self.mask_names[index]
        try:
            data = self.store.read(name)
        except (OSError, KeyError) as error:
            raise MaskReadError(f"{name}: the file is missing") from error
        if not isinstance(data, bytes):
            return data  # held in memory as labels
        values = read_mask(name, data)
        known = self.lookup[np.minimum(values, len(self.lookup) - 1)]
        if (known == UNKNOWN).any() or values.max(initial=0) >= len(self.lookup):
            raise MaskReadError(f"{name}: {self._unknown_values(values)}")
        labels: NDArray[np.uint8] = known.astype(np.uint8)
        return labels

    def _unknown_values(self, values: NDArray[np.integer]) -> str:
        present = np.unique(values)
        known = [v < len(self.lookup) and self.lookup[v] != UNKNOWN for v in present.tolist()]
        wrong = present[~np.array(known)].tolist()
        return f"it holds the values {wrong[:8]}, which none of the {len(self.classes)} classes has"

    def select(self, indices: Sequence[int]) -> StoredSemanticImages:
        """Return the pictures at ``indices``, in that order."""
        return replace(
            self,
            names=tuple(self.names[index] for index in indices),
            mask_names=tuple(self.mask_names[index] for index in indices),
        )

    def in_memory(self) -> StoredSemanticImages:
        """Return the same pictures with all encoded bytes held in memory."""
        files = {name: self.store.read(name) for name in (*self.names, *self.mask_names)}
        return replace(self, store=MemoryStore(files))

    def decoded_in_memory(self) -> StoredSemanticImages:
        """Return the same pictures with all pixels held in memory, four bytes a pixel."""
        files: dict[str, ImageData] = {n: np.asarray(self.image(i)) for i, n in enumerate(self.names)}
        files.update({name: self.mask(index) for index, name in enumerate(self.mask_names)})
        return replace(self, store=MemoryStore(files))

    def pixel_counts(self) -> list[int]:
        """Number of pixels of each class over all masks."""
        counts = np.zeros(256, dtype=np.int64)
        for index in range(len(self)):
            counts += np.bincount(self.mask(index).reshape(-1), minlength=256)
        return [int(count) for count in counts[: len(self.classes)]]


def read_mask(name: str, data: bytes) -> NDArray[np.integer]:
    """Values of a mask file, ``(H, W)``: grey levels or palette numbers.

    Raises:
        MaskReadError: It cannot be decoded, or holds colours.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            values = np.asarray(image)
    except UnidentifiedImageError as error:
        raise MaskReadError(f"{name}: it cannot be read: it is not a picture of a known format") from error
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, Image.DecompressionBombError) as error:
        raise MaskReadError(f"{name}: it cannot be read: {error}") from error
    if values.ndim == 3:
        if not (values[..., :3] == values[..., :1]).all():
            raise MaskReadError(
                f"{name}: it holds colours, not class numbers; save each class's number as grey"
            )
        values = values[..., 0]
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if not np.issubdtype(values.dtype, np.integer) or values.min(initial=0) < 0:
        raise MaskReadError(f"{name}: it holds {values.dtype} values, not class numbers from 0")
    return values


def identity_lookup(num_classes: int, ignored: Sequence[int] = ()) -> NDArray[np.int16]:
    """Lookup where value ``k`` is class ``k``; 255 and ``ignored`` are ignored."""
    lookup = np.full(256, UNKNOWN, dtype=np.int16)
    lookup[:num_classes] = np.arange(num_classes)
    lookup[[IGNORED, *ignored]] = IGNORED
    return lookup


def zero_ignored_lookup(num_classes: int) -> NDArray[np.int16]:
    """Lookup where value ``k + 1`` is class ``k``, and 0 and 255 are ignored."""
    lookup = np.full(256, UNKNOWN, dtype=np.int16)
    lookup[1 : num_classes + 1] = np.arange(num_classes)
    lookup[[0, IGNORED]] = IGNORED
    return lookup


def grouped_lookup(groups: Sequence[Sequence[int]], num_values: int) -> NDArray[np.int16]:
    """Lookup where values ``groups[k]`` are class ``k`` and the others below ``num_values`` are ignored."""
    lookup = np.full(256, UNKNOWN, dtype=np.int16)
    lookup[:num_values] = IGNORED
    lookup[IGNORED] = IGNORED
    for label, values in enumerate(groups):
        lookup[list(values)] = label
    return lookup
