# SPDX-License-Identifier: MIT
"""``intern25 eval``: measure a model on a labelled data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from intern25.cli.evaluate_downstream import run_detection, run_segmentation
from intern25.cli.exits import DONE
from intern25.cli.options import parse, split_task
from intern25.cli.train_generalist import run_evaluation

if TYPE_CHECKING:
    from intern25.evaluation.classification import ClassificationReport

TASKS = {
    "classify": "top-1 and top-5 accuracy and throughput of a classifier",
    "detect": "average precision of a detector's boxes and masks",
    "segment": "mean intersection over union of a segmenter",
    "generalist": "every task of a generalist",
}

_DESCRIPTION = (
    "Top-1 and top-5 accuracy of a classifier. The data: a folder of class folders (with train/ and val/ or "
    "without), the official meta_data lists, webdataset shards, or a .zip of one of these. Classes are "
    "compared by position: those of the data, sorted, must be those the model was trained on. "
    "--json prints one object with a row for each class."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateOptions:
    """Options of ``intern25 eval classify``."""

    data: Path
    """Folder, .zip or .tar shards."""
    model: str = "internimage_nano_caltech101"
    """Catalog name, weight file or folder."""
    split: Literal["val", "train"] = "val"
    """Which images."""
    validation_fraction: float = 0.1
    """Share of each class that is scored where the data have no split of their own."""
    seed: int = 0
    """Seed of that split."""
    skip_bad: bool = False
    """Leave unreadable images out, and list them, instead of stopping."""
    flip: bool = False
    """Average over each image and its mirror image."""
    image_size: int | None = None
    """Side of the model's input; by default the one its weights were made for."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 32
    """Images that go through the model at once."""
    workers: int = 0
    """Processes that decode images; 0 decodes in this one."""
    per_class: bool = False
    """Also print the accuracy of each class."""
    json: bool = False
    """Print one JSON object."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    task, rest = split_task(arguments, TASKS, command="eval")
    if task is None:
        return DONE
    if task == "detect":
        return run_detection(rest)
    if task == "segment":
        return run_segmentation(rest)
    if task == "generalist":
        return run_evaluation(rest)
    options = parse(EvaluateOptions, rest, command="eval classify", description=_DESCRIPTION)
    report = _evaluate(options)
    print(report.to_json() if options.json else _text(report, per_class=options.per_class))
    return DONE


def _evaluate(options: EvaluateOptions) -> ClassificationReport:
    import dataclasses

    from intern25.evaluation.classification import evaluate_dataset
    from intern25.predictors import ClassificationPredictor, load_as

    predictor = load_as(
        ClassificationPredictor, options.model, device=options.device, batch_size=options.batch_size
    )
    preprocessing = predictor.preprocessing
    if options.image_size is not None:
        preprocessing = dataclasses.replace(preprocessing, image_size=options.image_size)
    return evaluate_dataset(
        predictor.model,
        options.data,
        preprocessing,
        split=options.split,
        skip_bad=options.skip_bad,
        validation_fraction=options.validation_fraction,
        seed=options.seed,
        batch_size=options.batch_size,
        workers=options.workers,
        device=predictor.device,
        flip=options.flip,
    )


def _text(report: ClassificationReport, *, per_class: bool) -> str:
    lines = [
        f"images        {report.images}",
        f"top-1         {report.top1:.2%}",
        f"top-5         {report.top5:.2%}",
        f"mean of class {report.mean_class_top1:.2%}",
        f"loss          {report.loss:.4f}",
        f"images/second {report.images_per_second:.1f}",
    ]
    lines.extend(f"left out: {bad.name}: {bad.reason}" for bad in report.bad_images)
    if per_class:
        width = max(len(row.name) for row in report.classes)
        lines.extend(
            f"{row.name:<{width}}  {row.top1:>7.2%}  of {row.images}" for row in report.classes if row.images
        )
    return "\n".join(lines)
