# SPDX-License-Identifier: MIT
"""Pictures with what is said about them, decoded when asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.decoding import decode_stored
from intern25.data.defects import Defect
from intern25.data.seeding import derive_seed
from intern25.data.stores import ImageStore, MemoryStore

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pictures(Protocol[T_co]):
    """Pictures of one split, each with its records; stored, or drawn when asked for."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Name of a picture, for messages."""
        ...

    def items(self, index: int) -> tuple[T_co, ...]:
        """Records of the picture."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of the picture, ``(H, W, 3)`` upright RGB."""
        ...


@dataclass(frozen=True, slots=True)
class AnnotatedPictures(Generic[T]):
    """Stored pictures of one split with their records; implements ``Pictures``.

    Example:
        >>> pixels = np.zeros((4, 6, 3), dtype=np.uint8)
        >>> pictures = AnnotatedPictures(("a",), (("a dark room",),), MemoryStore({"a": pixels}))
        >>> pictures.items(0), pictures.image(0).shape
        (('a dark room',), (4, 6, 3))
    """

    names: tuple[str, ...]
    """What the store and messages call each picture."""
    records: tuple[tuple[T, ...], ...]
    """Records of each picture."""
    store: ImageStore
    """Gives the bytes of a name."""
    where: str = "pictures"
    """Path and split, for messages."""
    defects: tuple[Defect, ...] = ()
    """Rows and pictures that were left out."""

    def __post_init__(self) -> None:
        if len(self.names) != len(self.records):
            raise ValueError(f"{self.where}: {len(self.names)} pictures but {len(self.records)} record lists")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(
                f"{self.where}: {len(twice)} pictures are listed twice, such as {twice[0]}; list each once"
            )

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """File name of picture ``index``."""
        return self.names[index]

    def items(self, index: int) -> tuple[T, ...]:
        """Records of picture ``index``."""
        return self.records[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of picture ``index``, ``(H, W, 3)`` upright RGB.

        Raises:
            ImageDecodingError: It is missing or damaged.
        """
        return np.asarray(decode_stored(self.store, self.names[index]))

    def select(self, indices: Sequence[int]) -> AnnotatedPictures[T]:
        """Return the pictures at ``indices``, in that order."""
        return replace(
            self,
            names=tuple(self.names[index] for index in indices),
            records=tuple(self.records[index] for index in indices),
        )

    def in_memory(self) -> AnnotatedPictures[T]:
        """Return the same pictures with all encoded bytes held in memory."""
        return replace(self, store=MemoryStore({name: self.store.read(name) for name in self.names}))

    def decoded_in_memory(self) -> AnnotatedPictures[T]:
        """Return the same pictures with all pixels held in memory, three bytes a pixel."""
        pixels = {name: self.image(index) for index, name in enumerate(self.names)}
        return replace(self, store=MemoryStore(pixels))

    def num_items(self) -> int:
        """Number of records of all pictures together."""
        return sum(map(len, self.records))


class PictureSource(Protocol):
    """Pictures of a data set of another kind: boxes, masks or classes."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """File name of a picture, for messages."""
        ...

    def image(self, index: int) -> Image.Image:
        """Return the picture, upright RGB."""
        ...


@dataclass(frozen=True, slots=True)
class DrawnPictures(Generic[T]):
    """Pictures whose records are drawn from annotations, anew for each epoch; implements ``Pictures``.

    The records of a picture follow from (seed, epoch, index) alone, whatever was asked for before.
    """

    source: PictureSource
    """The annotated pictures."""
    draw: Callable[[int, np.random.Generator], tuple[T, ...]]
    """Makes the records of one picture."""
    indices: tuple[int, ...]
    """Positions in ``source``."""
    seed: int = 0
    """Seed of all draws."""
    epoch: int = 0
    """Pass over the data."""

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """File name of picture ``index``."""
        return self.source.name(self.indices[index])

    def items(self, index: int) -> tuple[T, ...]:
        """Records of picture ``index``; there may be none."""
        position = self.indices[index]
        return self.draw(position, np.random.default_rng(derive_seed(self.seed, self.epoch, position)))

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of picture ``index``, ``(H, W, 3)`` upright RGB."""
        return np.asarray(self.source.image(self.indices[index]))

    def at_epoch(self, epoch: int) -> DrawnPictures[T]:
        """Return the same pictures with the records of another epoch."""
        return replace(self, epoch=epoch)

    def select(self, indices: Sequence[int]) -> DrawnPictures[T]:
        """Return the pictures at ``indices``, in that order."""
        return replace(self, indices=tuple(self.indices[index] for index in indices))
