# SPDX-License-Identifier: MIT
"""Accuracy and consistency of verdicts by hand and by sets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.evaluation.statements import score_statements

pairs = st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcd"))


def test_statements_by_hand() -> None:
    report = score_statements(
        [True, True, False, True, False], [True, False, False, True, False], ["a", "a", "b", "b", "c"]
    )
    assert report.as_dict() == {
        "statements": 5,
        "sentences": 3,
        "accuracy": 0.8,
        "consistency": pytest.approx(2 / 3),
        "majority": 0.6,
    }


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(pairs, min_size=1, max_size=12))
def test_consistency_is_what_no_error_spoils(rows: list[tuple[bool, bool, str]]) -> None:
    report = score_statements(*zip(*rows, strict=True))
    spoilt = {sentence for verdict, truth, sentence in rows if verdict != truth}
    sentences = {sentence for _, _, sentence in rows}
    assert report.consistency == pytest.approx(1 - len(spoilt) / len(sentences))
    assert report.accuracy == pytest.approx(sum(v == t for v, t, _ in rows) / len(rows))
    shuffled = random.Random(0).sample(rows, len(rows))
    assert score_statements(*zip(*shuffled, strict=True)) == report
    truths = [truth for _, truth, _ in rows]
    always = max(sum(truths), len(truths) - sum(truths)) / len(truths)
    assert report.majority == pytest.approx(always)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="no statements"):
        score_statements([], [], [])
    with pytest.raises(ValueError, match="1 verdicts, 2 truths and 1 sentences"):
        score_statements([True], [True, False], ["a"])
