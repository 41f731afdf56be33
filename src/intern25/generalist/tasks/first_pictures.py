# SPDX-License-Identifier: MIT
"""The first pictures of a data set, for evaluations that must not take long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast

from intern25.data.class_names import Language


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


def scored_names(names: Mapping[Language, Names], number: int) -> Mapping[Language, Names]:
    """Names to score with: English ones alone where only some pictures are scored."""
    return {"en": names["en"]} if number else names
