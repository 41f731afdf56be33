# SPDX-License-Identifier: MIT
"""The index of an album: made, brought up to date and asked, from Python and from the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from intern25.data.images import ImageSource
from intern25.search import opening
from intern25.search.embedder import Embedder, RegionEmbedder, Vectors
from intern25.search.lock import IndexLock
from intern25.search.matches import Box, Candidate, Match, merged
from intern25.search.query import check_query, embedded_query
from intern25.search.reading import FileRead
from intern25.search.schemas import IndexFacts, vectors_of
from intern25.search.tables import Tables, is_url, remove_tables
from intern25.search.update import Progress, Update, UpdateReport

INDEX_FOLDER = ".intern25"
"""Where the index of an album lies, unless another place is named."""

_LOCK = "lock"
# Neighbours in time are merged: more rows are fetched than matches are asked for.
_ROWS_A_MATCH = 4


def index_location(album: str | os.PathLike[str], index: str | os.PathLike[str] | None = None) -> str:
    """Return the place of an album's index: ``index``, or the folder ``.intern25`` in the album."""
    return str(Path(album) / INDEX_FOLDER) if index is None else os.fspath(index)


class SearchIndex:
    """Pictures and videos of an album, found by text or by example.

    Convention:
        - files are read when they are embedded and never again: a search looks at the index alone.
        - :meth:`query` sees the index as it is at that moment, also while another process updates it.

    Args:
        location: Folder, or URL of an object store.
        embedder: The model; None opens the one that the index was made with.
        device: Where that runs; None takes the best there is.

    Example:
        >>> index = SearchIndex.open("photos/.intern25")  # doctest: +SKIP
        >>> index.query("a red bus", top=3)  # doctest: +SKIP
        [Match(path='2024/street.jpg', time=None, score=0.31, box=None), ...]
    """

    def __init__(self, location: str, *, embedder: Embedder | None = None, device: str | None = None) -> None:
        self.location = location
        self.device = device
        self._embedder = embedder

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        embedder: Embedder | None = None,
        device: str | None = None,
    ) -> SearchIndex:
        """Return the index in ``folder``, which need not be there before the first :meth:`update`.

        Args:
            folder: ``ALBUM/.intern25``, another folder, or a URL such as ``s3://bucket/index``.
            embedder: The model; None opens the one that the index was made with.
            device: ``"cpu"``, ``"cuda"``, ``"mps"``; None takes the best there is.
        """
        return cls(os.fspath(folder), embedder=embedder, device=device)

    @property
    def facts(self) -> IndexFacts | None:
        """What the index was made with, None before the first update.

        Raises:
            ValueError: The index is damaged.
        """
        tables = Tables.open(self.location)
        return None if tables is None else tables.facts

    def __len__(self) -> int:
        """Return the number of pictures and moments."""
        tables = Tables.open(self.location)
        return 0 if tables is None else tables.count()

    def update(
        self,
        embedder: Embedder,
        album: str | os.PathLike[str],
        *,
        every: float | None = None,
        boxes: bool | None = None,
        batch_size: int = 16,
        rebuild: bool = False,
        progress: Progress | None = None,
    ) -> UpdateReport:
        """Bring the index up to the album.

        Args:
            embedder: The model; the one that the index was made with, if there is one.
            album: Folder of pictures and videos.
            every: Seconds between the moments of a video; None keeps what the index has, 1 at first.
            boxes: Whether parts of pictures are embedded too, which takes several times as long; None keeps
                what the index has, at first whether the model can.
            batch_size: Pictures that go through the model at once.
            rebuild: Throw the old index away, readable or not.
            progress: Wraps the files that are looked at, and their number.

        Returns:
            What was found; damaged files are listed there.

        Raises:
            ValueError: The album is missing or empty, the index was made with another model, with or without
                boxes against what is asked for, or is damaged, or another process is indexing.
            OSError: The index cannot be written: permissions, a full disk, ...; what is there stays valid.
            ImportError: LanceDB, or PyAV for a video, is not installed.
        """
        album = checked_album(album)
        if every is not None and not 0.0 < every < float("inf"):
            raise ValueError(f"every={every} must be a positive number of seconds")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be 1 or more")
        facts = _facts_of(embedder, boxes)
        folder = album / INDEX_FOLDER if is_url(self.location) else Path(self.location)
        folder.mkdir(parents=True, exist_ok=True)
        with IndexLock(folder / _LOCK) as lock:
            if rebuild:
                remove_tables(self.location)
            tables = Tables.open(self.location)
            if tables is None:
                tables = Tables.create(self.location, facts)
            _check_model(tables.facts, embedder, self.location)
            _check_boxes(tables.facts, boxes, self.location)
            self._embedder = embedder
            run = Update(tables, embedder, album, lock=lock, every=every, batch_size=batch_size)
            return run.run(progress or _silent)

    def query(
        self, query: ImageSource, *, top: int = 12, boxes: bool = False, exact: bool = False
    ) -> list[Match]:
        """Find what fits a text or looks like a picture.

        Args:
            query: A ``str`` is a text; a path object, bytes, a PIL image, an array or a tensor is a picture.
            top: Most matches.
            boxes: Also compare the parts of pictures, and say which part fits.
            exact: Look at every row of a large index too, where otherwise the likely ones are looked at.

        Returns:
            The best first; moments of one video that look alike are one match.

        Raises:
            ValueError: There is no index, it is damaged, it was made with another model or without boxes,
                or ``query`` or ``top`` is of no use.
        """
        if top < 1:
            raise ValueError(f"top={top} must be 1 or more")
        check_query(query)
        tables = self._opened()
        if boxes and not tables.facts.has_regions:
            raise ValueError(
                f"the index {self.location} has whole pictures of {tables.facts.model} alone and no boxes; "
                "with a model that embeds parts: intern25 search index ALBUM --rebuild"
            )
        vector = self._vector(query, tables)
        limit, total = _ROWS_A_MATCH * top, tables.count()
        while True:
            matches = merged(_candidates(tables, vector, limit, boxes=boxes, exact=exact))
            if len(matches) >= top or limit >= total:
                return matches[:top]
            limit *= _ROWS_A_MATCH

    def _opened(self) -> Tables:
        tables = Tables.open(self.location)
        if tables is None:
            raise ValueError(
                f"no index at {self.location}; make it: intern25 search index ALBUM --model MODEL"
            )
        return tables

    def _vector(self, query: ImageSource, tables: Tables) -> Vectors:
        if self._embedder is None:
            self._embedder = opening.open_embedder(tables.facts.model, device=self.device)
        embedder = self._embedder
        _check_model(tables.facts, embedder, self.location)
        return embedded_query(query, embedder)


def checked_album(album: str | os.PathLike[str]) -> Path:
    """Return the folder of an album.

    Raises:
        ValueError: It does not exist or is a file.
    """
    album = Path(album)
    if not album.exists():
        raise ValueError(f"the album {album} does not exist; check the path")
    if not album.is_dir():
        raise ValueError(f"the album {album} is a file; give a folder of pictures and videos")
    return album


def _facts_of(embedder: Embedder, boxes: bool | None) -> IndexFacts:
    able = isinstance(embedder, RegionEmbedder)
    if boxes and not able:
        raise ValueError(f"{embedder.name} embeds whole pictures; boxes=True needs a generalist")
    return IndexFacts(
        model=embedder.name,
        fingerprint=embedder.fingerprint,
        dimension=embedder.dimension,
        has_regions=able if boxes is None else boxes,
    )


def _check_boxes(facts: IndexFacts, boxes: bool | None, location: str) -> None:
    if boxes is not None and boxes != facts.has_regions:
        made = "with" if facts.has_regions else "without"
        raise ValueError(
            f"the index {location} was made {made} boxes; go on so, or make it again: --rebuild, rebuild=True"
        )


def _check_model(facts: IndexFacts, embedder: Embedder, location: str) -> None:
    if (embedder.fingerprint, embedder.dimension) != (facts.fingerprint, facts.dimension):
        raise ValueError(
            f"the index {location} was made with {facts.model} ({facts.fingerprint}), "
            f"not with {embedder.name} ({embedder.fingerprint}); use that model, or make the index again: "
            "intern25 search index ALBUM --model MODEL --rebuild"
        )


def _candidates(
    tables: Tables, vector: Vectors, limit: int, *, boxes: bool, exact: bool
) -> Iterator[Candidate]:
    """The rows that fit best, as whole pictures or by one of their regions."""
    rows = tables.nearest(vector, limit, exact=exact)
    best: dict[int, tuple[float, Box]] = {}
    if boxes:
        regions = tables.nearest(vector, limit, among_regions=True, exact=exact)
        keys = {*rows["id"].to_pylist(), *regions["id"].to_pylist()}
        rows = tables.rows_with("id", keys)
        # All regions of these items: one found as a whole has its box too.
        best = _best_regions(tables.rows_with("id", keys, of_regions=True), vector)
    if not len(rows):
        return
    embeddings = vectors_of(rows["embedding"])
    columns = (rows[name].to_pylist() for name in ("id", "path", "time", "every"))
    scores = (embeddings @ vector).tolist()
    for key, path, time, every, embedding, score in zip(*columns, embeddings, scores, strict=True):
        region, box = best.get(key, (score, None))
        yield Candidate(Match(path, time, max(score, region), box), every, embedding)


def _best_regions(regions: Any, vector: Vectors) -> dict[int, tuple[float, Box]]:
    """Score and box of the best region of each item."""
    best: dict[int, tuple[float, Box]] = {}
    if not len(regions):
        return best
    scores = vectors_of(regions["embedding"]) @ vector
    keys, boxes = regions["id"].to_pylist(), vectors_of(regions["box"])
    for row in np.argsort(-scores, kind="stable").tolist():
        left, top, right, bottom = boxes[row].tolist()
        best.setdefault(keys[row], (float(scores[row]), (left, top, right, bottom)))
    return best


def _silent(files: Iterator[FileRead], total: int) -> Iterator[FileRead]:
    return files
