# SPDX-License-Identifier: MIT
"""``intern25 detect``: find objects in pictures and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intern25.cli.options import parse
from intern25.cli.picture_options import PictureOptions, check_model, check_options
from intern25.defaults import DEFAULT_DETECTOR

if TYPE_CHECKING:
    from PIL import Image

    from intern25.predictors import DetectionPredictor
    from intern25.results import Detections

_DESCRIPTION = (
    "Find objects: boxes, classes and, where the model has them, masks. Sources: files, folders, patterns, "
    "list files (.txt) or - for a list on stdin; pictures and videos. Pictures that cannot be read are named "
    "on stderr and the rest goes on. "
    "Exit status: 0 all done, 1 some pictures could not be read, 2 nothing was done."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectOptions(PictureOptions):
    """Options of ``intern25 detect``."""

    model: str = DEFAULT_DETECTOR
    """Catalog name, weights file or folder; the default comes with the package and works offline."""
    threshold: float | None = None
    """Smallest score of an object, 0 to 1; by default that of the model, 0.3 where it has none."""
    max_detections: int = 100
    """Most objects of one picture."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(DetectOptions, arguments, command="detect", description=_DESCRIPTION)
    check_options(options)
    if options.threshold is not None and not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f"--threshold {options.threshold} must be from 0 to 1")
    if options.max_detections < 1:
        raise ValueError(f"--max-detections {options.max_detections} must be 1 or more")
    from intern25.cli.pictures import prepare_output
    from intern25.cli.sources import expand_sources

    sources = expand_sources(options.sources, with_videos=True)
    prepare_output(options.output, sources)
    check_model(options.model, DEFAULT_DETECTOR, task="detection")
    from intern25.cli.coco_file import CocoFile
    from intern25.cli.found import FoundRun
    from intern25.cli.object_lines import object_rows, object_summary
    from intern25.predictors import DetectionPredictor, load_as

    predictor = load_as(
        DetectionPredictor,
        options.model,
        classes=options.classes or None,
        device=options.device,
        batch_size=options.batch_size,
    )
    work: FoundRun[Detections] = FoundRun(
        options,
        predict=lambda images: _predict(predictor, images, options),
        rows=lambda result: object_rows(result, options.language),
        summary=lambda result: object_summary(result, options.language),
        coco=CocoFile(predictor.classes),
    )
    return work.run(sources, label="detect")


def _predict(
    predictor: DetectionPredictor, images: list[Image.Image], options: DetectOptions
) -> list[Detections]:
    return predictor.predict(
        images,
        threshold=options.threshold,
        classes=options.classes or None,
        max_detections=options.max_detections,
        tile=options.tile,
    )
