# SPDX-License-Identifier: MIT
"""The most likely classes of one picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from intern25.results.language import Language, names_in

if TYPE_CHECKING:
    import os

    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classification:
    """The most likely classes of one picture, best first.

    Args:
        indices: Class numbers, ``(K,)``, int64.
        scores: Softmax probabilities over all classes of the model, ``(K,)``, float32, descending.
        names_en: English names, ``K`` of them.
        names_zh: Chinese names, ``K`` of them.
        source: Path of the picture, None when it came from memory.
        image: The upright RGB picture, kept for :meth:`draw`.

    Raises:
        ValueError: The lengths disagree.

    Example:
        >>> result = Classification(
        ...     indices=np.array([7]), scores=np.array([0.9]), names_en=("cock",), names_zh=("公鸡",)
        ... )
        >>> result.to_json()
        '{"source": null, "predictions": [{"index": 7, "score": 0.9, "name_en": "cock", "name_zh": "公鸡"}]}'
    """

    indices: NDArray[np.int64]
    """Class numbers, best first."""
    scores: NDArray[np.float32]
    """Probabilities, descending."""
    names_en: tuple[str, ...]
    """English names in the order of ``indices``."""
    names_zh: tuple[str, ...]
    """Chinese names in the order of ``indices``."""
    source: str | None = None
    """Path of the picture, if it has one."""
    image: Image.Image | None = field(default=None, repr=False)
    """The picture itself, upright RGB."""

    def __post_init__(self) -> None:
        lengths = [len(values) for values in (self.indices, self.scores, self.names_en, self.names_zh)]
        if len(set(lengths)) != 1:
            counts = ", ".join(map(str, lengths))
            raise ValueError(f"indices, scores, names_en and names_zh must have one length, got {counts}")

    def __len__(self) -> int:
        return len(self.indices)

    def top(self, k: int = 1) -> Classification:
        """Return the ``k`` best classes, or all when there are fewer.

        Raises:
            ValueError: ``k`` is below 1.
        """
        if k < 1:
            raise ValueError(f"k={k} must be 1 or more")
        return replace(
            self,
            indices=self.indices[:k],
            scores=self.scores[:k],
            names_en=self.names_en[:k],
            names_zh=self.names_zh[:k],
        )

    def names(self, language: Language = "en") -> tuple[str, ...]:
        """Return the names in ``"en"``, ``"zh"`` or ``"both"`` (``English / Chinese``).

        Raises:
            ValueError: Another language.
        """
        return names_in(self.names_en, self.names_zh, language)

    def to_json(self) -> str:
        """Return one line of JSON: ``{"source", "predictions": [{"index", "score", "name_en", "name_zh"}]}``.

        Scores are rounded to six digits after the point; Chinese is written as it is, not escaped.
        """
        rows = zip(self.indices.tolist(), self.scores.tolist(), self.names_en, self.names_zh, strict=True)
        predictions = [
            {"index": index, "score": round(score, 6), "name_en": en, "name_zh": zh}
            for index, score, en, zh in rows
        ]
        return json.dumps({"source": self.source, "predictions": predictions}, ensure_ascii=False)

    def draw(
        self, *, k: int = 5, language: Language = "en", font: str | os.PathLike[str] | None = None
    ) -> Image.Image:
        """Draw the picture beside a bar chart of its ``k`` best classes.

        Args:
            k: Number of bars.
            language: Language of the names; Chinese needs a font that has it.
            font: Font file; None looks for a usual one of the system and falls back to English names
                when Chinese is asked for and no Chinese font is found.

        Returns:
            A new RGB picture.

        Raises:
            ValueError: The result holds no picture, or ``k`` is below 1.
            OSError: ``font`` cannot be read.
        """
        from intern25.drawing import draw_classification

        return draw_classification(self.top(k), language=language, font=font)
