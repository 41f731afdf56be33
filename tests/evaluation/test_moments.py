# SPDX-License-Identifier: MIT
"""Recall of moments: whole seconds, counted one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.evaluation.moments import Span, moment_recall, temporal_iou

LENGTH = 12
spans = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(lambda pair: tuple(sorted(pair)))
queries = st.lists(
    st.tuples(st.lists(spans, max_size=7), st.lists(spans, min_size=1, max_size=3)), min_size=1, max_size=6
)


def seconds(span: tuple[int, ...]) -> set[int]:
    return {second for second in range(LENGTH) if span[0] <= second < span[1]}


def counted_iou(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    union = seconds(first) | seconds(second)
    return len(seconds(first) & seconds(second)) / len(union) if union else 0.0


@given(queries, st.sampled_from([0.3, 0.5, 1.0]))
def test_recall_agrees_with_counting_seconds(
    drawn: list[tuple[list[tuple[int, ...]], list[tuple[int, ...]]]], iou: float
) -> None:
    right_at = {1: 0, 5: 0}
    best_sum, whole_right, whole_sum = 0.0, 0, 0.0
    for found, wanteds in drawn:
        for depth in right_at:
            hits = [counted_iou(one, wanted) >= iou for one in found[:depth] for wanted in wanteds]
            right_at[depth] += any(hits)
        best_sum += max([counted_iou(one, wanted) for one in found[:1] for wanted in wanteds], default=0.0)
        whole = max(counted_iou((0, LENGTH), wanted) for wanted in wanteds)
        whole_right, whole_sum = whole_right + (whole >= iou), whole_sum + whole
    report = moment_recall(
        [[as_span(one) for one in found] for found, _ in drawn],
        [[as_span(wanted) for wanted in wanteds] for _, wanteds in drawn],
        [float(LENGTH)] * len(drawn),
        iou=iou,
    )
    count = len(drawn)
    assert report.as_dict() == pytest.approx(
        {
            "queries": count,
            "at1": right_at[1] / count,
            "at5": right_at[5] / count,
            "mean_iou": best_sum / count,
            "whole_at1": whole_right / count,
            "whole_iou": whole_sum / count,
        }
    )


def as_span(span: tuple[int, ...]) -> Span:
    return float(span[0]), float(span[1])


def test_half_an_overlap_is_enough_and_order_matters() -> None:
    found: list[list[Span]] = [[(8.0, 9.0), (0.0, 2.0)], [(4.0, 8.0)]]
    report = moment_recall(found, [[(0.0, 4.0)], [(4.0, 12.0), (0.0, 1.0)]], [12.0, 12.0])
    assert (report.at1, report.at5) == (0.5, 1.0)
    assert temporal_iou((4.0, 8.0), (4.0, 12.0)) == 0.5


@pytest.mark.parametrize(
    ("found", "right", "durations", "message"),
    [
        ([], [], [], "no queries"),
        ([[]], [], [1.0], "1 lists of found moments, 0 of right ones, 1 durations"),
        ([[]], [[]], [1.0], "query 0 has no right moment"),
        ([[(2.0, 1.0)]], [[(0.0, 1.0)]], [1.0], r"\(2\.0, 1\.0\) ends before it begins"),
        ([[]], [[(float("nan"), 1.0)]], [1.0], "ends before it begins"),
    ],
)
def test_bad_input(
    found: list[list[Span]], right: list[list[Span]], durations: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        moment_recall(found, right, durations)


@pytest.mark.parametrize("iou", [0.0, 1.5, float("nan")])
def test_an_overlap_that_is_no_share(iou: float) -> None:
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        moment_recall([[]], [[(0.0, 1.0)]], [1.0], iou=iou)
