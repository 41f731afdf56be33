# SPDX-License-Identifier: MIT
"""``intern25 segment``: the classes of pixels, instances, or panoptic segments of pictures and videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from intern25.cli.options import parse
from intern25.cli.picture_options import PictureOptions, check_model, check_options
from intern25.defaults import DEFAULT_SEGMENTER

_DESCRIPTION = (
    "Name the class of each pixel, or find things and stuff. Sources: files, folders, patterns, list files "
    "(.txt) or - for a list on stdin; pictures and videos. Pictures that cannot be read are named on stderr "
    "and the rest goes on. "
    "Exit status: 0 all done, 1 some pictures could not be read, 2 nothing was done."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentOptions(PictureOptions):
    """Options of ``intern25 segment``."""

    model: str = DEFAULT_SEGMENTER
    """Catalog name, weights file or folder; the default comes with the package and works offline."""
    task: Literal["semantic", "instance", "panoptic"] = "semantic"
    """Classes of pixels, things with a mask each, or things and stuff; the last two need a Mask2Former."""
    threshold: float | None = None
    """Smallest probability of a pixel's class (default 0), score of an instance (that of the model, mostly
    0.3), probability of a segment (that of the model, mostly 0.8)."""
    things: tuple[str, ...] = ()
    """Classes that can be counted, in English or Chinese; by default those of the model's data set."""
    max_instances: int = 100
    """Most instances of one picture."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which each picture is seen, averaged; for the semantic task."""
    flip: bool = False
    """Also see each picture mirrored; for the semantic task."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(SegmentOptions, arguments, command="segment", description=_DESCRIPTION)
    check_options(options)
    _check(options)
    from intern25.cli.pictures import prepare_output
    from intern25.cli.sources import expand_sources

    sources = expand_sources(options.sources, with_videos=True)
    prepare_output(options.output, sources)
    check_model(options.model, DEFAULT_SEGMENTER, task="segmentation")
    from intern25.cli.segment_tasks import instance_run, panoptic_run, semantic_run
    from intern25.predictors import SegmentationPredictor, load_as

    predictor = load_as(
        SegmentationPredictor,
        options.model,
        classes=options.classes or None,
        device=options.device,
        batch_size=options.batch_size,
    )
    if options.task == "semantic":
        return semantic_run(predictor, options).run(sources, label="segment")
    if options.task == "instance":
        return instance_run(predictor, options).run(sources, label="segment")
    return panoptic_run(predictor, options).run(sources, label="segment")


def _check(options: SegmentOptions) -> None:
    """Raise ValueError for values that no picture can make right."""
    if options.threshold is not None and not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f"--threshold {options.threshold} must be from 0 to 1")
    if options.max_instances < 1:
        raise ValueError(f"--max-instances {options.max_instances} must be 1 or more")
    if not options.scales or not all(0.0 < scale < math.inf for scale in options.scales):
        shown = " ".join(map(str, options.scales))
        raise ValueError(f"--scales {shown} must be positive numbers, at least one")
    if options.task != "semantic" and (options.flip or options.scales != (1.0,)):
        raise ValueError(f"--scales and --flip are for --task semantic, not for {options.task}")
    if options.task == "semantic" and options.things:
        raise ValueError("--things is for --task instance and --task panoptic; every pixel has a class here")
    if options.task == "panoptic" and options.tile:
        raise ValueError(
            f"--tile {options.tile} is for the other tasks: panoptic segments need the whole picture"
        )
