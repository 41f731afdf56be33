# SPDX-License-Identifier: MIT
"""Whether scores of detections are probabilities: of those with a score of 0.7, are 70 % right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation
from intern25.evaluation.predictions import Prediction
from intern25.evaluation.voc import HIT, IGNORED, match_voc


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin:
    """Detections whose scores are alike."""

    detections: int
    """How many."""
    score: float
    """Their mean score."""
    precision: float
    """Share of them that is right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How far scores are from being probabilities."""

    error: float
    """Expected calibration error, 0 to 1; -1 where nothing was found."""
    detections: int
    """Detections that were counted."""
    bins: tuple[CalibrationBin, ...]
    """Those with detections, by rising score."""


def calibrate_detections(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    *,
    threshold: float = 0.0,
    bins: int = 10,
) -> Calibration:
    r"""Compare the scores of detections with how often they are right.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \Big| \frac{\#\{\text{right in } b\}}{n_b} - \bar s_b \Big|

    Convention:
        - a detection is right as in :func:`intern25.evaluation.voc.score_voc`: it overlaps the object of its
          class that it overlaps most by half or more, and no better detection has taken that object. Those on
          crowds and difficult objects do not count.
        - bins are of one width from 0 to 1; a score on a border belongs to the upper one, 1 to the last.
        - a detector lists many boxes of a score near 0, nearly all of them wrong. They make the error small,
          so give the ``threshold`` at which the detector is used.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        threshold: Smallest score of a detection that counts.
        bins: Number of bins.

    Raises:
        ValueError: The numbers of pictures differ, ``bins`` is below 1, or a score is not from 0 to 1.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599, section 2.
    """
    if bins < 1:
        raise ValueError(f"bins={bins} must be 1 or more")
    if len(annotations) != len(predictions):
        raise ValueError(f"{len(annotations)} annotated pictures but {len(predictions)} predictions")
    scores, right = _judged(annotations, predictions)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("scores must be from 0 to 1 to be compared with shares; there are others, or NaN")
    scores, right = scores[scores >= threshold], right[scores >= threshold]
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    rows = tuple(_bin(scores[places == place], right[places == place]) for place in np.unique(places))
    gaps = [row.detections * abs(row.precision - row.score) for row in rows]
    return Calibration(error=sum(gaps) / len(scores) if rows else -1.0, detections=len(scores), bins=rows)


def _bin(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> CalibrationBin:
    return CalibrationBin(detections=len(scores), score=float(scores.mean()), precision=float(right.mean()))


def _judged(
    annotations: Sequence[Annotation], predictions: Sequence[Prediction]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of all detections that count, and whether each is right."""
    scores, outcomes = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for annotation, prediction in zip(annotations, predictions, strict=True):
        for label in np.unique(prediction.labels).tolist():
            scores.append(prediction.scores[prediction.of_class(label)])
            outcomes.append(match_voc(annotation, prediction, label))
    outcome = np.concatenate(outcomes)
    counted = outcome != IGNORED
    return np.concatenate(scores)[counted], outcome[counted] == HIT
