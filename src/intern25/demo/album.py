# SPDX-License-Identifier: MIT
"""An album that was named at the start, searched by words or by a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from intern25.data.images import ImageReadError, read_image
from intern25.data.video import VideoReadError, picture_at
from intern25.demo.inputs import opened
from intern25.demo.texts import Texts
from intern25.results import Detections
from intern25.search import Match, SearchIndex, opening
from intern25.search.contact_sheet import clock
from intern25.search.index import checked_album, index_location
from intern25.search.update import Progress

TOP = 12
"""Most hits."""

_THUMBNAIL = 480

Hit = tuple[Image.Image, str]
"""A picture and the line below it."""


@dataclass(frozen=True, slots=True)
class Album:
    """A folder of pictures and videos whose index is up to date."""

    folder: Path
    """The folder."""
    index: SearchIndex
    """Its index."""
    count: int
    """Pictures and moments of videos."""
    has_boxes: bool
    """Whether parts of pictures are found too."""


def open_album(
    folder: Path, model: str, *, device: str | None = None, progress: Progress | None = None
) -> Album:
    """Bring the index of an album up to date, or make it, and open it.

    Args:
        folder: The album.
        model: Model of an album without an index; an index keeps the model that it was made with.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``; None takes the best there is.
        progress: As for :meth:`intern25.search.SearchIndex.update`.

    Raises:
        ValueError: The album is missing or empty, or its index is damaged.
        ImportError: LanceDB is not installed.
    """
    folder = checked_album(folder)
    index = SearchIndex.open(index_location(folder), device=device)
    before = index.facts
    embedder = opening.open_embedder(model if before is None else before.model, device=device)
    index.update(embedder, folder, progress=progress)
    facts = index.facts
    assert facts is not None, "an update leaves an index"
    return Album(folder, index, len(index), facts.has_regions)


def search_words(album: Album, query: str | None, texts: Texts) -> list[Hit]:
    """Find what fits the words.

    Raises:
        ValueError: There are none, or they are more than the model reads.
    """
    words = (query or "").strip()
    if not words:
        raise ValueError(texts.no_query)
    return _hits(album, album.index.query(words, top=TOP, boxes=album.has_boxes), words)


def search_alike(album: Album, path: str | None, texts: Texts) -> list[Hit]:
    """Find what looks like the uploaded picture.

    Raises:
        ValueError: There is none, or it cannot be read.
    """
    picture = opened(path, texts)
    return _hits(album, album.index.query(picture, top=TOP, boxes=album.has_boxes), texts.picture)


def _hits(album: Album, matches: list[Match], query: str) -> list[Hit]:
    """The pictures of the matches; what is gone by now is left out."""
    hits = []
    for match in matches:
        path = album.folder / match.path
        try:
            picture = read_image(path) if match.time is None else picture_at(path, match.time)
        except (ImageReadError, VideoReadError):
            continue
        hits.append((_drawn(picture, match, query), _line(match)))
    return hits


def _line(match: Match) -> str:
    moment = "" if match.time is None else f" · {clock(match.time)}"
    return f"{match.score:.3f} · {match.path}{moment}"


def _drawn(picture: Image.Image, match: Match, query: str) -> Image.Image:
    """The picture, made small, with the part that fits."""
    full = picture.size
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if match.box is None:
        return picture
    box = np.asarray(match.box, np.float32) * np.float32(picture.width / full[0])
    score = np.array([np.clip(match.score, 0.0, 1.0)], np.float32)
    part = Detections(
        boxes=box[None],
        scores=score,
        labels=np.zeros(1, np.int64),
        size=(picture.height, picture.width),
        names_en=(query,),
        names_zh=(query,),
        image=picture,
    )
    return part.draw(language="en" if query.isascii() else "zh", legend=False)
