# SPDX-License-Identifier: MIT
"""Options that ``caption``, ``ask`` and ``read`` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from intern25.defaults import DEFAULT_GENERALIST

SOURCES = (
    "Sources: files, folders, patterns, list files (.txt) or - for a list on stdin; pictures and videos. "
    "Pictures that cannot be read are named on stderr and the rest goes on. "
    "Exit status: 0 all done, 1 some pictures could not be read, 2 nothing was done."
)
"""End of the description of each of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions:
    """Where pictures come from and where texts go."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE ...")]
    """Pictures and videos: files, folders, patterns, list files (.txt), or - for a list on stdin."""
    model: str = DEFAULT_GENERALIST
    """Weight file of a generalist, or its name."""
    json: bool = False
    """Print one JSON object a line for each picture or frame."""
    output: Path | None = None
    """Folder for pictures (PNG) and videos (MP4) with the text below them; made when it does not exist."""
    frame_step: int = 1
    """Of a video, every how many frames one is looked at."""
    font: Path | None = None
    """Font file for drawn pictures; Chinese needs one that has it."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 8
    """Pictures that go through the model at once."""


def check_text_options(options: TextOptions) -> None:
    """Raise ValueError for values that no picture can make right."""
    for name, value in (("--batch-size", options.batch_size), ("--frame-step", options.frame_step)):
        if value < 1:
            raise ValueError(f"{name} {value} must be 1 or more")
    if options.font is not None and not options.font.is_file():
        raise ValueError(f"--font {options.font} is no file; give the path of a .ttf, .ttc or .otf")
