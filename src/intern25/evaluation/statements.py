# SPDX-License-Identifier: MIT
"""Whether statements about pictures are judged right, and the same statement about all of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementReport:
    """How statements about pictures were judged; shares lie in 0..1."""

    statements: int
    """Pairs of a sentence and a picture."""
    sentences: int
    """Different sentences."""
    accuracy: float
    """Share of pairs judged right."""
    consistency: float
    """Share of sentences judged right on each of their pictures."""
    majority: float
    """Accuracy of always giving the more frequent verdict."""

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def score_statements(
    verdicts: Sequence[bool], truths: Sequence[bool], sentences: Sequence[str]
) -> StatementReport:
    """Score one verdict a pair of a sentence and a picture.

    Args:
        verdicts: Whether the sentence was held to be true of the picture.
        truths: Whether it is.
        sentences: The sentence, or anything that names it.

    Returns:
        The report.

    Raises:
        ValueError: There are no pairs, or the lengths differ.

    Source:
        Suhr et al., "NLVR", 2017, and NLVR2, arXiv:1811.00491.
    """
    if not len(verdicts) == len(truths) == len(sentences):
        raise ValueError(f"{len(verdicts)} verdicts, {len(truths)} truths and {len(sentences)} sentences")
    if not verdicts:
        raise ValueError("there are no statements to score")
    right = [bool(verdict) == bool(truth) for verdict, truth in zip(verdicts, truths, strict=True)]
    consistent = dict.fromkeys(sentences, True)
    for sentence, is_right in zip(sentences, right, strict=True):
        consistent[sentence] &= is_right
    true = sum(map(bool, truths)) / len(truths)
    return StatementReport(
        statements=len(right),
        sentences=len(consistent),
        accuracy=sum(right) / len(right),
        consistency=sum(consistent.values()) / len(consistent),
        majority=max(true, 1.0 - true),
    )
