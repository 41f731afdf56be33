# SPDX-License-Identifier: MIT
"""Read text against edit distances counted cell by cell."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.evaluation.reading import score_reading

texts = st.text(alphabet="aAbB1停车", max_size=7)


def edits(said: str, true: str) -> int:
    table = [[i + j if i * j == 0 else 0 for j in range(len(true) + 1)] for i in range(len(said) + 1)]
    for i in range(1, len(said) + 1):
        for j in range(1, len(true) + 1):
            replaced = table[i - 1][j - 1] + (said[i - 1] != true[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, replaced)
    return table[-1][-1]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6).filter(lambda rows: any(t for _, t in rows)))
def test_error_rate_counts_edits(rows: list[tuple[str, str]]) -> None:
    said, true = [a for a, _ in rows], [b for _, b in rows]
    report = score_reading(said, true)
    expected = sum(edits(a, b) for a, b in rows) / sum(len(b) for b in true)
    assert report.character_error_rate == pytest.approx(expected)
    assert report.exact == pytest.approx(sum(a == b for a, b in rows) / len(rows))
    order = random.Random(0).sample(range(len(rows)), len(rows))
    assert score_reading([said[i] for i in order], [true[i] for i in order]) == report
    perfect = score_reading(true, true)
    assert (perfect.exact, perfect.exact_ignoring_case, perfect.character_error_rate) == (1.0, 1.0, 0.0)


def test_reading_by_hand() -> None:
    report = score_reading(["STOP", "停车", " 42", "Exit"], ["Stop", "停车场", "42 ", "Exit"])
    assert report.texts == 4
    assert report.exact == 0.5
    assert report.exact_ignoring_case == 0.75
    assert report.character_error_rate == pytest.approx((3 + 1) / 13)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="1 texts were read but 2"):
        score_reading(["a"], ["a", "b"])
    for nothing in ([], ["", " "]):
        with pytest.raises(ValueError, match="nothing is written"):
            score_reading(nothing, nothing)
