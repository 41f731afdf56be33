# SPDX-License-Identifier: MIT
"""Accuracy of answers: equal to a person's, and the soft accuracy of VQA; overall and by kind of question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from intern25.evaluation.answer_text import normalise_answer

FEWEST_FOR_VQA = 4
"""With fewer answers, the right one could not reach a VQA accuracy of 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KindAccuracy:
    """Accuracy on the questions of one kind."""

    kind: str
    questions: int
    exact: float
    vqa: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringReport:
    """Accuracy of answers; shares lie in 0..1."""

    questions: int
    """Questions that were scored."""
    exact: float
    """Share of answers equal to one of the true ones."""
    vqa: float | None
    """Mean VQA accuracy; None where a question has fewer than :data:`FEWEST_FOR_VQA` true answers."""
    kinds: tuple[KindAccuracy, ...] = ()
    """One row a kind of question, in alphabetical order."""

    def as_dict(self) -> dict[str, object]:
        """Return the numbers by name."""
        return asdict(self)


def score_answers(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    kinds: Sequence[str] | None = None,
    normalise: Callable[[str], str] = normalise_answer,
) -> AnsweringReport:
    """Score one answer a question.

    Args:
        answers: Answer to each question.
        references: One or more true answers to each question; VQA has those of ten people.
        kinds: Kind of each question, such as "yes/no".
        normalise: From an answer to the spelling in which it is compared.

    Returns:
        The report.

    Raises:
        ValueError: There are no questions, the lengths differ, or a question has no true answer.
    """
    _check(answers, references, kinds)
    exact, vqa = [], []
    for answer, texts in zip(answers, references, strict=True):
        said, true = normalise(answer), [normalise(text) for text in texts]
        exact.append(said in true)
        vqa.append(vqa_accuracy(said, true) if len(true) >= FEWEST_FOR_VQA else None)
    members: dict[str, list[int]] = defaultdict(list)
    for number, kind in enumerate(kinds or ()):
        members[kind].append(number)
    return AnsweringReport(
        questions=len(answers),
        exact=sum(exact) / len(exact),
        vqa=_mean(vqa),
        kinds=tuple(
            KindAccuracy(
                kind=kind,
                questions=len(numbers),
                exact=sum(exact[n] for n in numbers) / len(numbers),
                vqa=_mean([vqa[n] for n in numbers]),
            )
            for kind, numbers in sorted(members.items())
        ),
    )


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    r"""Return the soft accuracy of VQA, a mean over the choices of all people but one.

    $$ \frac1P \sum_{i=1}^{P} \min\Bigl(\frac{|\{j \ne i : r_j = a\}|}{3}, 1\Bigr) $$

    Args:
        answer: Normalised answer ``a``.
        references: Normalised answers ``r`` of ``P`` people.

    Raises:
        ValueError: There are no references.

    Source:
        VQA v2, arXiv:1612.00837.
    """
    if not references:
        raise ValueError("the accuracy needs the answers of people")
    agreeing = Counter(references)[answer]
    # Leaving out one who agrees leaves one agreeing fewer.
    without_agreeing, without_other = min((agreeing - 1) / 3, 1.0), min(agreeing / 3, 1.0)
    others = len(references) - agreeing
    return (agreeing * without_agreeing + others * without_other) / len(references)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _check(answers: Sequence[str], references: Sequence[Sequence[str]], kinds: Sequence[str] | None) -> None:
    if not answers:
        raise ValueError("there are no answers to score")
    if len(answers) != len(references):
        raise ValueError(f"{len(answers)} answers but true answers to {len(references)} questions")
    if kinds is not None and len(kinds) != len(answers):
        raise ValueError(f"{len(answers)} answers but the kinds of {len(kinds)} questions")
    for number, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise ValueError(f"references[{number}]={texts!r} must be a list of at least one answer")
