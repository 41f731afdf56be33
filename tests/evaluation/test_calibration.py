# SPDX-License-Identifier: MIT
"""Calibration of detections against loops over detections and bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.evaluation.calibration import calibrate_detections
from intern25.evaluation.predictions import Prediction

Rows = list[tuple[list[float], float, int]]


def found(rows: Rows) -> Prediction:
    """From (box, score, label)."""
    rows = sorted(rows, key=lambda row: -row[1])
    return Prediction(
        boxes=np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], dtype=np.float64),
        labels=np.array([row[2] for row in rows], dtype=np.int64),
    )


def there(objects: list[tuple[list[float], int]], crowd: tuple[int, ...] = ()) -> Annotation:
    rows = AnnotationRows()
    for number, (box, label) in enumerate(objects):
        rows.add(tuple(box), label, number, crowd=number in crowd)  # type: ignore[arg-type]
    return rows.annotation((100, 100))


def overlap(a: list[float], b: list[float]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(w, 0.0) * max(h, 0.0)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inside / (sum(area) - inside)


def oracle(pictures: list[tuple[list[tuple[list[float], int]], Rows]], bins: int) -> tuple[float, int]:
    """Detections one by one, best first, then bins one by one."""
    judged: list[tuple[float, bool]] = []
    for objects, rows in pictures:
        taken: set[int] = set()
        for box, score, label in sorted(rows, key=lambda row: -row[1]):
            best, place = 0.0, -1
            for number, (other, kind) in enumerate(objects):
                if kind == label and overlap(box, other) > best:
                    best, place = overlap(box, other), number
            right = best >= 0.5 and place not in taken
            if right:
                taken.add(place)
            judged.append((score, right))
    error = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        last = number == bins - 1
        inside = [row for row in judged if low <= row[0] < high or (last and row[0] == high)]
        if inside:
            precision = sum(right for _, right in inside) / len(inside)
            score = sum(score for score, _ in inside) / len(inside)
            error += len(inside) / len(judged) * abs(precision - score)
    return (error if judged else -1.0), len(judged)


# Few places, so that detections meet objects and one another; sixteenths have no rounding at borders.
SIDES = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda at: [10.0 * at[0], 10.0 * at[1], 10.0 * at[0] + 30, 10.0 * at[1] + 30]
)
LABELS = st.integers(0, 1)
SCORES = st.lists(st.integers(0, 16), unique=True, max_size=6).map(lambda xs: [x / 16 for x in xs])


@st.composite
def picture(draw: st.DrawFn) -> tuple[list[tuple[list[float], int]], Rows]:
    objects = draw(st.lists(st.tuples(SIDES, LABELS), max_size=3))
    return objects, [(draw(SIDES), score, draw(LABELS)) for score in draw(SCORES)]


@settings(deadline=None)
@given(st.lists(picture(), max_size=4), st.sampled_from([1, 2, 4, 8]))
def test_the_error_is_that_of_loops(
    pictures: list[tuple[list[tuple[list[float], int]], Rows]], bins: int
) -> None:
    report = calibrate_detections(
        [there(objects) for objects, _ in pictures], [found(rows) for _, rows in pictures], bins=bins
    )
    error, count = oracle(pictures, bins)
    assert report.error == pytest.approx(error, abs=1e-12)
    assert report.detections == count == sum(row.detections for row in report.bins)


def pictures_of(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Prediction]:
    """One detection a picture with one object, hit where it is right."""
    return [
        found([([0, 0, 10, 10] if hit else [50, 50, 60, 60], float(score), 0)])
        for score, hit in zip(scores, right, strict=True)
    ]


def test_scores_that_are_probabilities_have_no_error() -> None:
    scores = np.repeat([0.25, 0.75], 400)
    right = np.concatenate((np.arange(400) % 4 == 0, np.arange(400) % 4 != 0))
    everywhere = [there([([0, 0, 10, 10], 0)])] * 800
    report = calibrate_detections(everywhere, pictures_of(scores, right))
    assert report.error == pytest.approx(0, abs=1e-12)
    assert [(row.detections, row.score, row.precision) for row in report.bins] == [
        (400, 0.25, 0.25), (400, 0.75, 0.75),
    ]  # fmt: skip
    # Their square roots are too sure of themselves.
    timid = calibrate_detections(everywhere, pictures_of(np.sqrt(scores), right))
    assert timid.error == pytest.approx((0.5 - 0.25 + np.sqrt(0.75) - 0.75) / 2)


def test_a_threshold_and_crowds_leave_detections_out() -> None:
    annotation = there([([0, 0, 10, 10], 0), ([50, 50, 90, 90], 0)], crowd=(1,))
    prediction = found([([0, 0, 10, 10], 0.8, 0), ([50, 50, 90, 90], 0.9, 0), ([0, 0, 10, 10], 0.05, 1)])
    report = calibrate_detections([annotation], [prediction])
    assert report.detections == 2
    assert report.error == pytest.approx((0.2 + 0.05) / 2)
    above = calibrate_detections([annotation], [prediction], threshold=0.3)
    assert (above.detections, above.error) == (1, pytest.approx(0.2))


def test_nothing_found_and_what_cannot_be_compared() -> None:
    assert calibrate_detections([there([])], [found([])]).error == -1.0
    with pytest.raises(ValueError, match="bins=0 must be 1 or more"):
        calibrate_detections([], [], bins=0)
    with pytest.raises(ValueError, match="1 annotated pictures but 0 predictions"):
        calibrate_detections([there([])], [])
    for score in (1.5, float("nan")):
        with pytest.raises(ValueError, match="scores must be from 0 to 1"):
            calibrate_detections([there([])], [found([([0, 0, 1, 1], score, 0)])])
