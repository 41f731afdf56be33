# SPDX-License-Identifier: MIT
"""``intern25 eval detect`` and ``intern25 eval segment``."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from intern25.cli.exits import DONE
from intern25.cli.options import parse
from intern25.defaults import DEFAULT_DETECTOR, DEFAULT_SEGMENTER

if TYPE_CHECKING:
    from intern25.data.class_names import ClassNames
    from intern25.evaluation.detection import DetectionReport
    from intern25.evaluation.semantic import SemanticReport

_LOGGER = logging.getLogger(__name__)

_DETECT = (
    "Average precision of a detector. The data: COCO json, LVIS, Objects365, Open Images, Pascal VOC, YOLO "
    "or CrowdHuman, in a folder or a .zip. --metric chooses whose rules: coco, lvis (federated), voc07 (11 "
    "points), voc12, openimages or crowdhuman (AP, miss rate, Jaccard index). Classes are compared by "
    "position. --json prints one object with a row for each class."
)
_SEGMENT = (
    "Mean intersection over union of a segmenter, in the size of the files. The data: images/ and masks/ "
    "with classes.txt, ADE20K, Cityscapes, Mapillary, COCO-Stuff, Pascal Context, NYU or CamVid, in a "
    "folder or a .zip. Classes are compared by position. --json prints one object with a row for each class."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """What both commands share."""

    data: Path
    """Folder or .zip."""
    split: str = "val"
    """Which pictures: train, val, test, or what the data have."""
    skip_bad: bool = False
    """Leave unreadable pictures and wrong annotations out, and list them, instead of stopping."""
    batch_size: int = 1
    """Pictures that go through the model at once; the published figures take one."""
    workers: int = 0
    """Processes that decode pictures; 0 decodes in this one."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    bf16: bool = False
    """Compute in bfloat16."""
    per_class: bool = False
    """Also print a row for each class."""
    json: bool = False
    """Print one JSON object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionOptions(DataOptions):
    """Options of ``intern25 eval detect``."""

    model: str = DEFAULT_DETECTOR
    """Catalog name, weight file or folder."""
    format: Literal["auto", "coco", "lvis", "objects365", "openimages", "voc", "yolo", "crowdhuman"] = "auto"
    """Form of the data; auto looks at the file names."""
    images: Path | None = None
    """Folder or .zip of the pictures where they lie elsewhere."""
    metric: Literal["coco", "lvis", "voc07", "voc12", "openimages", "crowdhuman"] = "coco"
    """Whose rules."""
    short_side: int = 0
    """Short side of the model's input; 0 = the one its weights were made for."""
    long_side: int = 0
    """Limit of the long side; likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationOptions(DataOptions):
    """Options of ``intern25 eval segment``."""

    model: str = DEFAULT_SEGMENTER
    """Catalog name, weight file or folder."""
    format: str = "auto"
    """Form of the data; auto looks at the file names."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which each picture is seen, averaged."""
    flip: bool = False
    """Also see each picture mirrored."""
    more_classes: bool = False
    """Let the model have more classes than the data, as the published Cityscapes heads do."""


def run_detection(arguments: Sequence[str]) -> int:
    """Run ``eval detect`` and return the exit status."""
    options = parse(DetectionOptions, arguments, command="eval detect", description=_DETECT)
    _check(options)
    report = _evaluate_detection(options)
    print(report.to_json() if options.json else "\n".join(_detection_lines(report, options.per_class)))
    return DONE


def run_segmentation(arguments: Sequence[str]) -> int:
    """Run ``eval segment`` and return the exit status."""
    options = parse(SegmentationOptions, arguments, command="eval segment", description=_SEGMENT)
    _check(options)
    report = _evaluate_segmentation(options)
    print(report.to_json() if options.json else "\n".join(_segmentation_lines(report, options.per_class)))
    return DONE


def _check(options: DataOptions) -> None:
    """Raise ValueError for values that no data can make right."""
    for name, value, least in (("--batch-size", options.batch_size, 1), ("--workers", options.workers, 0)):
        if value < least:
            raise ValueError(f"{name} {value} must be {least} or more")


def warn_of_names(model: ClassNames, data: ClassNames) -> None:
    """Say where model and data name a class differently: scores compare numbers, not names."""
    pairs = enumerate(zip(model.en, data.en, strict=False))
    other = [(label, own, theirs) for label, (own, theirs) in pairs if own not in (theirs, f"class {label}")]
    if other and len(model) == len(data):
        label, own, theirs = other[0]
        _LOGGER.warning(
            "%d of %d classes have other names in the data, the first is %d: %r of the model, %r of the "
            "data; classes are compared by number",
            len(other), len(data), label, own, theirs,
        )  # fmt: skip


def _evaluate_detection(options: DetectionOptions) -> DetectionReport:
    from intern25.data.detection.checking import without_defects
    from intern25.data.detection.sources import read_detection
    from intern25.evaluation.detection import evaluate_detection
    from intern25.predictors import DetectionPredictor, load_as

    images = read_detection(options.data, options.format, split=options.split, images=options.images)
    images, defects = without_defects(images, skip_bad=options.skip_bad)
    predictor = load_as(DetectionPredictor, options.model, device=options.device)
    warn_of_names(predictor.classes, images.classes)
    stated = predictor.preprocessing
    preprocessing = dataclasses.replace(
        stated,
        short_side=options.short_side or stated.short_side,
        long_side=options.long_side or stated.long_side,
    )
    report = evaluate_detection(
        predictor.model,
        images,
        preprocessing,
        metric=options.metric,
        batch_size=options.batch_size,
        workers=options.workers,
        device=predictor.device,
        bfloat16=options.bf16,
    )
    return dataclasses.replace(report, bad_rows=tuple(map(str, defects)))


def _evaluate_segmentation(options: SegmentationOptions) -> SemanticReport:
    from typing import Any, cast

    from intern25.data.segmentation.checking import without_defects
    from intern25.data.segmentation.sources import read_semantic
    from intern25.evaluation.semantic import evaluate_segmentation
    from intern25.predictors import SegmentationPredictor, load_as

    images = read_semantic(options.data, cast(Any, options.format), split=options.split)
    images, defects = without_defects(images, skip_bad=options.skip_bad)
    predictor = load_as(SegmentationPredictor, options.model, device=options.device)
    warn_of_names(predictor.classes, images.classes)
    report = evaluate_segmentation(
        cast(Any, predictor.model),
        images,
        predictor.preprocessing,
        scales=options.scales,
        flip=options.flip,
        more_classes=options.more_classes,
        batch_size=options.batch_size,
        workers=options.workers,
        device=predictor.device,
        bfloat16=options.bf16,
    )
    return dataclasses.replace(report, bad_rows=tuple(map(str, defects)))


def _detection_lines(report: DetectionReport, per_class: bool) -> Iterator[str]:
    yield f"images        {report.images}"
    yield f"metric        {report.metric}"
    for name, scores in (("box", report.box), ("mask", report.mask)):
        if scores is None:
            continue
        fields = [
            f.name for f in dataclasses.fields(scores) if f.name not in ("images", "objects", "classes")
        ]
        figures = ((field, getattr(scores, field)) for field in fields)
        yield f"{name:<13} " + "  ".join(f"{field} {_percent(value)}" for field, value in figures)
    yield f"images/second {report.images_per_second:.2f}"
    yield from (f"left out: {row}" for row in report.bad_rows)
    rows = getattr(report.mask or report.box, "classes", ())
    if per_class and rows:
        width = max(len(row.name) for row in rows)
        for row in rows:
            if row.objects:
                figures_of_class = f"AP {_percent(row.ap)}  AP50 {_percent(row.ap50)}"
                yield f"{row.name:<{width}}  {figures_of_class}  of {row.objects}"


def _segmentation_lines(report: SemanticReport, per_class: bool) -> Iterator[str]:
    yield f"images         {report.images}"
    yield f"mean IoU       {report.mean_iou:.2%}"
    yield f"pixel accuracy {report.pixel_accuracy:.2%}"
    yield f"mean accuracy  {report.mean_accuracy:.2%}"
    yield f"images/second  {report.images_per_second:.2f}"
    yield from (f"left out: {row}" for row in report.bad_rows)
    if per_class:
        width = max(len(row.name) for row in report.classes)
        for row in report.classes:
            if row.iou is not None:
                yield f"{row.name:<{width}}  {row.iou:>7.2%}  of {row.pixels} pixels"


def _percent(value: float) -> str:
    return "-" if value < 0 else f"{100 * value:.1f}"
