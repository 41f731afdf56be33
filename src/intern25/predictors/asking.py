# SPDX-License-Identifier: MIT
"""Captions, answers and lines of text of pictures, as results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from PIL import Image

from intern25.data.multimodal.records import Language
from intern25.data.multimodal.rows import language_of
from intern25.data.resizing import Size
from intern25.generalist.generation import Generation
from intern25.generalist.prompts import CAPTION, READ
from intern25.predictors.free_names import check_names, check_text
from intern25.predictors.inputs import Picture, same_size_batches
from intern25.predictors.parts import cut_out
from intern25.predictors.picture_texts import PictureTexts, ScoredText
from intern25.results import Alternative, Text
from intern25.results.text import Box

Said = TypeVar("Said")
Tell = Callable[[Sequence[Picture]], list[Text]]
"""From a batch of pictures to a text each."""


class Asker:
    """What :class:`GeneralistPredictor` does with texts, for batches of pictures.

    Args:
        texts: The model.
        batch_size: Parts of a picture that go through the model at once.
    """

    def __init__(self, texts: PictureTexts, batch_size: int) -> None:
        self.texts = texts
        self.settings = texts.settings
        self.batch_size = batch_size

    def describing(self, language: Language, beams: int) -> Tell:
        """Return what describes pictures.

        Raises:
            ValueError: ``language`` is neither, or ``beams`` is below 1.
        """
        if language not in CAPTION:
            raise ValueError(f"language={language!r} must be 'en' or 'zh'")
        how, prompt = self._generation(self.settings.caption_length, beams), CAPTION[language]

        def describe(pictures: Sequence[Picture]) -> list[Text]:
            images = [image for image, _ in pictures]
            texts = self.texts.written(images, prompt, self.settings.caption_size, how)
            return [_text(*pair, language=language) for pair in zip(texts, pictures, strict=True)]

        return describe

    def answering(
        self, question: str, answers: Sequence[str] | None, language: Language | None, beams: int
    ) -> Tell:
        """Return what answers a question, freely or by one of ``answers``.

        Raises:
            ValueError: The question is empty, or an answer is empty, there twice, or alone.
        """
        question = check_text(question, "question")
        if language not in (None, *CAPTION):
            raise ValueError(f"language={language!r} must be 'en', 'zh' or None")
        spoken = language or language_of(question)
        how = self._generation(self.settings.answer_length, beams)
        listed = None if answers is None else check_names(answers, argument="answers", fewest=2)

        def say(
            images: Sequence[Image.Image], size: Size
        ) -> list[tuple[ScoredText, tuple[Alternative, ...]]]:
            if listed is None:
                return [(text, ()) for text in self.texts.written(images, question, size, how)]
            chances = self.texts.chosen(images, question, size, listed)
            return [_ranked(listed, row) for row in chances.tolist()]

        def answer(pictures: Sequence[Picture]) -> list[Text]:
            said = self._each_at_its_size([image for image, _ in pictures], say)
            return [
                _text(text, picture, language=spoken, question=question, alternatives=rest)
                for (text, rest), picture in zip(said, pictures, strict=True)
            ]

        return answer

    def read(self, pictures: Sequence[Picture]) -> list[Text]:
        """Read each picture as one line."""
        texts = self._lines([image for image, _ in pictures])
        return [
            _text(text, picture, language=language_of(text.text))
            for text, picture in zip(texts, pictures, strict=True)
        ]

    def read_parts(self, picture: Picture, boxes: Sequence[Box]) -> list[Text]:
        """Read each part of one picture as a line.

        Raises:
            ValueError: A box holds no pixel.
        """
        parts = [cut_out(picture[0], box) for box in boxes]
        texts: list[ScoredText] = []
        for start in range(0, len(parts), self.batch_size):
            texts.extend(self._lines(parts[start : start + self.batch_size]))
        return [
            _text(text, picture, language=language_of(text.text), box=box)
            for text, box in zip(texts, boxes, strict=True)
        ]

    def _each_at_its_size(
        self, images: Sequence[Image.Image], say: Callable[[Sequence[Image.Image], Size], list[Said]]
    ) -> list[Said]:
        """What is said of each picture, those that are asked about at one size together."""
        found: dict[int, Said] = {}
        for rows in same_size_batches(images, self.settings.ask_size):
            first = images[rows[0]]
            size = self.settings.ask_size((first.height, first.width))
            found.update(zip(rows, say([images[row] for row in rows], size), strict=True))
        return [found[row] for row in range(len(images))]

    def _lines(self, parts: Sequence[Image.Image]) -> list[ScoredText]:
        how = self._generation(self.settings.read_length, 1)
        return self.texts.written(parts, READ["en"], self.settings.read_size, how)

    def _generation(self, length: int, beams: int) -> Generation:
        return Generation(max_length=min(length, self.texts.model.config.text.max_length), beams=beams)


def _text(
    said: ScoredText,
    picture: Picture,
    *,
    language: Language,
    question: str | None = None,
    alternatives: tuple[Alternative, ...] = (),
    box: Box | None = None,
) -> Text:
    image, source = picture
    return Text(
        text=said.text,
        score=said.score,
        language=language,
        question=question,
        alternatives=alternatives,
        box=box,
        source=source,
        image=image,
    )


def _ranked(answers: Sequence[str], chances: Sequence[float]) -> tuple[ScoredText, tuple[Alternative, ...]]:
    """The likeliest answer and the others, best first."""
    order = sorted(range(len(answers)), key=lambda row: -chances[row])
    best, *rest = ((answers[row], min(chances[row], 1.0)) for row in order)
    return ScoredText(*best), tuple(Alternative(text=text, score=score) for text, score in rest)
