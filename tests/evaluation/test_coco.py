"""COCO's figures equal those of pycocotools."""

from __future__ import annotations

import contextlib
import io
import sys

import numpy as np
import pytest

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.coco import CocoScores, Kind, score_coco
from intern25.evaluation.detection import score_detections
from intern25.evaluation.predictions import Prediction
from tests.evaluation.made_data import CLASSES, nothing_found, pictures, without_masks

pytest.importorskip("faster_coco_eval")

NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


def by_pycocotools(annotations: list[Annotation], predictions: list[Prediction], kind: Kind) -> list[float]:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    rows = []
    for image, a in enumerate(annotations):
        for row in range(len(a)):
            left, top, right, bottom = a.boxes[row].astype(float)
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(a.labels[row]),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": float(a.areas[row]),
                    "iscrowd": int(a.crowd[row]),
                    "segmentation": a.masks[row],  # type: ignore[index]
                }
            )
    found = []
    for image, p in enumerate(predictions):
        for row in range(len(p)):
            left, top, right, bottom = p.boxes[row]
            result = {"image_id": image, "category_id": int(p.labels[row]), "score": p.scores[row]}
            if kind == "bbox":
                result["bbox"] = [left, top, right - left, bottom - top]
            else:
                result["segmentation"] = p.masks[row]  # type: ignore[index]
            found.append(result)
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": i, "height": a.size[0], "width": a.size[1]} for i, a in enumerate(annotations)],
        "annotations": rows,
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluator = cocoeval.COCOeval(truth, truth.loadRes(found), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return list(evaluator.stats)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_figures_are_those_of_pycocotools(kind: Kind, seed: int) -> None:
    annotations, predictions = pictures(25, seed=seed)
    scores = score_coco(annotations, predictions, CLASSES, kind=kind)
    expected = by_pycocotools(annotations, predictions, kind)
    assert [getattr(scores, name) for name in NAMES] == pytest.approx(expected, abs=1e-9)
    assert 0.1 < scores.ap < 0.9
    assert scores.images == 25


def test_classes_without_objects_do_not_count() -> None:
    annotations, predictions = pictures(25)
    scores = score_coco(annotations, predictions, CLASSES)
    objects = [sum(int(((a.labels == c) & ~a.crowd).sum()) for a in annotations) for c in range(4)]
    assert [row.objects for row in scores.classes] == objects
    assert scores.classes[3].ap == -1
    assert scores.ap == pytest.approx(np.mean([row.ap for row in scores.classes[:3]]))
    assert scores.ap50 == pytest.approx(np.mean([row.ap50 for row in scores.classes[:3]]))


def test_nothing_found_is_zero_and_nothing_to_find_is_minus_one() -> None:
    annotations, predictions = pictures(6)
    box, mask = score_detections(annotations, nothing_found(predictions), CLASSES)
    assert isinstance(box, CocoScores)
    assert isinstance(mask, CocoScores)
    assert box.ap == mask.ap == box.ar100 == 0.0
    empty = [a.select([]) for a in annotations]
    assert score_coco(empty, predictions, CLASSES).ap == -1.0
    assert score_coco([], [], CLASSES).ap == -1.0


def test_masks_count_only_where_the_data_have_them() -> None:
    annotations, predictions = pictures(12)
    halved = [
        Annotation(**{n: getattr(a, n) for n in a.__dataclass_fields__} | {"masks": None}) if i % 2 else a
        for i, a in enumerate(annotations)
    ]
    actual = score_coco(halved, predictions, CLASSES, kind="segm")
    kept = [i for i, a in enumerate(halved) if a.has_all_masks]
    expected = score_coco(
        [annotations[i] for i in kept], [predictions[i] for i in kept], CLASSES, kind="segm"
    )
    assert actual == expected
    boxes = [without_masks(p) for p in predictions]
    assert score_detections(annotations, boxes, CLASSES)[1] is None
    with pytest.raises(ValueError, match="predicts no masks"):
        score_coco(annotations, boxes, CLASSES, kind="segm")


def test_difficult_objects_are_ignored_as_crowds() -> None:
    annotations, predictions = pictures(12)
    swapped = [
        Annotation(
            **{n: getattr(a, n) for n in a.__dataclass_fields__}
            | {"crowd": a.difficult, "difficult": a.crowd}
        )
        for a in annotations
    ]
    assert score_coco(swapped, predictions, CLASSES) == score_coco(annotations, predictions, CLASSES)


def test_mistakes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    annotations, predictions = pictures(3)
    with pytest.raises(ValueError, match="3 annotated pictures but 2 predictions"):
        score_coco(annotations, predictions[:2], CLASSES)
    with pytest.raises(ValueError, match="must be coco, lvis"):
        score_detections(annotations, predictions, CLASSES, metric="map")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="classes have a frequency"):
        score_detections(annotations, predictions, CLASSES, metric="lvis")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"pip install 'intern25\[eval\]'"):
        score_coco(annotations, predictions, CLASSES)
