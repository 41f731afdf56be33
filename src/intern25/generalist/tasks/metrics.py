# SPDX-License-Identifier: MIT
"""Figures of written answers, by kind of task."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.data.multimodal.records import Question
from intern25.evaluation.answering import score_answers
from intern25.evaluation.captioning import characters, score_captions, words
from intern25.evaluation.reading import score_reading

_FEWEST_CAPTIONS = 2


def answer_accuracy(questions: Sequence[Question], written: Sequence[str]) -> dict[str, float]:
    """Share of right answers, in all and by language."""
    figures = {
        "accuracy": score_answers(written, [q.answers for q in questions]).exact,
    }
    for language, rows in _by_language(questions).items():
        own = score_answers([written[r] for r in rows], [questions[r].answers for r in rows])
        figures[f"accuracy_{language}"] = own.exact
    return figures


def kind_accuracy(questions: Sequence[Question], written: Sequence[str]) -> dict[str, float]:
    """:func:`answer_accuracy` and the share of each kind of question."""
    report = score_answers(written, [q.answers for q in questions], kinds=[q.kind for q in questions])
    figures = answer_accuracy(questions, written)
    return figures | {f"kind_{row.kind.replace(' ', '_')}": row.exact for row in report.kinds}


def caption_scores(questions: Sequence[Question], written: Sequence[str]) -> dict[str, float]:
    """CIDEr-D and BLEU-4 of the captions of each language."""
    figures: dict[str, float] = {}
    for language, rows in _by_language(questions).items():
        if len(rows) >= _FEWEST_CAPTIONS:
            report = score_captions(
                [written[r] for r in rows],
                [questions[r].answers for r in rows],
                split=characters if language == "zh" else words,
            )
            figures[f"cider_{language}"] = report.cider
            figures[f"bleu4_{language}"] = report.bleu4
    return figures or {"cider": 0.0}


def reading_scores(questions: Sequence[Question], written: Sequence[str]) -> dict[str, float]:
    """Share of texts read without error, case ignored, and character error rate, also by language."""
    figures: dict[str, float] = {}
    groups = {"": range(len(questions)), **_by_language(questions)}
    for language, rows in groups.items():
        report = score_reading([written[r] for r in rows], [questions[r].answers[0] for r in rows])
        mark = f"_{language}" if language else ""
        figures[f"exact{mark}"] = report.exact_ignoring_case
        figures[f"cer{mark}"] = report.character_error_rate
    return figures


def _by_language(questions: Sequence[Question]) -> dict[str, list[int]]:
    """Rows of each language, where there are two."""
    languages = sorted({q.language for q in questions})
    return {
        language: [row for row, q in enumerate(questions) if q.language == language] for language in languages
    }
