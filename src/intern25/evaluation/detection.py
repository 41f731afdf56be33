# SPDX-License-Identifier: MIT
"""Score a detector on a data set by the rules of that data set."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from intern25.data.detection.annotations import Annotation, DetectionImages
from intern25.data.resizing import DetectionPreprocessing
from intern25.evaluation.coco import CocoScores, Kind, require_evaluator, score_coco
from intern25.evaluation.crowdhuman import CrowdHumanScores, score_crowdhuman
from intern25.evaluation.lvis import LvisScores, score_lvis
from intern25.evaluation.predictions import Prediction, predict
from intern25.evaluation.voc import Ap50Scores, score_open_images, score_voc

DetectionMetric = Literal["coco", "lvis", "voc07", "voc12", "openimages", "crowdhuman"]
Scores = CocoScores | LvisScores | Ap50Scores | CrowdHumanScores


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionReport:
    """How well a detector does on a data set."""

    metric: DetectionMetric
    """Whose rules."""
    images: int
    """Pictures that were scored."""
    detections: int
    """Objects found in them."""
    images_per_second: float
    """Pictures over wall time, decoding included, scoring not; all processes together."""
    box: Scores
    """Figures of the boxes."""
    mask: CocoScores | LvisScores | None
    """Figures of the masks; None where model, data or metric has none."""
    bad_rows: tuple[str, ...] = ()
    """Defects of the data that were left out."""

    @property
    def score(self) -> float:
        """The one figure that orders models: average precision, of the masks where there are any."""
        best = self.box if self.mask is None else self.mask
        return best.ap50 if isinstance(best, Ap50Scores) else best.ap

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps({"score": self.score, **dataclasses.asdict(self)}, ensure_ascii=False)


def evaluate_detection(
    model: nn.Module,
    images: DetectionImages,
    preprocessing: DetectionPreprocessing,
    *,
    metric: DetectionMetric = "coco",
    batch_size: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
) -> DetectionReport:
    """Score a detector.

    Args:
        model: Detector; its mode is put back afterwards.
        images: Annotated pictures.
        preprocessing: From pictures to the model's input.
        metric: Whose rules.
        batch_size: Pictures a batch; padding to a common size changes results slightly, the published way
            is 1.
        workers: Loader processes; 0 decodes in this process.
        device: Where the model lies.
        bfloat16: Run under bfloat16 autocast.

    Returns:
        The report; equal on all processes of a distributed run, which share the pictures.

    Raises:
        ImportError: The eval extra is not installed.
        ValueError: There are no pictures, the model has another number of classes than the data, or the
            metric needs what the data do not have.
    """
    check_classes(model, len(images.classes))
    check_metric(metric, getattr(images, "frequencies", None))
    start = time.perf_counter()
    predictions = predict(
        model,
        images,
        preprocessing,
        batch_size=batch_size,
        workers=workers,
        device=device,
        bfloat16=bfloat16,
    )
    seconds = time.perf_counter() - start
    annotations = [images.annotation(row) for row in range(len(images))]
    box, mask = score_detections(
        annotations,
        predictions,
        images.classes.en,
        metric=metric,
        frequencies=getattr(images, "frequencies", None),
    )
    return DetectionReport(
        metric=metric,
        images=len(images),
        detections=sum(map(len, predictions)),
        images_per_second=len(images) / max(seconds, 1e-9),
        box=box,
        mask=mask,
    )


def check_classes(model: nn.Module, number: int) -> None:
    """Refuse a model with another number of classes than the data.

    Raises:
        ValueError: The numbers differ.
    """
    outputs = getattr(model, "num_classes", number)
    if outputs != number:
        raise ValueError(
            f"the model has {outputs} classes but the data have {number}; "
            "use the model trained for these classes"
        )


def check_metric(metric: DetectionMetric, frequencies: Sequence[str] | None) -> None:
    """Refuse a metric that is none, or that needs what the data do not have, before hours of work.

    Raises:
        ImportError: It needs the eval extra, which is not installed.
        ValueError: It is unknown, or the classes have no frequencies, which LVIS's needs.
    """
    if metric not in get_args(DetectionMetric):
        raise ValueError(f"metric={metric!r} must be {', '.join(get_args(DetectionMetric))}")
    if metric == "lvis" and frequencies is None:
        raise ValueError(
            "metric='lvis' needs data whose classes have a frequency; use LVIS data or metric='coco'"
        )
    if metric in ("coco", "lvis"):
        require_evaluator()


def score_detections(
    annotations: Sequence[Annotation],
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    *,
    metric: DetectionMetric = "coco",
    frequencies: Sequence[str] | None = None,
) -> tuple[Scores, CocoScores | LvisScores | None]:
    """Return the figures of boxes and, where predictions and annotations have them, of masks.

    Args:
        annotations: One a picture.
        predictions: One a picture, in the same order.
        classes: Names of the labels.
        metric: Whose rules.
        frequencies: ``"r"``, ``"c"`` or ``"f"`` of each class, for LVIS.

    Raises:
        ImportError: The eval extra is not installed.
        ValueError: The metric is unknown, or needs what the data do not have.
    """
    check_metric(metric, frequencies)
    if metric in ("voc07", "voc12"):
        return score_voc(annotations, predictions, classes, year=2007 if metric == "voc07" else 2012), None
    if metric == "openimages":
        return score_open_images(annotations, predictions, classes), None
    if metric == "crowdhuman":
        return score_crowdhuman(annotations, predictions), None

    def scores(kind: Kind) -> CocoScores | LvisScores:
        if metric == "lvis" and frequencies is not None:
            return score_lvis(annotations, predictions, classes, frequencies=frequencies, kind=kind)
        return score_coco(annotations, predictions, classes, kind=kind)

    predicted = any(p.masks is not None for p in predictions)
    annotated = any(len(a) and a.has_all_masks for a in annotations)
    return scores("bbox"), scores("segm") if predicted and annotated else None
