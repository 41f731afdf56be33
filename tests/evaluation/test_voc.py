"""Pascal VOC's and Open Images' average precision against plain loops over detections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.average_precision import area_under_curve, eleven_point_average
from intern25.evaluation.predictions import Prediction
from intern25.evaluation.voc import score_open_images, score_voc
from tests.evaluation.made_data import CLASSES, nothing_found, pictures


def overlap(a: list[float], b: list[float], *, of_first: bool = False) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    first, second = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return width * height / (first if of_first else first + second - width * height)


def looped_voc(annotations: list[Annotation], predictions: list[Prediction], label: int, year: int) -> float:
    """The devkit's procedure, detection by detection in order of score over the whole data set."""
    everything = sorted(
        (-p.scores[row], image, row)
        for image, p in enumerate(predictions)
        for row in range(len(p))
        if p.labels[row] == label
    )
    taken: set[tuple[int, int]] = set()
    right, wrong, curve = 0, 0, []
    objects = sum(
        1 for a in annotations for row in range(len(a)) if a.labels[row] == label and not a.difficult[row]
    )
    for _, image, row in everything:
        a = annotations[image]
        best, nearest = 0.0, -1
        for number in range(len(a)):
            value = overlap(predictions[image].boxes[row].tolist(), a.boxes[number].tolist())
            if a.labels[number] == label and value > best:
                best, nearest = value, number
        if best >= 0.5 and a.difficult[nearest]:
            continue
        if best >= 0.5 and (image, nearest) not in taken:
            taken.add((image, nearest))
            right += 1
        else:
            wrong += 1
        curve.append((right / objects, right / (right + wrong)))
    if year == 2007:
        levels = [step / 10 for step in range(11)]
        return sum(max((p for r, p in curve if r >= level), default=0.0) for level in levels) / 11
    total, last = 0.0, 0.0
    for position, (recall, _) in enumerate(curve):
        total += (recall - last) * max(p for _, p in curve[position:])
        last = recall
    return total


def difficult_ones(annotations: list[Annotation]) -> list[Annotation]:
    return [replace(a, difficult=a.crowd, crowd=np.zeros_like(a.crowd)) for a in annotations]


@pytest.mark.parametrize("year", [2007, 2012])
@pytest.mark.parametrize("seed", [0, 1])
def test_voc_by_hand(year: int, seed: int) -> None:
    annotations, predictions = pictures(30, seed=seed)
    annotations = difficult_ones(annotations)
    assert any(a.difficult.any() for a in annotations)
    scores = score_voc(annotations, predictions, CLASSES, year=year)  # type: ignore[arg-type]
    for label in range(3):
        expected = looped_voc(annotations, predictions, label, year)
        assert scores.classes[label].ap50 == pytest.approx(expected, abs=1e-12)
    assert scores.classes[3].ap50 == -1  # no objects
    assert scores.ap50 == pytest.approx(np.mean([row.ap50 for row in scores.classes[:3]]))


def test_areas_of_a_known_curve() -> None:
    precision, recall = np.array([1.0, 0.5, 2 / 3, 0.5]), np.array([0.25, 0.25, 0.5, 0.5])
    assert area_under_curve(precision, recall) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    # Recalls 0, .1 and .2 see 1; .3, .4 and .5 see 2/3; the others nothing.
    assert eleven_point_average(precision, recall) == pytest.approx((3 + 3 * 2 / 3) / 11)


def test_empty_predictions_and_wrong_calls() -> None:
    annotations, predictions = pictures(5)
    assert score_voc(annotations, nothing_found(predictions), CLASSES).ap50 == 0.0
    assert score_open_images(annotations, nothing_found(predictions), CLASSES).ap50 == 0.0
    assert score_voc([], [], CLASSES).ap50 == -1.0
    with pytest.raises(ValueError, match="year=2010"):
        score_voc(annotations, predictions, CLASSES, year=2010)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="5 annotated pictures but 4"):
        score_voc(annotations, predictions[:4], CLASSES)


def made(boxes: list[list[float]], crowd: list[bool], negative: tuple[int, ...] = ()) -> Annotation:
    number = len(boxes)
    return Annotation(
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        labels=np.zeros(number, dtype=np.int64),
        size=(100, 100),
        crowd=np.array(crowd, dtype=np.bool_),
        difficult=np.zeros(number, dtype=np.bool_),
        areas=np.zeros(number, dtype=np.float32),
        ids=tuple(range(number)),
        negative_labels=negative,
    )


def found(*rows: tuple[float, list[float], int]) -> Prediction:
    return Prediction(
        boxes=np.array([box for _, box, _ in rows], dtype=np.float64).reshape(-1, 4),
        scores=np.array([score for score, _, _ in rows]),
        labels=np.array([label for _, _, label in rows], dtype=np.int64),
    )


def test_a_group_is_found_once() -> None:
    annotation = made([[0, 0, 50, 50], [60, 60, 70, 70]], [True, False])
    inside = [[5.0, 5.0, 15.0, 15.0], [20.0, 20.0, 30.0, 30.0]]
    prediction = found((0.9, inside[0], 0), (0.8, inside[1], 0), (0.7, [60.0, 60.0, 70.0, 70.0], 0))
    # The second box in the group neither helps nor hurts.
    assert score_open_images([annotation], [prediction], ("a",)).ap50 == 1.0
    outside = found(
        (0.9, [80.0, 80.0, 90.0, 90.0], 0), (0.8, inside[0], 0), (0.7, [60.0, 60.0, 70.0, 70.0], 0)
    )
    assert score_open_images([annotation], [outside], ("a",)).ap50 == pytest.approx(2 / 3)


def test_classes_that_nobody_verified_do_not_count() -> None:
    annotations = [made([[0, 0, 50, 50]], [False]), made([], [], negative=(0,)), made([], [])]
    stray = found((0.9, [0.0, 0.0, 9.0, 9.0], 0))
    right = found((0.5, [0.0, 0.0, 50.0, 50.0], 0))
    nothing = found()
    assert score_open_images(annotations, [right, nothing, stray], ("a",)).ap50 == 1.0
    assert score_open_images(annotations, [right, stray, nothing], ("a",)).ap50 == 0.5
