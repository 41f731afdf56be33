# SPDX-License-Identifier: MIT
"""``intern25 search``: find pictures and moments of videos in an album, by text or by example."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse
from intern25.cli.pictures import exit_status, report_failure
from intern25.cli.progress import track
from intern25.cli.searching import check_page, draw_sheet, opened, read_query, usual_model

if TYPE_CHECKING:
    from intern25.search import Match, SearchIndex, UpdateReport

_INDEX = "index"
_MOMENTS = "moments"

_DESCRIPTION = (
    "Find pictures and moments of videos in an album, by a text or by an example picture. "
    "Before the first search, and after changes: intern25 search index ALBUM (--help shows its options). "
    "In one video, without an index: intern25 search moments QUERY VIDEO. "
    "Exit status: 0 done, 2 nothing was done."
)
_INDEX_DESCRIPTION = (
    "Make the index of an album, a folder of pictures and videos, or bring it up to date: only what is new "
    "or has changed is looked at. A run that is stopped goes on the next time. "
    "Exit status: 0 all done, 1 some files could not be read, 2 nothing was done."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """Options of ``intern25 search``."""

    query: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="QUERY")]
    """What to look for: a text, or the path of a picture to find the like of."""
    album: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ALBUM")]
    """Folder of pictures and videos, with an index."""
    top: int = 12
    """Most matches."""
    boxes: bool = False
    """Also look for parts of pictures, and say which part fits."""
    json: bool = False
    """Print one JSON object a line for each match."""
    sheet: Path | None = None
    """File for a page of thumbnails, .jpg or .png."""
    index: str | None = None
    """Where the index lies: a folder, or a URL such as s3://bucket/index; by default ALBUM/.intern25."""
    model: str | None = None
    """The model that the index was made with, where it has moved."""
    font: Path | None = None
    """Font file for the page; Chinese needs one that has it."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexOptions:
    """Options of ``intern25 search index``."""

    album: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ALBUM")]
    """Folder of pictures and videos."""
    model: str | None = None
    """Generalist by its name or weight file, or model of the CLIP kind: folder, name on the Hugging Face hub,
    or open_clip:MODEL/WEIGHTS; by default that of the index, at first the generalist that comes with this
    version."""
    every: float | None = None
    """Seconds between the moments of a video that are looked at; by default as before, 1 at first."""
    whole: bool = False
    """Whole pictures alone, several times as fast: a search cannot say which part fits."""
    index: str | None = None
    """Where the index lies: a folder, or a URL such as s3://bucket/index; by default ALBUM/.intern25."""
    rebuild: bool = False
    """Throw the old index away: after damage, or for another model."""
    json: bool = False
    """Print what was found as a JSON object."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 16
    """Pictures that go through the model at once."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    if arguments[:1] == [_MOMENTS]:
        from intern25.cli import search_moments

        return search_moments.run(arguments[1:])
    if arguments[:1] == [_INDEX]:
        return _run_index(
            parse(IndexOptions, arguments[1:], command="search index", description=_INDEX_DESCRIPTION)
        )
    return _run_search(parse(SearchOptions, arguments, command="search", description=_DESCRIPTION))


def _run_search(options: SearchOptions) -> int:
    check_page(options.query, top=options.top, sheet=options.sheet, font=options.font)
    from intern25.search import SearchIndex
    from intern25.search.index import checked_album, index_location

    album = checked_album(options.album)
    index = SearchIndex.open(index_location(album, options.index), device=options.device)
    if index.facts is None:
        raise ValueError(f"{album} has no index yet; make it: intern25 search index {album} --model MODEL")
    if options.model is not None:
        index = SearchIndex.open(index.location, embedder=opened(options.model, options.device))
    query = read_query(options.query)
    matches = index.query(query, top=options.top, boxes=options.boxes)
    if options.sheet is not None and matches:
        draw_sheet(options.sheet, album, query, matches, font=options.font)
    for match in matches:
        print(_json(match, album) if options.json else _text(match, album), flush=True)
    if options.sheet is not None and matches and not options.json:
        print(f"{options.query} -> {options.sheet}", flush=True)
    return DONE


def _text(match: Match, album: Path) -> str:
    from intern25.search.contact_sheet import clock

    parts = [f"{match.score:.3f}", str(album / match.path)]
    if match.time is not None:
        parts.append(clock(match.time))
    if match.box is not None:
        parts.append("box " + " ".join(f"{side:.0f}" for side in match.box))
    return "  ".join(parts)


def _json(match: Match, album: Path) -> str:
    record = {"source": str(album / match.path), **match.to_record()}
    return json.dumps(record, ensure_ascii=False)


def _run_index(options: IndexOptions) -> int:
    if options.every is not None and not 0.0 < options.every < math.inf:
        raise ValueError(f"--every {options.every} must be a positive number of seconds")
    if options.batch_size < 1:
        raise ValueError(f"--batch-size {options.batch_size} must be 1 or more")
    from intern25.search import SearchIndex
    from intern25.search.index import checked_album, index_location

    album = checked_album(options.album)
    index = SearchIndex.open(index_location(album, options.index))
    embedder = opened(options.model or _model_of(index, options), options.device)
    report = index.update(
        embedder,
        album,
        every=options.every,
        boxes=False if options.whole else None,
        batch_size=options.batch_size,
        rebuild=options.rebuild,
        progress=lambda files, total: track(files, total=total, label="index"),
    )
    return _show(report, index, options)


def _model_of(index: SearchIndex, options: IndexOptions) -> str:
    """The model of the index, at first the usual one."""
    try:
        facts = index.facts
    except ValueError:
        if not options.rebuild:
            raise
        raise ValueError(
            f"the index of {options.album} no longer says which model made it; name one: "
            f"intern25 search index {options.album} --rebuild --model MODEL"
        ) from None
    if facts is not None:
        return facts.model
    return usual_model(
        f"intern25 search index {options.album}", because=f"{options.album} has no index yet and "
    )


def _show(report: UpdateReport, index: SearchIndex, options: IndexOptions) -> int:
    for file in report.unreadable:
        report_failure(file.path, file.reason, as_json=False)
    counts = {
        field.name: getattr(report, field.name)
        for field in dataclasses.fields(report)
        if field.name not in ("total", "unreadable")
    }
    rows = len(index)
    if options.json:
        unreadable = [{"source": file.path, "error": file.reason} for file in report.unreadable]
        print(json.dumps({**counts, "unreadable": unreadable, "rows": rows}, ensure_ascii=False), flush=True)
    else:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        print(f"{index.location}: {rows} pictures and moments ({listed or 'no change'})", flush=True)
    return exit_status(len(report.unreadable), report.total)
