# SPDX-License-Identifier: MIT
"""``intern25 search moments``: find the moments of one video that fit a text or an example."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse
from intern25.cli.progress import track
from intern25.cli.searching import check_page, draw_sheet, opened, read_query, usual_model

if TYPE_CHECKING:
    from intern25.search import Moment

_DESCRIPTION = (
    "Find the moments of a video that fit a text or an example picture, the best first. No index is made. "
    "Exit status: 0 done, 2 nothing was done."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MomentOptions:
    """Options of ``intern25 search moments``."""

    query: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="QUERY")]
    """What to look for: a text, or the path of a picture to find the like of."""
    video: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO")]
    """The video."""
    model: str | None = None
    """Generalist by its name or weight file, or model of the CLIP kind: folder, name on the Hugging Face hub,
    or open_clip:MODEL/WEIGHTS; by default the generalist that comes with this version."""
    every: float = 1.0
    """Seconds between the frames that are looked at."""
    top: int = 5
    """Most moments."""
    threshold: float = 0.5
    """How much of the way from the rest of the video to its best frame the frames of a moment must come, 0 to
    1; higher gives shorter and fewer moments."""
    gap: float | None = None
    """Moments no more than so many seconds apart are one; by default those over one frame left out."""
    json: bool = False
    """Print one JSON object a line for each moment."""
    sheet: Path | None = None
    """File for a page of thumbnails, .jpg or .png."""
    font: Path | None = None
    """Font file for the page; Chinese needs one that has it."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 16
    """Frames that go through the model at once."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(MomentOptions, arguments, command="search moments", description=_DESCRIPTION)
    _check(options)
    from intern25.data.video import video_facts
    from intern25.search import find_moments

    video_facts(options.video)  # A model takes a while to load: what is no video is told before.
    query = read_query(options.query)
    words = shlex.join(["intern25", "search", "moments", options.query, str(options.video)])
    name = options.model or usual_model(words)
    moments = find_moments(
        options.video,
        query,
        opened(name, options.device),
        every_seconds=options.every,
        top_k=options.top,
        threshold=options.threshold,
        gap_seconds=options.gap,
        batch_size=options.batch_size,
        progress=lambda frames, total: track(frames, total=total, label="frames"),
    )
    if options.sheet is not None:
        from intern25.search import Match

        matches = [Match(options.video.name, moment.best_time, moment.score) for moment in moments]
        draw_sheet(options.sheet, options.video.parent, query, matches, font=options.font)
    for moment in moments:
        print(_json(moment, options.video) if options.json else _text(moment, options.video), flush=True)
    if options.sheet is not None and not options.json:
        print(f"{options.query} -> {options.sheet}", flush=True)
    return DONE


def _check(options: MomentOptions) -> None:
    check_page(options.query, top=options.top, sheet=options.sheet, font=options.font)
    if not 0.0 < options.every < math.inf:
        raise ValueError(f"--every {options.every} must be a positive number of seconds")
    if not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f"--threshold {options.threshold} must be from 0 to 1")
    if options.gap is not None and not options.gap >= 0.0:
        raise ValueError(f"--gap {options.gap} must be 0 or more seconds")
    if options.batch_size < 1:
        raise ValueError(f"--batch-size {options.batch_size} must be 1 or more")


def _text(moment: Moment, video: Path) -> str:
    span = f"{_clock(moment.start)}-{_clock(moment.end)}"
    return f"{moment.score:.3f}  {video}  {span}  best {_clock(moment.best_time)}"


def _clock(seconds: float) -> str:
    """A time as players show it, with tenths: moments may be short."""
    from intern25.search.contact_sheet import clock

    tenths = round(10.0 * seconds)
    return f"{clock(tenths // 10)}.{tenths % 10}"


def _json(moment: Moment, video: Path) -> str:
    return json.dumps({"source": str(video), **moment.to_record()}, ensure_ascii=False)
