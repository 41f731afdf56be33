# SPDX-License-Identifier: MIT
"""Moments of videos: against scalar loops, from videos of known colours, and from a real one."""

from __future__ import annotations

import weakref
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intern25.data.video import VideoReadError, picture_at
from intern25.evaluation.moments import moment_recall
from intern25.search import Moment, find_moments
from intern25.search.embedder import Pixels, Vectors
from intern25.search.moments import FrameScores, moments_of, smoothed
from intern25.search.reading import Shown
from tests.search.albums import save_color, save_video
from tests.search.color_embedder import ColorEmbedder

Span = tuple[float, float, float, float]


def expected(scores: list[float], threshold: float, gap: float) -> list[Span]:
    """One frame a second, seen as intervals that are joined one by one."""
    count = len(scores)
    smooth = []
    for t in range(count):
        before, after = scores[max(t - 1, 0)], scores[min(t + 1, count - 1)]
        smooth.append(0.25 * before + 0.5 * scores[t] + 0.25 * after)
    ordered = sorted(smooth)
    place = 0.1 * (count - 1)
    low = ordered[int(place)]
    if int(place) + 1 < count:
        low += (place - int(place)) * (ordered[int(place) + 1] - low)
    level = low + threshold * (max(smooth) - low) - 1e-4
    spans: list[list[float]] = []
    for t in range(count):
        if smooth[t] < level:
            continue
        start, end = max(t - 0.5, 0.0), min(t + 0.5, float(count - 1))
        if t == count - 1:
            end = float(count)
        if spans and start - spans[-1][1] <= gap:
            spans[-1][1] = end
            if smooth[t] > spans[-1][3]:
                spans[-1][2:] = [float(t), smooth[t]]
        else:
            spans.append([start, end, float(t), smooth[t]])
    return sorted(((a, b, c, d) for a, b, c, d in spans), key=lambda span: (-span[3], span[0]))


some_scores = st.lists(st.integers(-8, 8).map(lambda n: n / 8), min_size=1, max_size=24)


@given(some_scores, st.sampled_from([0.3, 0.55, 0.83]), st.sampled_from([0.0, 1.2, 2.7]))
def test_moments_agree_with_scalar_loops(scores: list[float], threshold: float, gap: float) -> None:
    frames = FrameScores(np.arange(len(scores), dtype=float), np.array(scores), float(len(scores)))
    found = moments_of(frames, threshold=threshold, gap_seconds=gap)
    wanted = expected(scores, threshold, gap)
    assert [(m.start, m.end, m.best_time) for m in found] == [span[:3] for span in wanted]
    assert [m.score for m in found] == pytest.approx([span[3] for span in wanted])


@given(some_scores, st.sampled_from([0.25, 0.5, 2.0, 4.0]), st.integers(-16, 16))
def test_only_what_is_above_the_rest_counts(scores: list[float], scale: float, shift: int) -> None:
    values, times = np.array(scores), np.arange(len(scores), dtype=float)
    fits, threshold = smoothed(values), 0.61803
    low = np.quantile(fits, 0.1)
    # A frame that all but reaches the level counts, by a margin that is not scaled.
    assume(np.abs(fits - low - threshold * (fits.max() - low)).min() > 1e-3)
    plain, moved = (
        moments_of(FrameScores(times, changed, float(len(scores))), threshold=threshold)
        for changed in (values, scale * values + shift / 8)
    )
    assert [(m.start, m.end, m.best_time) for m in plain] == [(m.start, m.end, m.best_time) for m in moved]


def test_rounding_does_not_part_frames_that_show_the_same() -> None:
    noise = 5e-5 * np.random.default_rng(0).random(50)
    # The frame beside the cut is smoothed with what is before it.
    for scores, start in ((0.4 + noise, 0.0), (np.where(np.arange(50) < 20, 0.2, 0.4) + noise, 20.5)):
        (moment,) = moments_of(FrameScores(np.arange(50.0), scores, 50.0), threshold=1.0, gap_seconds=0.0)
        assert (moment.start, moment.end) == (start, 50.0)


@given(some_scores)
def test_moments_do_not_overlap_and_the_best_is_first(scores: list[float]) -> None:
    times = np.linspace(0.0, 7.0, len(scores))
    found = moments_of(FrameScores(times, np.array(scores), 7.5))
    assert found
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    in_order = sorted(found, key=lambda moment: moment.start)
    assert all(first.end < second.start for first, second in pairwise(in_order))
    assert all(0.0 <= m.start <= m.best_time <= m.end <= 7.5 for m in found)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of each colour."""
    colors = ["红", "green", "blue", "green", "红", "yellow"]
    return save_video(tmp_path_factory.mktemp("videos") / "a.mp4", colors, seconds_each=3)


def spans(moments: Sequence[Moment]) -> list[tuple[float, float]]:
    return sorted((moment.start, moment.end) for moment in moments)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("blue", [(6.0, 9.0)]),
        ("green", [(3.0, 6.0), (9.0, 12.0)]),
        ("红", [(0.0, 3.0), (12.0, 15.0)]),
        ("yellow", [(15.0, 18.0)]),
    ],
)
def test_colours_are_found_when_they_are_shown(
    video: Path, text: str, wanted: list[tuple[float, float]], batch_size: int
) -> None:
    found = find_moments(video, text, ColorEmbedder(), every_seconds=0.5, batch_size=batch_size)
    # Halfway between two frames.
    assert np.abs(np.subtract(spans(found), wanted)).max() <= 0.25
    for moment in found:
        assert moment.start < moment.best_time < moment.end or moment.best_time == 0.0
        assert moment.score == pytest.approx(1.0, abs=1e-3)
    assert find_moments(video, text, ColorEmbedder(), every_seconds=0.5, top_k=1) == found[:1]


def test_the_end_is_that_of_the_video_also_in_large_steps(video: Path) -> None:
    (found,) = find_moments(video, "yellow", ColorEmbedder(), every_seconds=2.0)
    assert found.end == pytest.approx(18.0)
    (whole,) = find_moments(video, "红", ColorEmbedder(), every_seconds=100.0)
    assert (whole.start, whole.end) == pytest.approx((0.0, 18.0))


def test_the_gap_joins_moments(video: Path) -> None:
    (joined,) = find_moments(video, "green", ColorEmbedder(), every_seconds=0.5, gap_seconds=3.1)
    assert (joined.start, joined.end) == pytest.approx((3.0, 12.0), abs=0.26)
    apart = find_moments(video, "green", ColorEmbedder(), every_seconds=0.5, gap_seconds=2.9)
    assert len(apart) == 2


def test_an_example_picture_is_a_query(video: Path, tmp_path: Path) -> None:
    example = save_color(tmp_path / "blue.png", "blue")
    by_picture = find_moments(video, example, ColorEmbedder())
    assert by_picture == find_moments(video, "blue", ColorEmbedder())


def test_a_still_video_is_one_moment(tmp_path: Path) -> None:
    still = save_video(tmp_path / "still.mp4", ["blue"] * 4)
    (moment,) = find_moments(still, "blue", ColorEmbedder())
    assert (moment.start, moment.end) == pytest.approx((0.0, 8.0))


class ForgetfulEmbedder(ColorEmbedder):
    """Notes how many frames are in memory whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[weakref.ref[Any]] = []
        self.most = 0

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        self.given += [weakref.ref(image) for image in images]
        self.most = max(self.most, sum(frame() is not None for frame in self.given))
        return super().embed_images(images)


def test_frames_are_forgotten_and_counted(video: Path) -> None:
    embedder, totals = ForgetfulEmbedder(), []

    def progress(frames: Iterator[Shown], total: int) -> Iterator[Shown]:
        totals.append(total)
        return frames

    find_moments(video, "blue", embedder, every_seconds=0.25, batch_size=4, progress=progress)
    assert totals == [embedder.seen] == [72]
    assert embedder.most <= 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_seconds": 0.0}, r"every_seconds=0\.0 must be a positive number"),
        ({"every_seconds": float("nan")}, "every_seconds=nan must be"),
        ({"top_k": 0}, "top_k=0 must be 1 or more"),
        ({"batch_size": 0}, "batch_size=0 must be 1 or more"),
        ({"threshold": 1.5}, r"threshold=1\.5 must be from 0 to 1"),
        ({"gap_seconds": -1.0}, r"gap_seconds=-1\.0 must be 0 or more"),
    ],
)
def test_numbers_out_of_range(video: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_moments(video, "blue", ColorEmbedder(), **options)


def test_nothing_to_look_at_or_for(video: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the query is empty"):
        find_moments(video, " ", ColorEmbedder())
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(VideoReadError, match="is no video"):
        find_moments(tmp_path / "text.mp4", "blue", ColorEmbedder())
    with pytest.raises(ValueError, match="there are no frames"):
        moments_of(FrameScores(np.zeros(0), np.zeros(0), 0.0))


def test_a_record_is_rounded() -> None:
    record = Moment(1.23456, 2.0, 1.5, 0.123456).to_record()
    assert record == {"start": 1.235, "end": 2.0, "best_time": 1.5, "score": 0.1235}


@pytest.mark.shared
def test_shots_of_a_real_video_are_found_by_a_frame_of_them(shared_root: Path, tmp_path: Path) -> None:
    archive = shared_root / "data" / "video_clips.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    with zipfile.ZipFile(archive) as file:
        clip = Path(file.extract("video_clips/bikes.mp4", tmp_path))
    # Its cuts, seen as jumps from one frame to the next.
    shots = [(0.0, 1.2), (1.2, 3.04), (3.04, 5.48)]
    found = [
        find_moments(clip, picture_at(clip, sum(shot) / 2), ColorEmbedder(), every_seconds=0.2, threshold=0.7)
        for shot in shots
    ]
    report = moment_recall(
        [[(moment.start, moment.end) for moment in moments] for moments in found],
        [[shot] for shot in shots],
        [10.0] * 3,
    )
    assert (report.at1, report.whole_at1) == (1.0, 0.0)
