# SPDX-License-Identifier: MIT
"""Average precision of Pascal VOC and of Open Images: one IoU threshold, each with its own matching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.average_precision import (
    area_under_curve,
    box_overlaps,
    eleven_point_average,
    precision_recall,
)
from intern25.evaluation.coco import ClassPrecision
from intern25.evaluation.predictions import Prediction

IOU = 0.5
HIT, MISS, IGNORED = 1, 0, -1
"""What can become of a detection."""

Match = Callable[[Annotation, Prediction, int], NDArray[np.int64]]
"""From the objects and detections of a picture and a class to one of hit, miss or ignored a detection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ap50Scores:
    """Mean average precision at IoU .50."""

    ap50: float
    """Mean over the classes that have objects."""
    images: int
    """Pictures that were scored."""
    classes: tuple[ClassPrecision, ...]
    """One row a class; ``ap`` and ``ap50`` are the same figure."""


def score_voc(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    year: Literal[2007, 2012] = 2012,
) -> Ap50Scores:
    """Score detections by the rules of Pascal VOC.

    A detection belongs to the object it overlaps most. It is right if they overlap by half and no better
    detection has taken the object; difficult objects do not count, nor do detections of them.

    Convention: boxes with exclusive right and bottom, so the devkit's ``+ 1`` is not needed.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        classes: Names of the labels.
        year: 2007 for the mean of 11 points, 2012 for the area under the curve.

    Returns:
        The figures.

    Raises:
        ValueError: ``year`` is neither, or the numbers of pictures differ.

    Source:
        VOCdevkit, ``VOCevaldet.m``.
    """
    if year not in (2007, 2012):
        raise ValueError(f"year={year} must be 2007 (11 points) or 2012 (area under the curve)")
    average = eleven_point_average if year == 2007 else area_under_curve
    return _score(annotations, predictions, classes, match_voc, average, _voc_objects)


def score_open_images(
    annotations: Sequence[Annotation], predictions: Sequence[Prediction], classes: Sequence[str]
) -> Ap50Scores:
    """Score detections by the rules of the Open Images challenge, without its class hierarchy.

    Only classes that were verified for a picture count: those with objects in it and its
    ``negative_labels`` (every class where no picture has any). A group box (``crowd``) is found once, by its
    best detection with half of its own area inside; further ones are ignored.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        classes: Names of the labels.

    Returns:
        The figures.

    Raises:
        ValueError: The numbers of pictures differ.

    Source:
        Open Images challenge 2019, object detection track.
    """
    verified = any(annotation.negative_labels for annotation in annotations)

    def match(annotation: Annotation, prediction: Prediction, label: int) -> NDArray[np.int64]:
        known = label in annotation.negative_labels or bool((annotation.labels == label).any())
        if verified and not known:
            return np.full(len(prediction.of_class(label)), IGNORED)
        return _match_open_images(annotation, prediction, label)

    def objects(annotation: Annotation, label: int) -> int:
        return int((annotation.labels == label).sum())

    return _score(annotations, predictions, classes, match, area_under_curve, objects)


def _score(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    match: Match,
    average: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    count: Callable[[Annotation, int], int],
) -> Ap50Scores:
    if len(annotations) != len(predictions):
        raise ValueError(f"{len(annotations)} annotated pictures but {len(predictions)} predictions")
    rows = []
    for label, name in enumerate(classes):
        objects = sum(count(annotation, label) for annotation in annotations)
        scores, outcomes = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        for annotation, prediction in zip(annotations, predictions, strict=True):
            chosen = prediction.of_class(label)
            if len(chosen):
                scores.append(prediction.scores[chosen])
                outcomes.append(match(annotation, prediction, label))
        outcome = np.concatenate(outcomes)
        counted = outcome != IGNORED
        curve = precision_recall(np.concatenate(scores)[counted], outcome[counted] == HIT, objects)
        value = average(*curve) if objects else -1.0
        rows.append(ClassPrecision(name=name, objects=objects, ap=value, ap50=value))
    present = [row.ap50 for row in rows if row.objects]
    mean = float(np.mean(present)) if present else -1.0
    return Ap50Scores(ap50=mean, images=len(annotations), classes=tuple(rows))


def _voc_objects(annotation: Annotation, label: int) -> int:
    return int(((annotation.labels == label) & ~annotation.ignored).sum())


def match_voc(annotation: Annotation, prediction: Prediction, label: int) -> NDArray[np.int64]:
    """Judge the detections of a class in one picture by the rules of :func:`score_voc`.

    Returns:
        ``HIT``, ``MISS`` or ``IGNORED`` for each row of ``prediction.of_class(label)``.
    """
    rows = np.flatnonzero(annotation.labels == label)
    boxes = prediction.boxes[prediction.of_class(label)]
    outcome = np.full(len(boxes), MISS)
    if not len(rows):
        return outcome
    overlaps = box_overlaps(boxes, annotation.boxes[rows].astype(np.float64))
    taken = np.zeros(len(rows), dtype=np.bool_)
    for number, nearest in enumerate(overlaps.argmax(axis=1)):
        if overlaps[number, nearest] < IOU:
            continue
        if annotation.ignored[rows[nearest]]:
            outcome[number] = IGNORED
        elif not taken[nearest]:
            taken[nearest] = True
            outcome[number] = HIT
    return outcome


def _match_open_images(annotation: Annotation, prediction: Prediction, label: int) -> NDArray[np.int64]:
    same = annotation.labels == label
    single, groups = np.flatnonzero(same & ~annotation.crowd), np.flatnonzero(same & annotation.crowd)
    boxes = prediction.boxes[prediction.of_class(label)]
    outcome = np.full(len(boxes), MISS)
    truth = annotation.boxes.astype(np.float64)
    overlaps, inside = box_overlaps(boxes, truth[single]), box_overlaps(boxes, truth[groups], of_first=True)
    taken, found = np.zeros(len(single), dtype=np.bool_), np.zeros(len(groups), dtype=np.bool_)
    for number in range(len(boxes)):
        nearest = int(overlaps[number].argmax()) if len(single) else -1
        if nearest >= 0 and overlaps[number, nearest] >= IOU and not taken[nearest]:
            taken[nearest] = True
            outcome[number] = HIT
            continue
        group = int(inside[number].argmax()) if len(groups) else -1
        if group >= 0 and inside[number, group] >= IOU:
            outcome[number] = IGNORED if found[group] else HIT
            found[group] = True
    return outcome
