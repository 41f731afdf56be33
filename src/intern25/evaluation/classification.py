# SPDX-License-Identifier: MIT
"""Top-1 and top-5 accuracy, overall and per class."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from intern25.data.decoding import BadImage, without_bad_images
from intern25.data.labelled import LabelledImages
from intern25.data.loader import ImageBatch, evaluation_loader
from intern25.data.preprocessing import Preprocessing
from intern25.data.sources import read_splits


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAccuracy:
    """Accuracy on the images of one class."""

    name: str
    images: int
    top1: float
    top5: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationReport:
    """Accuracy of a classifier on a data set; shares lie in 0..1."""

    images: int
    """Images that were scored."""
    top1: float
    """Share of images whose best class is right."""
    top5: float
    """Share of images whose class is among the best five (or among all, where there are fewer)."""
    mean_class_top1: float
    """Mean of the top-1 of the classes that have images: insensitive to unbalanced data."""
    loss: float
    """Mean cross entropy."""
    images_per_second: float
    """Scored images over wall time, decoding included, all processes together."""
    classes: tuple[ClassAccuracy, ...]
    """One row a class."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """``confusion[i][j]``: images of class ``i`` taken for class ``j``; None unless asked for."""
    bad_images: tuple[BadImage, ...] = field(default=())
    """Images that could not be read and were left out."""

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        rows = [{"name": c.name, "images": c.images, "top1": c.top1, "top5": c.top5} for c in self.classes]
        values: dict[str, object] = {
            "images": self.images,
            "top1": self.top1,
            "top5": self.top5,
            "mean_class_top1": self.mean_class_top1,
            "loss": self.loss,
            "images_per_second": self.images_per_second,
            "classes": rows,
            "bad_images": [{"name": bad.name, "reason": bad.reason} for bad in self.bad_images],
        }
        if self.confusion is not None:
            values["confusion"] = self.confusion
        return json.dumps(values, ensure_ascii=False)


class _Counts:
    """Sums over images, added up across processes at the end."""

    def __init__(self, num_classes: int, device: torch.device, *, confusion: bool) -> None:
        self.per_class = torch.zeros(3, num_classes, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        shape = (num_classes, num_classes) if confusion else (0, 0)
        self.confusion = torch.zeros(shape, dtype=torch.int64, device=device)

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Count one batch."""
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = best == targets[:, None]
        counted = torch.stack((torch.ones_like(targets), hits[:, 0].long(), hits.any(dim=1).long()))
        self.per_class.index_add_(1, targets, counted)
        self.loss += nn.functional.cross_entropy(logits.double(), targets, reduction="sum")
        if self.confusion.numel():
            ones = torch.ones_like(targets)
            self.confusion.index_put_((targets, best[:, 0]), ones, accumulate=True)

    def sum_over_processes(self) -> None:
        """Add the counts of all processes."""
        for tensor in (self.per_class, self.loss, self.confusion):
            dist.all_reduce(tensor)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: LabelledImages,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
    flip: bool = False,
    confusion: bool = False,
    classes: Sequence[int] | None = None,
) -> ClassificationReport:
    """Score a classifier.

    Args:
        model: Gives logits ``(N, classes)`` for normalised images; its mode is put back afterwards.
        images: Images to score.
        preprocessing: From an image to the model's input.
        batch_size: Images a batch.
        workers: Loader processes; 0 decodes in this process.
        device: Where the model lies.
        bfloat16: Run under bfloat16 autocast.
        flip: Average the probabilities of each image and its mirror image.
        confusion: Also count the confusion matrix.
        classes: Columns of the logits that stand for ``images.classes``, such as ``imagenet_22k_to_1k()``.

    Returns:
        The report; equal on all processes of a distributed run, which share the images.

    Raises:
        ValueError: There are no images, or the model has fewer classes than the data.
    """
    if not len(images):
        raise ValueError("there are no images to score")
    device = torch.device(device)
    distributed = dist.is_available() and dist.is_initialized()
    rank, processes = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    loader = evaluation_loader(
        images, preprocessing, batch_size=batch_size, workers=workers, rank=rank, processes=processes
    )
    counts = _Counts(len(images.classes), device, confusion=confusion)
    was_training = model.training
    model.eval()
    start = time.perf_counter()
    try:
        for batch in loader:
            batch = cast(ImageBatch, batch).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                logits = _logits(model, batch.images, flip=flip)
            if classes is not None:
                logits = logits[:, list(classes)]
            _check_width(logits, images)
            counts.add(logits.float(), batch.targets)
    finally:
        model.train(was_training)
    if distributed:
        counts.sum_over_processes()
    return _report(counts, images, time.perf_counter() - start)


def _logits(model: nn.Module, images: Tensor, *, flip: bool) -> Tensor:
    logits = cast(Tensor, model(images)).float()
    if not flip:
        return logits
    mirrored = cast(Tensor, model(images.flip(-1))).float()
    return (logits.softmax(dim=1) + mirrored.softmax(dim=1)).div(2).log()


def _check_width(logits: Tensor, images: LabelledImages) -> None:
    if logits.shape[1] != len(images.classes):
        raise ValueError(
            f"the model has {logits.shape[1]} classes but the data have {len(images.classes)}; "
            "use the model trained for these classes"
        )


def _report(counts: _Counts, images: LabelledImages, seconds: float) -> ClassificationReport:
    total, top1, top5 = counts.per_class.tolist()
    rows = tuple(
        ClassAccuracy(name=name, images=n, top1=a / n if n else 0.0, top5=b / n if n else 0.0)
        for name, n, a, b in zip(images.classes, total, top1, top5, strict=True)
    )
    number = sum(total)
    present = [row.top1 for row in rows if row.images]
    confusion = tuple(map(tuple, counts.confusion.tolist())) if counts.confusion.numel() else None
    return ClassificationReport(
        images=number,
        top1=sum(top1) / number,
        top5=sum(top5) / number,
        mean_class_top1=sum(present) / len(present),
        loss=float(counts.loss) / number,
        images_per_second=number / max(seconds, 1e-9),
        classes=rows,
        confusion=confusion,
    )


def evaluate_dataset(  # noqa: PLR0913 - each is an option of the command
    model: nn.Module,
    data: str | Path,
    preprocessing: Preprocessing,
    *,
    split: str = "val",
    skip_bad: bool = False,
    validation_fraction: float = 0.1,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
    flip: bool = False,
    confusion: bool = False,
) -> ClassificationReport:
    """Score a classifier on a data set in any layout that :func:`intern25.data.sources.read_splits` reads.

    Args:
        model: As in :func:`evaluate`.
        data: Folder, archive or shard pattern.
        preprocessing: From an image to the model's input.
        split: ``"val"`` or ``"train"``.
        skip_bad: Leave unreadable images out and name them in the report instead of raising.
        validation_fraction: Share of each class that is scored where the data have no split of their own.
        seed: Seed of that split.
        batch_size: Images a batch.
        workers: Loader processes.
        device: Where the model lies.
        flip: Average over each image and its mirror image.
        confusion: Also count the confusion matrix.

    Returns:
        The report.

    Raises:
        ValueError: The data cannot be used; the message says why.
    """
    if split not in ("val", "train"):
        raise ValueError(f"split={split!r} must be 'val' or 'train'")
    splits = read_splits(data, validation_fraction=validation_fraction, seed=seed)
    images, bad = without_bad_images(splits.val if split == "val" else splits.train, skip_bad=skip_bad)
    report = evaluate(
        model,
        images,
        preprocessing,
        batch_size=batch_size,
        workers=workers,
        device=device,
        flip=flip,
        confusion=confusion,
    )
    return dataclasses.replace(report, bad_images=tuple(bad))
