# SPDX-License-Identifier: MIT
"""Labelled images as every reader returns them: names, classes and where the bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from intern25.data.stores import ImageData, ImageStore, MemoryStore


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """The images of one split.

    Args:
        names: What the store and error messages call each image.
        labels: Class index of each image, ``-1`` never occurs.
        classes: Class names; ``labels`` index this tuple.
        store: Gives the encoded bytes of a name.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    store: ImageStore

    def __post_init__(self) -> None:
        if len(self.names) != len(self.labels):
            raise ValueError(f"{len(self.names)} images but {len(self.labels)} labels")
        for name, label in zip(self.names, self.labels, strict=True):
            if not 0 <= label < len(self.classes):
                raise ValueError(
                    f"label {label} of {name} is out of range: there are {len(self.classes)} classes, "
                    f"so labels go from 0 to {len(self.classes) - 1}"
                )

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> ImageData:
        """Return image ``index``: encoded bytes, or pixels where they are held in memory."""
        return self.store.read(self.names[index])

    def select(self, indices: Sequence[int]) -> LabelledImages:
        """Return the images at ``indices``, in that order."""
        return replace(
            self,
            names=tuple(self.names[index] for index in indices),
            labels=tuple(self.labels[index] for index in indices),
        )

    def in_memory(self) -> LabelledImages:
        """Return the same images with all encoded bytes held in memory."""
        return replace(self, store=MemoryStore({name: self.store.read(name) for name in self.names}))

    def class_counts(self) -> list[int]:
        """Number of images of each class."""
        counts = np.bincount(np.asarray(self.labels, dtype=np.int64), minlength=len(self.classes))
        return [int(count) for count in counts]


@dataclass(frozen=True, slots=True)
class Splits:
    """Training and validation images that share one tuple of classes."""

    train: LabelledImages
    val: LabelledImages


def split_by_seed(images: LabelledImages, fraction: float, seed: int) -> Splits:
    """Cut validation images off each class, ``max(1, round(fraction * n))`` of a class of ``n >= 2``.

    Raises:
        ValueError: ``fraction`` is not between 0 and 1, or no class has two images.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"the validation fraction {fraction} must lie between 0 and 1")
    generator = np.random.default_rng(seed)
    labels = np.asarray(images.labels)
    held_out: list[int] = []
    for label in range(len(images.classes)):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) >= 2:
            held_out.extend(members[: max(1, round(fraction * len(members)))].tolist())
    if not held_out:
        raise ValueError("no class has two images, so no validation split can be cut off; give a val split")
    chosen = set(held_out)
    kept = [index for index in range(len(images)) if index not in chosen]
    return Splits(images.select(kept), images.select(sorted(chosen)))
