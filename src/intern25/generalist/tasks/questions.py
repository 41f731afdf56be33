# SPDX-License-Identifier: MIT
"""What a writing task learns from: pictures with prompts and answers, whatever the prompt is.

A caption is the answer to "describe the picture", a word that of "read the text": one form for all text that
the decoder writes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intern25.data.multimodal.pictures import DrawnPictures, Pictures
from intern25.data.multimodal.records import Line, Question, Sentence
from intern25.generalist.prompts import CAPTION, READ

Pixels = NDArray[np.uint8]


class QuestionSource(Protocol):
    """Pictures with questions, which may be drawn anew each time."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Pixels:
        """Return a picture, ``(H, W, 3)``."""
        ...

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """Return its questions; those of a fixed data set whatever the seed."""
        ...


@dataclass(frozen=True)
class AskedPictures:
    """Questions that a data set gives."""

    pictures: Pictures[Question]

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pictures.image(index)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """Return its questions."""
        return self.pictures.items(index)


@dataclass(frozen=True)
class CaptionedPictures:
    """Captions as answers to a request for a description."""

    pictures: Pictures[Sentence]

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pictures.image(index)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """One question a language; the first answer is drawn, all captions of the language are right."""
        draw = random.Random(seed)
        questions = []
        for language in ("en", "zh"):
            captions = [item.text for item in self.pictures.items(index) if item.language == language]
            if captions:
                draw.shuffle(captions)
                prompt = CAPTION[language]
                questions.append(
                    Question(text=prompt, answers=tuple(captions), language=language, kind="caption")
                )
        return questions


@dataclass(frozen=True)
class WrittenPictures:
    """Words and lines as answers to a request to read them."""

    pictures: Pictures[Line]

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pictures.image(index)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """One question: what is written there."""
        prompt = READ["en"]
        return [
            Question(text=prompt, answers=(line.text,), language=line.language, kind="read")
            for line in self.pictures.items(index)
        ]


@dataclass(frozen=True)
class DerivedQuestions:
    """Questions that rules make of what is known about a picture, anew each time."""

    pictures: DrawnPictures[Question]

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pictures.image(index)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """Return questions drawn from ``seed``."""
        return self.pictures.at_epoch(seed).items(index)


@dataclass(frozen=True)
class JoinedSources:
    """Several sources as one, one after the other, each as often as asked."""

    parts: tuple[QuestionSource, ...]
    """The sources."""
    times: tuple[int, ...] = ()
    """How often each is shown in a pass; empty for once."""

    def __len__(self) -> int:
        return sum(len(part) * times for part, times in self._counted())

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        part, place = self._find(index)
        return part.image(place)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """Return its questions."""
        part, place = self._find(index)
        return part.questions(place, seed)

    def _find(self, index: int) -> tuple[QuestionSource, int]:
        rest = index
        for part, times in self._counted():
            if 0 <= rest < len(part) * times:
                return part, rest % len(part)
            rest -= len(part) * times
        raise IndexError(f"picture {index} of {len(self)}")

    def _counted(self) -> list[tuple[QuestionSource, int]]:
        return list(zip(self.parts, self.times or (1,) * len(self.parts), strict=True))
