# SPDX-License-Identifier: MIT
"""Questions about a picture, and its description."""

from __future__ import annotations

from typing import NamedTuple

from intern25.demo.inputs import opened
from intern25.demo.texts import Language, Texts
from intern25.predictors import GeneralistPredictor
from intern25.results import Text

LONGEST_QUESTION = 200
"""Characters; how many tokens the model reads is its own affair."""


class Said(NamedTuple):
    """A text of the model."""

    text: str
    certainty: str
    """How sure the model is, in words."""


def ask(predictor: GeneralistPredictor, path: str | None, question: str | None, texts: Texts) -> Said:
    """Answer a question about a picture, in the language of the question.

    Args:
        predictor: The model.
        path: The uploaded file.
        question: What was typed.
        texts: Words of the page.

    Raises:
        ValueError: There is no picture or no question, or one of them cannot be read.
    """
    picture = opened(path, texts)
    if not (question or "").strip():
        raise ValueError(texts.no_question)
    return said(predictor.ask(picture, question or ""), texts)


def describe(predictor: GeneralistPredictor, path: str | None, language: Language, texts: Texts) -> Said:
    """Describe a picture in a sentence of ``language``.

    Raises:
        ValueError: There is no picture, or it cannot be read.
    """
    return said(predictor.caption(opened(path, texts), language), texts)


def said(result: Text, texts: Texts) -> Said:
    """Return a result as it is shown."""
    return Said(result.text, texts.certainty.format(score=f"{result.score:.0%}"))
