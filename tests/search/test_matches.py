# SPDX-License-Identifier: MIT
"""Neighbours in time are one moment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.search.matches import Candidate, Match, merged


def candidate(path: str, time: float | None, score: float, angle: float, every: float = 1.0) -> Candidate:
    embedding = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Candidate(Match(path, time, score), None if time is None else every, embedding)


def test_a_shot_is_one_moment_and_a_cut_ends_it() -> None:
    rows = [candidate("a.mp4", float(t), score, angle) for t, score, angle in [
        (3, 0.5, 0.0), (4, 0.9, 0.1), (5, 0.8, 0.2), (6, 0.7, 1.5), (20, 0.6, 1.5),
    ]]  # fmt: skip
    assert [(match.time, match.score) for match in merged(rows)] == [(4.0, 0.9), (6.0, 0.7), (20.0, 0.6)]


def test_pictures_and_other_videos_stay_apart() -> None:
    rows = [
        candidate("a.mp4", 1.0, 0.5, 0.0),
        candidate("b.mp4", 2.0, 0.6, 0.0),
        candidate("a.png", None, 0.7, 0.0),
        candidate("b.png", None, 0.8, 0.0),
    ]
    assert [match.path for match in merged(rows)] == ["b.png", "a.png", "b.mp4", "a.mp4"]


def test_rows_of_one_picture_are_one() -> None:
    rows = [candidate("a.png", None, 0.2, 0.0), candidate("a.png", None, 0.4, 3.0)]
    assert merged(rows) == [Match("a.png", None, 0.4)]


def test_the_step_of_the_video_says_what_is_next() -> None:
    apart = [candidate("a.mp4", t, 0.5, 0.0, every=0.5) for t in (0.0, 2.0)]
    assert len(merged(apart)) == 2
    near = [candidate("a.mp4", t, 0.5, 0.0, every=2.0) for t in (0.0, 2.0)]
    assert len(merged(near)) == 1


rows_of_videos = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 6), st.integers(0, 20)), max_size=14
)


@given(rows_of_videos)
def test_merging_agrees_with_chains_of_pairs(drawn: list[tuple[str, int, int, int]]) -> None:
    """The oracle joins pairs until nothing changes."""
    unique = {(path, time): (angle, score) for path, time, angle, score in drawn}
    rows = [candidate(p, float(t), s / 20, a / 4) for (p, t), (a, s) in unique.items()]
    group = list(range(len(rows)))
    for i, j in itertools.product(range(len(rows)), repeat=2):
        first, second = rows[i], rows[j]
        times = sorted(row.match.time or 0.0 for row in rows if row.match.path == first.match.path)
        start, end = sorted((first.match.time or 0.0, second.match.time or 0.0))
        follow = not [time for time in times if start < time < end] and end - start <= 2.5
        if first.match.path == second.match.path and follow and first.embedding @ second.embedding >= 0.9:
            old, new = group[i], group[j]
            group = [new if number == old else number for number in group]
    best = {
        number: max(rows[k].match.score for k in range(len(rows)) if group[k] == number) for number in group
    }
    assert sorted(match.score for match in merged(rows)) == pytest.approx(sorted(best.values()))


def test_a_record_is_rounded() -> None:
    record = Match("a.mp4", 1.23456, 0.123456, (1.0, 2.3456, 3.0, 4.0)).to_record()
    assert record == {"path": "a.mp4", "time": 1.235, "score": 0.1235, "box": [1.0, 2.35, 3.0, 4.0]}
