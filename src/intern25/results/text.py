# SPDX-License-Identifier: MIT
"""Text about one picture: a caption, an answer, or what stands in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import os

    from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """An answer that was not chosen."""

    text: str
    """The answer."""
    score: float
    """Its probability among all that there were to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Text:
    """What a model says about one picture.

    Args:
        text: The caption, answer or line; may be empty, where the model read nothing.
        language: ``"en"`` or ``"zh"``.
        score: Of a written text the geometric mean of its tokens' probabilities, of a chosen answer its
            probability among the others.
        question: What was asked; None for captions and reading.
        alternatives: The other answers, where there was a list to choose from, best first.
        box: The part of the picture that was read; None for the whole.
        source: Path of the picture, None when it came from memory.
        image: The upright RGB picture, kept for :meth:`draw`.

    Raises:
        ValueError: ``language`` is another one, or ``score`` is no probability.

    Example:
        >>> result = Text(text="红色", language="zh", score=0.75, question="车是什么颜色?")
        >>> print(result)
        红色
        >>> result.to_json()[:61]
        '{"source": null, "text": "红色", "language": "zh", "score": 0.7'
    """

    text: str
    """The caption, answer or line."""
    language: Literal["en", "zh"]
    """Its language."""
    score: float
    """How sure the model is, 0 to 1."""
    question: str | None = None
    """What was asked."""
    alternatives: tuple[Alternative, ...] = ()
    """Answers that were not chosen, best first."""
    box: Box | None = None
    """Part of the picture."""
    source: str | None = None
    """Path of the picture, if it has one."""
    image: Image.Image | None = field(default=None, repr=False)
    """The picture itself, upright RGB."""

    def __post_init__(self) -> None:
        if self.language not in ("en", "zh"):
            raise ValueError(f"language={self.language!r} must be 'en' or 'zh'")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score={self.score} must be from 0 to 1")

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> str:
        """Return one line of JSON.

        ``{"source", "text", "language", "score", "question", "alternatives": [{"text", "score"}], "box"}``,
        scores rounded to six digits after the point, boxes to hundredths of a pixel.
        """
        return json.dumps(self.to_record(), ensure_ascii=False)

    def to_record(self) -> dict[str, Any]:
        """Return the object of :meth:`to_json` as a dict."""
        return {
            "source": self.source,
            "text": self.text,
            "language": self.language,
            "score": round(self.score, 6),
            "question": self.question,
            "alternatives": [{"text": a.text, "score": round(a.score, 6)} for a in self.alternatives],
            "box": None if self.box is None else [round(value, 2) for value in self.box],
        }

    def draw(self, *, font: str | os.PathLike[str] | None = None, lines: int | None = None) -> Image.Image:
        """Draw the picture with the question and the text below it.

        Args:
            font: Font file; None looks for a usual one of the system, with Chinese where the text has some.
            lines: Height of the text in lines; None for as many as it takes.

        Returns:
            A new RGB picture; a small picture is enlarged so that the text finds room.

        Raises:
            ValueError: The result holds no picture, ``lines`` is below 1, or no font with Chinese is found.
            OSError: ``font`` cannot be read.
        """
        from intern25.drawing import draw_text

        return draw_text(self, font=font, lines=lines)
