# SPDX-License-Identifier: MIT
"""LVIS's average precision: a detector answers only for the classes that were looked for in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.coco import ClassPrecision, Kind, class_rows, mean_of_present, run_evaluator
from intern25.evaluation.predictions import Prediction

LIMIT = 300
"""Objects of a picture that count, all classes together."""
FREQUENCIES = ("r", "c", "f")
"""Rare, common, frequent: classes in fewer than 10, fewer than 100, and more training pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LvisScores:
    """The figures of LVIS; -1 where there is nothing to score."""

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
    ap_rare: float
    """Classes of fewer than 10 training pictures."""
    ap_common: float
    """Classes of 10 to 99."""
    ap_frequent: float
    """Classes of 100 and more."""
    ar300: float
    """Recall with 300 detections a picture."""
    images: int
    """Pictures that were scored."""
    classes: tuple[ClassPrecision, ...]
    """One row a class."""


def score_lvis(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    frequencies: Sequence[str],
    kind: Kind = "bbox",
) -> LvisScores:
    """Score detections by LVIS's federated rules.

    In a picture count the classes with objects in it and its ``negative_labels``; a wrong detection of a
    class among its ``not_exhaustive_labels`` is not punished. There are no crowds.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order; the best 300 count.
        classes: Names of the labels.
        frequencies: ``"r"``, ``"c"`` or ``"f"`` of each class.
        kind: Overlap of boxes or of masks.

    Returns:
        The figures.

    Raises:
        ImportError: faster-coco-eval is not installed.
        ValueError: A frequency is none of the three, or the numbers differ.

    Source:
        Gupta et al., "LVIS", 2019; equal to the ``lvis`` package.
    """
    if len(frequencies) != len(classes) or not set(frequencies) <= set(FREQUENCIES):
        raise ValueError(
            f"frequencies must be one of {FREQUENCIES} for each of the {len(classes)} classes; "
            f"got {len(frequencies)} of {sorted(set(frequencies))}"
        )
    if len(annotations) != len(predictions):
        raise ValueError(f"{len(annotations)} annotated pictures but {len(predictions)} predictions")
    evaluator, used = run_evaluator(
        annotations,
        [_judged(a, p.best(LIMIT)) for a, p in zip(annotations, predictions, strict=True)],
        classes,
        kind=kind,
        limits=(LIMIT,),
        frequencies=frequencies,
    )
    precision, recall = evaluator.eval["precision"][..., 0], evaluator.eval["recall"][..., 0]
    of = {
        key: [label for label, frequency in enumerate(frequencies) if frequency == key] for key in FREQUENCIES
    }
    return LvisScores(
        ap=mean_of_present(precision[:, :, :, 0]),
        ap50=mean_of_present(precision[0, :, :, 0]),
        ap75=mean_of_present(precision[5, :, :, 0]),
        ap_small=mean_of_present(precision[:, :, :, 1]),
        ap_medium=mean_of_present(precision[:, :, :, 2]),
        ap_large=mean_of_present(precision[:, :, :, 3]),
        ap_rare=mean_of_present(precision[:, :, of["r"], 0]),
        ap_common=mean_of_present(precision[:, :, of["c"], 0]),
        ap_frequent=mean_of_present(precision[:, :, of["f"], 0]),
        ar300=mean_of_present(recall[:, :, 0]),
        images=len(used),
        classes=class_rows(precision[:, :, :, 0], used, classes),
    )


def _judged(annotation: Annotation, prediction: Prediction) -> Prediction:
    """The detections of classes that were looked for; faster-coco-eval fails on masks of others."""
    known = set(annotation.labels.tolist()) | set(annotation.negative_labels)
    return prediction.select([row for row, label in enumerate(prediction.labels.tolist()) if label in known])
