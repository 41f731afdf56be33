# SPDX-License-Identifier: MIT
"""Several collections of pictures as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from intern25.data.multimodal.pictures import Pictures

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JoinedPictures(Generic[T]):
    """Collections one after the other, each as often as asked; implements ``Pictures``.

    Example:
        >>> from intern25.data.multimodal.pictures import AnnotatedPictures
        >>> from intern25.data.stores import MemoryStore
        >>> one = AnnotatedPictures(("a",), (("a dog",),), MemoryStore({}))
        >>> two = AnnotatedPictures(("b",), (("a cat",),), MemoryStore({}))
        >>> joined = JoinedPictures((one, two), (1, 2))
        >>> len(joined), joined.items(2)
        (3, ('a cat',))
    """

    parts: tuple[Pictures[T], ...]
    """The collections."""
    times: tuple[int, ...] = ()
    """How often each is shown in a pass; empty for once."""

    def __post_init__(self) -> None:
        times = self.times or (1,) * len(self.parts)
        if len(times) != len(self.parts) or min(times, default=1) < 1:
            raise ValueError(f"times={self.times} must say for {len(self.parts)} parts how often, 1 or more")
        object.__setattr__(self, "times", tuple(times))

    def __len__(self) -> int:
        return sum(len(part) * times for part, times in zip(self.parts, self.times, strict=True))

    def name(self, index: int) -> str:
        """Name of picture ``index``."""
        part, place = self._find(index)
        return part.name(place)

    def items(self, index: int) -> tuple[T, ...]:
        """Records of picture ``index``."""
        part, place = self._find(index)
        return part.items(place)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of picture ``index``, ``(H, W, 3)`` upright RGB."""
        part, place = self._find(index)
        return part.image(place)

    def _find(self, index: int) -> tuple[Pictures[T], int]:
        rest = index
        for part, times in zip(self.parts, self.times, strict=True):
            if 0 <= rest < len(part) * times:
                return part, rest % len(part)
            rest -= len(part) * times
        raise IndexError(f"picture {index} of {len(self)}")
