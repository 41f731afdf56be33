# SPDX-License-Identifier: MIT
"""``intern25 segment``: name the class of each pixel of pictures and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intern25.cli.options import parse
from intern25.cli.picture_options import PictureOptions, check_model, check_options
from intern25.defaults import DEFAULT_SEGMENTER

if TYPE_CHECKING:
    from PIL import Image

    from intern25.predictors import SegmentationPredictor
    from intern25.results import SemanticMap

_DESCRIPTION = (
    "Name the class of each pixel. Sources: files, folders, patterns, list files (.txt) or - for a list on "
    "stdin; pictures and videos. Pictures that cannot be read are named on stderr and the rest goes on. "
    "Exit status: 0 all done, 1 some pictures could not be read, 2 nothing was done."
)

# Classes in the line of a video's frame.
_IN_SUMMARY = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentOptions(PictureOptions):
    """Options of ``intern25 segment``."""

    model: str = DEFAULT_SEGMENTER
    """Catalog name, weights file or folder; the default comes with the package and works offline."""
    threshold: float = 0.0
    """Pixels whose class is less probable stay without class, 0 to 1."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(SegmentOptions, arguments, command="segment", description=_DESCRIPTION)
    check_options(options)
    if not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f"--threshold {options.threshold} must be from 0 to 1")
    from intern25.cli.sources import expand_sources

    sources = expand_sources(options.sources, with_videos=True)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    check_model(options.model, DEFAULT_SEGMENTER, task="segmentation")
    from intern25.cli.found import FoundRun
    from intern25.predictors import SegmentationPredictor, load_as

    predictor = load_as(
        SegmentationPredictor, options.model, device=options.device, batch_size=options.batch_size
    )
    work = FoundRun(
        options,
        predict=lambda images: _predict(predictor, images, options),
        rows=lambda result: [f"{share:>7.1%}  {name}" for share, name in _shares(result, options)],
        summary=lambda result: _summary(result, options),
        classes=predictor.classes,
    )
    return work.run(sources, label="segment")


def _predict(
    predictor: SegmentationPredictor, images: list[Image.Image], options: SegmentOptions
) -> list[SemanticMap]:
    return predictor.predict(
        images, threshold=options.threshold, classes=options.classes or None, tile=options.tile
    )


def _shares(result: SemanticMap, options: SegmentOptions) -> list[tuple[float, str]]:
    """Share of the picture and name of each class there, the largest first."""
    names = result.names(options.language)
    return [(row["share"], names[row["label"]]) for row in result.to_record()["classes"]]


def _summary(result: SemanticMap, options: SegmentOptions) -> str:
    shares = _shares(result, options)[:_IN_SUMMARY]
    return ", ".join(f"{name} {share:.0%}" for share, name in shares) or "no class"
