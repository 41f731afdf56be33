# SPDX-License-Identifier: MIT
"""Mean intersection over union and accuracies of a segmenter, from one streamed confusion matrix."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.batch import IGNORED, SegmentationEvaluationBatch
from intern25.data.segmentation.images import SemanticImages
from intern25.data.segmentation.loader import evaluation_loader
from intern25.segmentation.inference import label_maps
from intern25.segmentation.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassOverlap:
    """Figures of one class; None where it is neither in the data nor predicted."""

    name: str
    pixels: int
    """Labelled pixels."""
    iou: float | None
    """Intersection over union."""
    accuracy: float | None
    """Share of its pixels that were found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SemanticReport:
    """How well a segmenter does on a data set; shares lie in 0..1."""

    images: int
    """Pictures that were scored."""
    mean_iou: float
    """Mean over the classes that are labelled or predicted anywhere."""
    pixel_accuracy: float
    """Share of the labelled pixels."""
    mean_accuracy: float
    """Mean of the accuracies of the labelled classes."""
    images_per_second: float
    """Pictures over wall time, decoding included; all processes together."""
    classes: tuple[ClassOverlap, ...]
    """One row a class."""
    bad_rows: tuple[str, ...] = ()
    """Defects of the data that were left out."""

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


class ConfusionMatrix:
    """Counts of pixels by labelled and predicted class.

    Args:
        num_classes: Classes of the data; whatever else is predicted is wrong.
        device: Where it counts.
    """

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.num_classes = num_classes
        self.counts = torch.zeros((num_classes, num_classes + 1), dtype=torch.int64, device=device)
        """``counts[i, j]``: pixels of class ``i`` taken for ``j``; the last column for other classes."""

    def add(self, truth: Tensor, predicted: Tensor) -> None:
        """Count one picture.

        Args:
            truth: ``(H, W)``, 255 = ignored.
            predicted: ``(H, W)``.

        Raises:
            ValueError: The sizes differ, or a label is neither a class nor 255.
        """
        if truth.shape != predicted.shape:
            raise ValueError(
                f"labels {tuple(truth.shape)} and prediction {tuple(predicted.shape)} differ in size"
            )
        counts = truth != IGNORED
        labels = truth[counts].long()
        if labels.numel() and int(labels.max()) >= self.num_classes:
            raise ValueError(
                f"a mask has the value {int(labels.max())}, but there are {self.num_classes} classes"
            )
        found = predicted[counts].long().clamp(max=self.num_classes)
        pairs = torch.bincount(labels * (self.num_classes + 1) + found, minlength=self.counts.numel())
        self.counts += pairs.view_as(self.counts)

    def sum_over_processes(self) -> None:
        """Add the counts of all processes."""
        dist.all_reduce(self.counts)

    def report(self, classes: Sequence[str], images: int, seconds: float) -> SemanticReport:
        """Return the figures.

        Args:
            classes: Names, one a class.
            images: Pictures that were counted.
            seconds: Time they took.

        Raises:
            ValueError: No pixel was labelled.
        """
        counts = self.counts.double().cpu().numpy()
        hits, labelled = np.diagonal(counts), counts.sum(axis=1)
        if not labelled.sum():
            raise ValueError("no pixel is labelled, so there is nothing to score")
        iou = _share(hits, labelled + counts[:, :-1].sum(axis=0) - hits)
        accuracy = _share(hits, labelled)
        rows = (
            ClassOverlap(
                name=name, pixels=int(labelled[row]), iou=_or_none(iou[row]), accuracy=_or_none(accuracy[row])
            )
            for row, name in enumerate(classes)
        )
        return SemanticReport(
            images=images,
            mean_iou=float(np.nanmean(iou)),
            pixel_accuracy=float(hits.sum() / labelled.sum()),
            mean_accuracy=float(np.nanmean(accuracy)),
            images_per_second=images / max(seconds, 1e-9),
            classes=tuple(rows),
        )


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@torch.no_grad()
def evaluate_segmentation(
    model: Segmenter,
    images: SemanticImages,
    preprocessing: SegmentationPreprocessing,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    more_classes: bool = False,
    batch_size: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
) -> SemanticReport:
    """Score a segmenter, each picture in the size of its file.

    Args:
        model: Segmenter; its mode is put back afterwards.
        images: Pictures with masks.
        preprocessing: From a picture to the model's input; also says whether it slides.
        scales: Sizes at which a picture is seen, 1 = as preprocessed.
        flip: Also see it mirrored.
        more_classes: Let the model have more classes than the data, as the published Cityscapes heads do;
            the others count as wrong.
        batch_size: Pictures of one input size that go through the model at once.
        workers: Loader processes; 0 decodes in this process.
        device: Where the model lies.
        bfloat16: Run under bfloat16 autocast.

    Returns:
        The report; equal on all processes of a distributed run, which share the pictures.

    Raises:
        ValueError: There are no pictures, nothing is labelled, or the classes differ in number.
    """
    if not len(images):
        raise ValueError("there are no pictures to score")
    number = len(images.classes)
    if model.num_classes != number and not (more_classes and model.num_classes > number):
        raise ValueError(
            f"the model has {model.num_classes} classes but the data have {number}; "
            "use the model trained for these classes"
        )
    device = torch.device(device)
    distributed = dist.is_available() and dist.is_initialized()
    rank, processes = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    loader = evaluation_loader(
        images, preprocessing, batch_size=batch_size, workers=workers, rank=rank, processes=processes
    )
    matrix = ConfusionMatrix(number, device)
    was_training = model.training
    model.eval()
    start = time.perf_counter()
    try:
        for batch in loader:
            batch = cast(SegmentationEvaluationBatch, batch).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                found = label_maps(
                    model,
                    batch.images,
                    mode=preprocessing.mode,
                    crop=preprocessing.crop,
                    stride=preprocessing.stride,
                    scales=scales,
                    flip=flip,
                    original_sizes=batch.original_sizes,
                )
            for mask, predicted in zip(batch.masks, found, strict=True):
                matrix.add(mask, predicted.labels)
    finally:
        model.train(was_training)
    if distributed:
        matrix.sum_over_processes()
    return matrix.report(images.classes.en, len(images), time.perf_counter() - start)
