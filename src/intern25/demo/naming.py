# SPDX-License-Identifier: MIT
"""Which of some names fits a picture."""

from __future__ import annotations

from intern25.demo.inputs import opened, split_names
from intern25.demo.texts import Texts
from intern25.predictors import GeneralistPredictor

SHOWN = 8
"""Names with a bar."""


def name_it(
    predictor: GeneralistPredictor, path: str | None, names: str | None, texts: Texts
) -> dict[str, float]:
    """Return the likeliest names, at most ``SHOWN``, with their probabilities among all of the list.

    Args:
        predictor: The model.
        path: The uploaded file.
        names: Names between commas; without one those of the model.
        texts: Words of the page.

    Raises:
        ValueError: There is no picture, or one name to choose from.
    """
    picture, classes = opened(path, texts), split_names(names, texts)
    if classes is not None and len(classes) < 2:
        raise ValueError(texts.two_names)
    result = predictor.classify(picture, classes, top_k=SHOWN)
    # Two names may have one translation: those that were typed stay as they are.
    shown = _typed(classes, result.indices.tolist()) or result.names(texts.language)
    return dict(zip(shown, result.scores.tolist(), strict=True))


def _typed(classes: tuple[str, ...] | None, rows: list[int]) -> tuple[str, ...] | None:
    return None if classes is None else tuple(classes[row] for row in rows)
