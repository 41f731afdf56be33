# SPDX-License-Identifier: MIT
"""Options that ``detect`` and ``segment`` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Saved = Literal["masks", "coco", "json"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureOptions:
    """Where pictures come from and where results go."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE ...")]
    """Pictures and videos: files, folders, patterns, list files (.txt), or - for a list on stdin."""
    classes: tuple[str, ...] = ()
    """Only these classes, named in English or Chinese; for a generalist any words."""
    language: Literal["en", "zh", "both"] = "en"
    """Language of the class names."""
    json: bool = False
    """Print one JSON object a line for each picture or frame, names in both languages."""
    output: Path | None = None
    """Folder for drawn pictures (PNG) and videos (MP4); made when it does not exist."""
    save: tuple[Saved, ...] = ()
    """Also write into --output: masks (PNG), coco (one result file for all), json (one file a picture)."""
    tile: int | None = None
    """Look at pictures in overlapping tiles of so many pixels; 0 never; by default above 5000 pixels."""
    frame_step: int = 1
    """Of a video, every how many frames one is looked at."""
    font: Path | None = None
    """Font file for drawn pictures; Chinese names need one that has Chinese."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 8
    """Pictures that go through the model at once."""


def check_options(options: PictureOptions) -> None:
    """Raise ValueError for values that no picture can make right."""
    for name, value in (("--batch-size", options.batch_size), ("--frame-step", options.frame_step)):
        if value < 1:
            raise ValueError(f"{name} {value} must be 1 or more")
    if options.save and options.output is None:
        raise ValueError(f"--save {' '.join(options.save)} needs a folder: --output DIR")
    if options.font is not None and not options.font.is_file():
        raise ValueError(f"--font {options.font} is no file; give the path of a .ttf, .ttc or .otf")


def check_model(name: str, default: str, *, task: str) -> None:
    """Raise ValueError when the packaged model of a task is asked for and this version has none."""
    from intern25.weights.catalog import CARDS
    from intern25.weights.generalists import GENERALIST_CARDS

    if name != default or Path(name).exists():
        return
    generalist = GENERALIST_CARDS.get(name)
    if name not in CARDS and (generalist is None or not generalist.available):
        raise ValueError(
            f"no model for {task} comes with this version; name one with --model: a weight file, or a name "
            "of 'intern25 info'"
        )
