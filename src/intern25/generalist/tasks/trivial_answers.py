# SPDX-License-Identifier: MIT
"""What written answers must beat: the most frequent answer, and the best guess from the question alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from intern25.data.multimodal.records import Question
from intern25.evaluation.trivial import MajorityAnswers

MOST_PICTURES = 2000
"""Training pictures whose answers are counted: drawn ones have no end."""


def trivial_answers(
    train: Any,
    asked: Sequence[Question],
    metric: Callable[[Sequence[Question], Sequence[str]], dict[str, float]],
    seed: int,
) -> dict[str, float]:
    """Judge answers that need no picture.

    Args:
        train: Source of training questions.
        asked: Held-out questions.
        metric: Judges answers.
        seed: Which training pictures are counted, and the questions drawn about them.

    Returns:
        The metric's figures: plain ones of the most frequent answer in the question's language, and behind
        ``blind_`` those of the most frequent answer to the same question.
    """
    number = min(MOST_PICTURES, len(train))
    rows = np.random.default_rng(seed).permutation(len(train))[:number].tolist()
    known: defaultdict[str, list[Question]] = defaultdict(list)
    for row in rows:
        for question in train.questions(row, seed + row):
            known[question.language].append(question)
    guesses = {
        language: MajorityAnswers.of([q.text for q in found], [q.answers[0] for q in found])
        for language, found in known.items()
    }
    frequent = [guesses[q.language].overall if q.language in guesses else "" for q in asked]
    blind = [guesses[q.language].answer(q.text) if q.language in guesses else "" for q in asked]
    figures = metric(asked, frequent)
    return figures | {f"blind_{name}": value for name, value in metric(asked, blind).items()}
