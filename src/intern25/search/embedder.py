# SPDX-License-Identifier: MIT
"""What a model must give so that pictures can be searched by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""One upright RGB picture, ``(H, W, 3)``."""
Vectors = NDArray[np.float32]
"""Embeddings ``(N, D)``, rows of length 1."""


class Regions(NamedTuple):
    """The parts of one picture that have an embedding of their own."""

    boxes: NDArray[np.float32]
    """``(R, 4)``: left, top, right, bottom in pixels of the picture that was given."""
    embeddings: Vectors
    """``(R, D)``, in the space of pictures and texts."""
    scores: NDArray[np.float32]
    """``(R,)``: how sure the model is that something is there, 0 to 1."""


@runtime_checkable
class Embedder(Protocol):
    """Pictures and texts to points of one space, in which what belongs together is near.

    Convention:
        - rows have length 1: the inner product of two is the cosine of their angle.
        - the embedding of a picture does not depend on its neighbours in the batch.
    """

    @property
    def name(self) -> str:
        """Name or path that opens this model again."""
        ...

    @property
    def fingerprint(self) -> str:
        """Short text that differs when the weights differ."""
        ...

    @property
    def dimension(self) -> int:
        """Length of an embedding, ``D``."""
        ...

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """Return ``(N, D)`` for ``N`` pictures of any sizes."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return ``(N, D)`` for ``N`` texts."""
        ...


@runtime_checkable
class RegionEmbedder(Embedder, Protocol):
    """An embedder that also looks at the parts of a picture."""

    def embed_regions(self, images: Sequence[Pixels]) -> list[Regions]:
        """Return the regions of each picture."""
        ...


def checked_vectors(vectors: Vectors, embedder: Embedder, count: int) -> Vectors:
    """Return ``vectors`` as float32 after a look at their shape and values.

    Raises:
        ValueError: They are not ``(count, D)``, or not finite.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.shape != (count, embedder.dimension):
        raise ValueError(
            f"{embedder.name} gives embeddings of shape {vectors.shape}, "
            f"expected {(count, embedder.dimension)}"
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{embedder.name} returns NaN or infinite values: its weights are damaged or unfit")
    return vectors
