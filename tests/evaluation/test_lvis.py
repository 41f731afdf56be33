"""LVIS's figures equal those of the ``lvis`` package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from intern25.data.detection.annotations import Annotation
from intern25.data.detection.sources import read_detection
from intern25.evaluation.coco import Kind
from intern25.evaluation.detection import score_detections
from intern25.evaluation.lvis import LvisScores, score_lvis
from intern25.evaluation.predictions import Prediction
from tests.evaluation.made_data import CLASSES, nothing_found, pictures

pytest.importorskip("faster_coco_eval")

FREQUENCIES = ("r", "c", "f", "f")
NAMES = {
    "AP": "ap", "AP50": "ap50", "AP75": "ap75", "APs": "ap_small", "APm": "ap_medium", "APl": "ap_large",
    "APr": "ap_rare", "APc": "ap_common", "APf": "ap_frequent", "AR@300": "ar300",
}  # fmt: skip


def federated(annotations: list[Annotation]) -> list[Annotation]:
    """Every picture was searched for one absent class, and some classes were not annotated to the end."""
    generator = np.random.default_rng(5)
    result = []
    for annotation in annotations:
        present = set(annotation.labels.tolist())
        absent = [label for label in range(len(CLASSES)) if label not in present]
        unfinished = [label for label in present if generator.random() < 0.3]
        result.append(
            replace(annotation, negative_labels=tuple(absent[:1]), not_exhaustive_labels=tuple(unfinished))
        )
    return result


def by_lvis(annotations: list[Annotation], predictions: list[Prediction], kind: Kind) -> dict[str, float]:
    lvis = pytest.importorskip("lvis")
    rows: list[dict[str, Any]] = []
    for image, a in enumerate(annotations, start=1):
        for row in range(len(a)):
            left, top, right, bottom = a.boxes[row].astype(float)
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(a.labels[row]) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": float(a.areas[row]),
                    "segmentation": a.masks[row],  # type: ignore[index]
                }
            )
    found = []
    for image, p in enumerate(predictions, start=1):
        for row in range(len(p)):
            left, top, right, bottom = p.boxes[row]
            result = {"image_id": image, "category_id": int(p.labels[row]) + 1, "score": p.scores[row]}
            if kind == "bbox":
                result["bbox"] = [left, top, right - left, bottom - top]
            else:
                result["segmentation"] = p.masks[row]  # type: ignore[index]
            found.append(result)
    truth = lvis.LVIS.__new__(lvis.LVIS)
    truth.logger = __import__("logging").getLogger("lvis")
    truth.dataset = {
        "images": [
            {
                "id": i,
                "height": a.size[0],
                "width": a.size[1],
                "neg_category_ids": [label + 1 for label in a.negative_labels],
                "not_exhaustive_category_ids": [label + 1 for label in a.not_exhaustive_labels],
            }
            for i, a in enumerate(annotations, start=1)
        ],
        "annotations": rows,
        "categories": [
            {"id": i, "name": name, "frequency": f}
            for i, (name, f) in enumerate(zip(CLASSES, FREQUENCIES, strict=True), start=1)
        ],
    }
    truth._create_index()
    evaluator = lvis.LVISEval(truth, lvis.LVISResults(truth, found), kind)
    evaluator.run()
    return dict(evaluator.results)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_figures_are_those_of_the_lvis_package(
    kind: Kind, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "float", float, raising=False)  # the package is older than NumPy 2
    annotations, predictions = pictures(25, seed=seed, crowds=False)
    annotations = federated(annotations)
    scores = score_lvis(annotations, predictions, CLASSES, frequencies=FREQUENCIES, kind=kind)
    expected = by_lvis(annotations, predictions, kind)
    for name, ours in NAMES.items():
        assert getattr(scores, ours) == pytest.approx(expected[name], abs=1e-9), name
    assert 0.1 < scores.ap < 0.95


def test_classes_nobody_looked_for_do_not_count() -> None:
    annotations, predictions = pictures(10, crowds=False)
    free = score_lvis(annotations, predictions, CLASSES, frequencies=FREQUENCIES)
    strict = score_lvis(
        [replace(a, negative_labels=(0, 1, 2, 3)) for a in annotations],
        predictions,
        CLASSES,
        frequencies=FREQUENCIES,
    )
    assert strict.ap < free.ap


def test_the_best_300_count() -> None:
    annotations, predictions = pictures(1, seed=3, crowds=False)
    (prediction,) = predictions
    number = 301
    many = Prediction(
        boxes=np.tile([[0.0, 0.0, 3.0, 3.0]], (number, 1)),
        scores=np.linspace(1.0, 0.5, number),
        labels=np.zeros(number, dtype=np.int64),
    )
    last = replace(many, boxes=np.concatenate((many.boxes[:-1], annotations[0].boxes[:1])))
    last = replace(last, labels=np.full(number, annotations[0].labels[0]))
    assert score_lvis(annotations, [last], CLASSES, frequencies=FREQUENCIES).ap50 == 0.0
    assert score_lvis(annotations, [prediction], CLASSES, frequencies=FREQUENCIES).ap50 > 0.0


def test_nothing_found_and_wrong_frequencies() -> None:
    annotations, predictions = pictures(4, crowds=False)
    box, _ = score_detections(
        annotations, nothing_found(predictions), CLASSES, metric="lvis", frequencies=FREQUENCIES
    )
    assert isinstance(box, LvisScores)
    assert box.ap == 0.0
    with pytest.raises(ValueError, match="for each of the 4 classes"):
        score_lvis(annotations, predictions, CLASSES, frequencies=("r", "c"))


def test_frequencies_come_from_the_file(tmp_path: Path) -> None:
    rows = {
        "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 8, "neg_category_ids": [2]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16}],
        "categories": [{"id": 1, "name": "a", "frequency": "r"}, {"id": 2, "name": "b", "frequency": "f"}],
    }
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "lvis_v1_val.json").write_text(json.dumps(rows))
    images = read_detection(tmp_path, "lvis", split="val")
    assert images.frequencies == ("r", "f")
    assert images.annotation(0).negative_labels == (1,)
