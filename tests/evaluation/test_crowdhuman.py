"""CrowdHuman's figures against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.crowdhuman import REFERENCES, score_crowdhuman
from intern25.evaluation.predictions import Prediction
from tests.evaluation.made_data import nothing_found, pictures
from tests.evaluation.test_voc import found, made, overlap


def outcomes(annotation: Annotation, prediction: Prediction) -> list[tuple[float, bool]]:
    """(score, right) of the detections of one picture that count, by the benchmark's greedy rule."""
    persons = annotation.boxes[(annotation.labels == 0) & ~annotation.crowd].tolist()
    regions = annotation.boxes[annotation.crowd].tolist()
    taken: set[int] = set()
    result = []
    for box, score, label in zip(
        prediction.boxes.tolist(), prediction.scores, prediction.labels, strict=True
    ):
        if label != 0:
            continue
        best, nearest = 0.5, -1
        for number, person in enumerate(persons):
            if number not in taken and overlap(box, person) > best:
                best, nearest = overlap(box, person), number
        if nearest >= 0:
            taken.add(nearest)
            result.append((score, True))
        elif not any(overlap(box, region, of_first=True) > 0.5 for region in regions):
            result.append((score, False))
    return result


def looped(annotations: list[Annotation], predictions: list[Prediction]) -> tuple[float, float]:
    rows = sorted(
        itertools.chain.from_iterable(map(outcomes, annotations, predictions)), key=lambda row: -row[0]
    )
    objects = sum(int(((a.labels == 0) & ~a.crowd).sum()) for a in annotations)
    right = wrong = 0
    curve = []
    for _, is_right in rows:
        right, wrong = right + is_right, wrong + (not is_right)
        curve.append((right / objects, right / (right + wrong), wrong / len(annotations)))
    ap = sum(
        (after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in itertools.pairwise(curve)
    )
    logs = []
    for reference in REFERENCES:
        place = next((row for row in curve if row[2] >= reference), curve[-1])
        logs.append(math.log(1 - place[0]))
    return ap, math.exp(sum(logs) / len(logs))


def looped_jaccard(annotation: Annotation, prediction: Prediction, threshold: float) -> float:
    """By trying every assignment: pictures here have few persons."""
    persons = annotation.boxes[(annotation.labels == 0) & ~annotation.crowd].tolist()
    regions = annotation.boxes[annotation.crowd].tolist()
    kept = [
        box
        for box, score, label in zip(
            prediction.boxes.tolist(), prediction.scores, prediction.labels, strict=True
        )
        if label == 0 and score >= threshold
    ]
    best: tuple[int, ...] = ()
    for number in range(min(len(persons), len(kept)), 0, -1):
        for rows in itertools.permutations(range(len(kept)), number):
            for columns in itertools.combinations(range(len(persons)), number):
                if all(overlap(kept[r], persons[c]) > 0.5 for r, c in zip(rows, columns, strict=True)):
                    best = rows
                    break
            if best:
                break
        if best:
            break
    free = [box for row, box in enumerate(kept) if row not in best]
    ignored = sum(any(overlap(box, region, of_first=True) > 0.5 for region in regions) for box in free)
    union = len(kept) - ignored + len(persons) - len(best)
    return len(best) / union if union else 1.0


@pytest.mark.parametrize("seed", [0, 2])
def test_figures_by_hand(seed: int) -> None:
    annotations, predictions = pictures(30, seed=seed)
    scores = score_crowdhuman(annotations, predictions)
    assert (scores.ap, scores.miss_rate) == pytest.approx(looped(annotations, predictions), abs=1e-12)
    means = [
        np.mean([looped_jaccard(a, p, step / 10) for a, p in zip(annotations, predictions, strict=True)])
        for step in range(10)
    ]
    assert scores.jaccard == pytest.approx(max(means))
    assert scores.jaccard_threshold == pytest.approx(int(np.argmax(means)) / 10)
    assert 0.1 < scores.miss_rate < 0.9


def test_perfect_and_empty() -> None:
    annotation = made([[0, 0, 10, 20], [30, 0, 40, 20]], [False, False])
    perfect = found((0.9, [0.0, 0.0, 10.0, 20.0], 0), (0.8, [30.0, 0.0, 40.0, 20.0], 0))
    scores = score_crowdhuman([annotation], [perfect])
    assert scores.jaccard == 1.0
    assert scores.miss_rate < 1e-30
    assert scores.objects == 2
    nothing = score_crowdhuman([annotation], nothing_found([perfect]))
    assert (nothing.ap, nothing.miss_rate, nothing.jaccard) == (0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="nothing to score"):
        score_crowdhuman([made([], [])], [perfect])
    with pytest.raises(ValueError, match="1 annotated pictures but 0"):
        score_crowdhuman([annotation], [])
