# SPDX-License-Identifier: MIT
"""What is said about a picture: one small record for each kind of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
"""Language of a text: English or Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A caption of a picture."""

    text: str
    """The caption, as a person or a rule wrote it."""
    language: Language
    """Its language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about a picture, with every answer that counts as right."""

    text: str
    """The question."""
    answers: tuple[str, ...]
    """All acceptable answers; the first is the target of training."""
    language: Language
    """Language of the question and its answers."""
    kind: str
    """What is asked for, such as ``yes/no``, ``colour`` or ``count``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A sentence that is true or false of a picture."""

    text: str
    """The sentence."""
    is_true: bool
    """Whether the picture shows what it says."""
    language: Language
    """Its language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """An expression that points at one object of a picture."""

    text: str
    """The expression: ``the car on the left``."""
    index: int
    """Position of the object among those of the picture."""
    language: Language
    """Its language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Text that stands in a picture."""

    text: str
    """What is to be read, with its case."""
    language: Language
    """Its language: Chinese where it has a Chinese character."""
