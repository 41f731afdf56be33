# SPDX-License-Identifier: MIT
"""COCO's average precision and recall of boxes and masks, by faster-coco-eval."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation
from intern25.data.detection.masks import segmentation_json
from intern25.evaluation.predictions import Prediction

Kind = Literal["bbox", "segm"]
LIMITS = (1, 10, 100)
"""Objects of a class and a picture that count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPrecision:
    """Precision on the objects of one class; -1 where it has none."""

    name: str
    objects: int
    ap: float
    ap50: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoScores:
    """The twelve figures of COCO; -1 where there is nothing to score."""

    ap: float
    """Mean over IoU thresholds .50 to .95 and classes."""
    ap50: float
    """At IoU .50."""
    ap75: float
    """At IoU .75."""
    ap_small: float
    """Objects below 32 x 32 pixels."""
    ap_medium: float
    """Objects of 32 x 32 to 96 x 96 pixels."""
    ap_large: float
    """Larger objects."""
    ar1: float
    """Recall with one detection a class and picture."""
    ar10: float
    """With ten."""
    ar100: float
    """With a hundred."""
    ar_small: float
    """Of small objects, with a hundred."""
    ar_medium: float
    """Of medium objects."""
    ar_large: float
    """Of large objects."""
    images: int
    """Pictures that were scored."""
    classes: tuple[ClassPrecision, ...]
    """One row a class."""


def score_coco(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    kind: Kind = "bbox",
) -> CocoScores:
    """Score detections by COCO's rules.

    Crowd regions and difficult objects neither count nor punish. Masks are scored on the pictures all of
    whose objects have one.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        classes: Names of the labels.
        kind: Overlap of boxes or of masks.

    Returns:
        The figures.

    Raises:
        ImportError: faster-coco-eval is not installed.
        ValueError: The numbers of pictures differ, or masks are asked for and the model has none.
    """
    evaluator, used = run_evaluator(annotations, predictions, classes, kind=kind, limits=LIMITS)
    precision, recall = evaluator.eval["precision"], evaluator.eval["recall"]
    last = len(LIMITS) - 1
    return CocoScores(
        ap=mean_of_present(precision[:, :, :, 0, last]),
        ap50=mean_of_present(precision[0, :, :, 0, last]),
        ap75=mean_of_present(precision[5, :, :, 0, last]),
        ap_small=mean_of_present(precision[:, :, :, 1, last]),
        ap_medium=mean_of_present(precision[:, :, :, 2, last]),
        ap_large=mean_of_present(precision[:, :, :, 3, last]),
        ar1=mean_of_present(recall[:, :, 0, 0]),
        ar10=mean_of_present(recall[:, :, 0, 1]),
        ar100=mean_of_present(recall[:, :, 0, 2]),
        ar_small=mean_of_present(recall[:, :, 1, last]),
        ar_medium=mean_of_present(recall[:, :, 2, last]),
        ar_large=mean_of_present(recall[:, :, 3, last]),
        images=len(used),
        classes=class_rows(precision[:, :, :, 0, last], used, classes),
    )


def require_evaluator() -> None:
    """Raise ImportError where faster-coco-eval is not installed, before there is anything to score."""
    try:
        importlib.import_module("faster_coco_eval")
    except ImportError as error:
        raise ImportError("scores of detectors need the eval extra: pip install 'intern25[eval]'") from error


def run_evaluator(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    kind: Kind,
    limits: Sequence[int],
    frequencies: Sequence[str] | None = None,
) -> tuple[Any, list[Annotation]]:
    """Let faster-coco-eval match and accumulate.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        classes: Names of the labels.
        kind: Overlap of boxes or of masks.
        limits: Objects of a class and a picture that count.
        frequencies: ``"r"``, ``"c"`` or ``"f"`` of each class: score by LVIS's rules.

    Returns:
        The evaluator, and the annotations of the pictures that were scored.

    Raises:
        ImportError: faster-coco-eval is not installed.
        ValueError: As in :func:`score_coco`.
    """
    require_evaluator()
    from faster_coco_eval import COCO, COCOeval_faster

    if len(annotations) != len(predictions):
        raise ValueError(f"{len(annotations)} annotated pictures but {len(predictions)} predictions")
    pairs = list(zip(annotations, predictions, strict=True))
    if kind == "segm":
        if any(prediction.masks is None and len(prediction) for prediction in predictions):
            raise ValueError("the model predicts no masks; score its boxes")
        pairs = [(a, p) for a, p in pairs if a.has_all_masks]
    used = [annotation for annotation, _ in pairs]
    truth = COCO(_truth_json(used, classes, frequencies))
    found = truth.loadRes([row for image, (_, p) in enumerate(pairs) for row in _rows(p, image + 1, kind)])
    evaluator: Any = COCOeval_faster(truth, found, kind, lvis_style=frequencies is not None)
    evaluator.params.maxDets = list(limits)
    if used:
        evaluator.evaluate()
        evaluator.accumulate()
    else:
        shape = (10, 101, len(classes), 4, len(limits))
        evaluator.eval = {"precision": -np.ones(shape), "recall": -np.ones((shape[0], *shape[2:]))}
    return evaluator, used


def _truth_json(
    annotations: Sequence[Annotation], classes: Sequence[str], frequencies: Sequence[str] | None
) -> dict[str, Any]:
    """The annotations as one COCO data set; ids are positions plus one."""
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, annotation in enumerate(annotations, start=1):
        height, width = annotation.size
        image: dict[str, Any] = {"id": number, "height": height, "width": width}
        if frequencies is not None:
            image["neg_category_ids"] = [label + 1 for label in annotation.negative_labels]
            image["not_exhaustive_category_ids"] = [label + 1 for label in annotation.not_exhaustive_labels]
        images.append(image)
        rows.extend(_truth_rows(annotation, number, first=len(rows) + 1))
    categories = [{"id": label, "name": name} for label, name in enumerate(classes, start=1)]
    if frequencies is not None:
        categories = [
            {**category, "frequency": frequency}
            for category, frequency in zip(categories, frequencies, strict=True)
        ]
    return {"images": images, "annotations": rows, "categories": categories}


def _truth_rows(annotation: Annotation, image: int, *, first: int) -> list[dict[str, Any]]:
    return [
        {
            "id": first + row,
            "image_id": image,
            "category_id": int(annotation.labels[row]) + 1,
            "bbox": _xywh(annotation.boxes[row]),
            "area": float(annotation.areas[row]),
            "iscrowd": int(annotation.ignored[row]),
            # A region to ignore may have no mask; its box then stands for it.
            "segmentation": _stored(annotation, row),
        }
        for row in range(len(annotation))
    ]


def _stored(annotation: Annotation, row: int) -> Any:
    mask = None if annotation.masks is None else annotation.masks[row]
    if mask is not None:
        return segmentation_json(mask)
    left, top, right, bottom = (float(side) for side in annotation.boxes[row])
    return [[left, top, left, bottom, right, bottom, right, top]]


def _rows(prediction: Prediction, image: int, kind: Kind) -> list[dict[str, Any]]:
    """Result rows; those of masks have no box, so that their area is that of the mask."""
    rows: list[dict[str, Any]] = []
    for row in range(len(prediction)):
        found: dict[str, Any] = {
            "image_id": image,
            "category_id": int(prediction.labels[row]) + 1,
            "score": float(prediction.scores[row]),
        }
        if kind == "segm" and prediction.masks is not None:
            found["segmentation"] = dict(prediction.masks[row])
        else:
            found["bbox"] = _xywh(prediction.boxes[row])
        rows.append(found)
    return rows


def _xywh(box: NDArray[Any]) -> list[float]:
    left, top, right, bottom = (float(side) for side in box)
    return [left, top, right - left, bottom - top]


def mean_of_present(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not -1; -1 where all are."""
    present = values[values > -1]
    return float(present.mean()) if present.size else -1.0


def class_rows(
    precision: NDArray[np.float64], annotations: Sequence[Annotation], classes: Sequence[str]
) -> tuple[ClassPrecision, ...]:
    """One row a class of a precision of shape (thresholds, recalls, classes)."""
    counts = np.zeros(len(classes), dtype=np.int64)
    for annotation in annotations:
        counts += np.bincount(annotation.labels[~annotation.ignored], minlength=len(classes))
    return tuple(
        ClassPrecision(
            name=name,
            objects=int(counts[label]),
            ap=mean_of_present(precision[:, :, label]),
            ap50=mean_of_present(precision[0, :, label]),
        )
        for label, name in enumerate(classes)
    )
