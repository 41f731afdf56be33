# SPDX-License-Identifier: MIT
"""What a model must beat: answers and captions that need no look at the picture.

Chance levels of retrieval and the majority verdict on statements are part of those reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


def most_frequent(texts: Iterable[str]) -> str:
    """Return the most frequent text, the alphabetically first among equals.

    Args:
        texts: Answers or captions of the training data, normalised where spelling should not matter.

    Raises:
        ValueError: There are none.
    """
    counts = Counter(texts)
    if not counts:
        raise ValueError("there are no texts to choose from")
    return min(counts, key=lambda text: (-counts[text], text))


@dataclass(frozen=True, slots=True)
class MajorityAnswers:
    """Answers by the question alone: the most frequent one to the same text, else the one of all."""

    overall: str
    """Answer to questions that the training data do not have."""
    by_question: Mapping[str, str]
    """Answer to each question of the training data."""

    @classmethod
    def of(cls, questions: Sequence[str], answers: Sequence[str]) -> MajorityAnswers:
        """Count the training data.

        Args:
            questions: Questions; case and spaces at the ends do not count.
            answers: The answer to each.

        Raises:
            ValueError: There are none, or the lengths differ.
        """
        if len(questions) != len(answers):
            raise ValueError(f"{len(questions)} questions but {len(answers)} answers")
        groups: dict[str, list[str]] = defaultdict(list)
        for question, answer in zip(questions, answers, strict=True):
            groups[_key(question)].append(answer)
        return cls(
            overall=most_frequent(answers),
            by_question=MappingProxyType({key: most_frequent(group) for key, group in groups.items()}),
        )

    def answer(self, question: str) -> str:
        """Return the answer to one question."""
        return self.by_question.get(_key(question), self.overall)


def _key(question: str) -> str:
    return question.strip().casefold()
