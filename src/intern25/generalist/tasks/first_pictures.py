# SPDX-License-Identifier: MIT
"""Some pictures of a data set, for evaluations that must not take long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from intern25.data.class_names import Language

EVALUATION_SEED = 20230314
"""Seed of which pictures are scored where not all are."""
TRIVIAL_PICTURES = 1000
"""Training pictures that answers without a model are counted from: rendered ones have no end."""


class _Sized(Protocol):
    def __len__(self) -> int: ...


Pictures = TypeVar("Pictures", bound=_Sized)
Names = TypeVar("Names")


class _First:
    """A data set that says it is shorter; everything else is passed on."""

    def __init__(self, pictures: Any, number: int) -> None:
        self._pictures = pictures
        self._number = number

    def __len__(self) -> int:
        return self._number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # a copy in the making has no pictures to ask
            raise AttributeError(name)
        return getattr(self._pictures, name)


def first_pictures(pictures: Pictures, number: int) -> Pictures:
    """Return the first ``number`` pictures; all where it is 0."""
    if not number or number >= len(pictures):
        return pictures
    return cast(Pictures, _First(pictures, number))


def drawn_pictures(count: int, *, seed: int = EVALUATION_SEED) -> list[int]:
    """Return the places of ``count`` pictures in an order of the seed, to take the first ones of."""
    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order


def spread_pictures(labels: Sequence[int], number: int, *, seed: int = EVALUATION_SEED) -> list[int]:
    """Return the places of ``number`` pictures, sorted; all where it is 0.

    Each class gives one picture before any gives a second, and so on; the seed decides which, and whose turn
    is the last.

    Args:
        labels: Class of each picture.
        number: Most pictures.
        seed: Seed of the draw.
    """
    if not number or number >= len(labels):
        return list(range(len(labels)))
    seen: Counter[int] = Counter()
    turns: list[tuple[int, int, int]] = []
    for place in drawn_pictures(len(labels), seed=seed):
        turns.append((seen[labels[place]], len(turns), place))
        seen[labels[place]] += 1
    return sorted(place for _, _, place in sorted(turns)[:number])


def scored_names(names: Mapping[Language, Names], number: int) -> Mapping[Language, Names]:
    """Names to score with: English ones alone where only some pictures are scored."""
    return {"en": names["en"]} if number else names
