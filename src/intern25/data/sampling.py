# SPDX-License-Identifier: MIT
"""Epochs that show images of rare classes more often: repeat factors (LVIS) and class by class (Open Images).

The classes of each image come as one array of labels an image, each label once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class Sampling(Protocol):
    """Which images an epoch shows, where that is not each one once."""

    def __len__(self) -> int:
        """Images of an epoch; an image shown twice counts twice."""
        ...

    def draw(self, generator: np.random.Generator) -> Positions:
        """Return the positions of one epoch's images, in random order."""
        ...


def image_counts(labels: Sequence[Positions], num_classes: int) -> Positions:
    """In how many images each class occurs, ``(classes,)``."""
    return np.bincount(np.concatenate([*labels, np.zeros(0, np.int64)]), minlength=num_classes)


def repeat_factors(labels: Sequence[Positions], num_classes: int, threshold: float) -> NDArray[np.float64]:
    r"""How many times as often each image is to be shown, ``(images,)``, from 1 up.

    .. math:: r(I) = \max_{c \in I} \max(1, \sqrt{t / f(c)})

    with :math:`f(c)` the share of the images that class :math:`c` occurs in.

    Args:
        labels: Classes of each image.
        num_classes: Number of classes.
        threshold: Share ``t`` below which a class is rare.

    Source:
        LVIS, arXiv:1908.03195.
    """
    counts = image_counts(labels, num_classes)
    of_class = np.maximum(1.0, np.sqrt(threshold * len(labels) / np.maximum(counts, 1)))
    return np.array([of_class[present].max(initial=1.0) for present in labels])


@dataclass(frozen=True, slots=True, eq=False)
class RepeatFactorSampling:
    """Each image as many times an epoch as its repeat factor says, rounded up.

    The LVIS paper rounds at random, anew in each epoch. mmdetection's ``ClassBalancedDataset``, with which
    InternImage was trained, rounds up; so all epochs are equally long.
    """

    factors: NDArray[np.float64]
    """Repeat factor of each image."""

    @property
    def repeats(self) -> Positions:
        """How often each image is shown in an epoch."""
        return np.ceil(self.factors).astype(np.int64)

    def __len__(self) -> int:
        return int(self.repeats.sum())

    def draw(self, generator: np.random.Generator) -> Positions:
        """Return the positions of one epoch's images, in random order."""
        return generator.permutation(np.repeat(np.arange(len(self.factors)), self.repeats))


@dataclass(frozen=True, eq=False)
class ClassAwareSampling:
    """As many images as there are, drawn class by class: every class is shown equally often.

    The classes come in turns, each turn in random order. The images of a class are gone through in random
    order before one comes again. An image of several classes can be drawn for each of them.

    Source:
        Relay backpropagation, arXiv:1512.05830.
    """

    labels: Sequence[Positions]
    """Classes of each image."""

    @cached_property
    def images_of_class(self) -> tuple[Positions, ...]:
        """Positions of the images of each class that occurs."""
        labels = np.concatenate([*self.labels, np.zeros(0, np.int64)])
        images = np.repeat(np.arange(len(self.labels)), [len(present) for present in self.labels])
        order = np.argsort(labels, kind="stable")
        groups = np.split(images[order], np.flatnonzero(np.diff(labels[order])) + 1)
        return tuple(group for group in groups if len(group))

    def __len__(self) -> int:
        return len(self.labels)

    def draw(self, generator: np.random.Generator) -> Positions:
        """Return the positions of one epoch's images, in random order."""
        classes = _in_turns(np.arange(len(self.images_of_class)), len(self), generator)
        drawn = np.empty(len(self), dtype=np.int64)
        for label, images in enumerate(self.images_of_class):
            places = classes == label
            drawn[places] = _in_turns(images, int(places.sum()), generator)
        return drawn


def _in_turns(items: Positions, count: int, generator: np.random.Generator) -> Positions:
    """``count`` of the items, each as often as any other or once more: permutations one after the other."""
    turns = -(-count // len(items))
    permuted = [generator.permutation(items) for _ in range(turns)]
    return np.concatenate([*permuted, np.zeros(0, np.int64)])[:count]
