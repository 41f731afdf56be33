# SPDX-License-Identifier: MIT
"""Rows on their way into the tables, written some hundreds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from intern25.search.album import AlbumFile, file_key, item_key
from intern25.search.embedder import Embedder, RegionEmbedder, Regions, Vectors, checked_vectors
from intern25.search.reading import FileRead, Shown
from intern25.search.schemas import vector_column
from intern25.search.tables import Tables

ROWS_AT_ONCE = 256
"""Rows of one commit, or a little more: those of one file are never apart."""


class Item(NamedTuple):
    """A row of the table of items, but for its embedding."""

    file: AlbumFile
    content: str
    moment: int
    """Number of the moment in a video, 0 for a picture."""
    time: float | None
    every: float | None
    size: tuple[int, int]


class RowWriter:
    """Embeds what it is given and writes the rows.

    What is special: regions go first and a file's items in one commit, so that a run that is killed leaves
    whole files, and regions that nobody asks for.

    Args:
        tables: Where to write.
        embedder: The model.
    """

    def __init__(self, tables: Tables, embedder: Embedder) -> None:
        self.tables = tables
        self.embedder = embedder
        self._items: list[Item] = []
        self._vectors: list[Vectors] = []
        self._regions: list[tuple[int, Regions]] = []

    def add_pictures(self, pictures: Sequence[FileRead]) -> None:
        """Embed and add a batch of pictures."""
        shown = [picture.shown for picture in pictures if picture.shown is not None]
        items = [
            Item(picture.file, picture.content, 0, None, None, picture.shown.size)
            for picture in pictures
            if picture.shown is not None
        ]
        self._embed(items, shown)

    def add_moments(self, video: FileRead, moments: Sequence[Shown], *, first: int, every: float) -> None:
        """Embed and keep some moments of a video; the caller flushes after its last."""
        items = [
            Item(video.file, video.content, number, shown.time, every, shown.size)
            for number, shown in enumerate(moments, start=first)
        ]
        self._embed(items, moments)

    def flush(self) -> list[Item]:
        """Write what is kept, and return the items that are in the table now."""
        self._flush_regions()
        items, vectors = self._items, self._vectors
        if items:
            self.tables.add(_item_rows(items, np.concatenate(vectors), self.tables))
        self._items, self._vectors = [], []
        return items

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return len(self._items) >= ROWS_AT_ONCE

    def _embed(self, items: Sequence[Item], shown: Sequence[Shown]) -> None:
        if not items:
            return
        pixels = [picture.pixels for picture in shown]
        vectors = self.embedder.embed_images(pixels)
        self._vectors.append(checked_vectors(vectors, self.embedder, len(items)))
        self._items.extend(items)
        if not self.tables.facts.has_regions:
            return
        assert isinstance(self.embedder, RegionEmbedder), "the tables were made for it"
        found = self.embedder.embed_regions(pixels)
        for item, picture, regions in zip(items, shown, found, strict=True):
            if len(regions.boxes):
                checked_vectors(regions.embeddings, self.embedder, len(regions.boxes))
                self._regions.append((_key(item), _in_picture(regions, picture)))
        if sum(len(regions.boxes) for _, regions in self._regions) >= ROWS_AT_ONCE:
            self._flush_regions()

    def _flush_regions(self) -> None:
        if self._regions:
            self.tables.add(_region_rows(self._regions, self.tables), to_regions=True)
            self._regions = []


def copied_rows(tables: Tables, copies: Sequence[tuple[AlbumFile, int]]) -> Any:
    """Return the rows of known files as those of other files with the same content.

    Args:
        tables: The index.
        copies: New files, each with the key of a file that is in the index.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = tables.rows_with("file", {key for _, key in copies})
    parts = []
    for file, key in copies:
        part = known.filter(pc.equal(known["file"], key))
        every = part["every"][0].as_py() if len(part) else None
        facts = {"file": file_key(file, every), "path": file.path, "size": file.size, "mtime": file.mtime}
        for name, value in facts.items():
            place = part.schema.get_field_index(name)
            column = pa.array([value] * len(part), part.schema.field(place).type)
            part = part.set_column(place, part.schema.field(place), column)
        parts.append(part)
    return pa.concat_tables(parts)


def _key(item: Item) -> int:
    return item_key(item.content, item.every, item.moment)


def _in_picture(regions: Regions, shown: Shown) -> Regions:
    """The boxes in pixels of the picture itself instead of the reduced one."""
    height, width = shown.pixels.shape[:2]
    scale = np.array([shown.size[0] / width, shown.size[1] / height] * 2, dtype=np.float32)
    return regions._replace(boxes=np.asarray(regions.boxes, dtype=np.float32) * scale)


def _item_rows(items: Sequence[Item], vectors: Vectors, tables: Tables) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "id": [_key(item) for item in items],
        "file": [file_key(item.file, item.every) for item in items],
        "content": [item.content for item in items],
        "path": [item.file.path for item in items],
        "kind": [item.file.kind for item in items],
        "time": [item.time for item in items],
        "every": [item.every for item in items],
        "size": [item.file.size for item in items],
        "mtime": [item.file.mtime for item in items],
        "width": [item.size[0] for item in items],
        "height": [item.size[1] for item in items],
        "embedding": vector_column(vectors),
    }
    return pa.table(columns, schema=tables.items.schema)


def _region_rows(found: Sequence[tuple[int, Regions]], tables: Tables) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "id": np.repeat([key for key, _ in found], [len(regions.boxes) for _, regions in found]),
        "box": vector_column(np.concatenate([regions.boxes for _, regions in found])),
        "score": np.concatenate([np.asarray(regions.scores, dtype=np.float32) for _, regions in found]),
        "embedding": vector_column(
            np.concatenate([np.asarray(regions.embeddings, dtype=np.float32) for _, regions in found])
        ),
    }
    return pa.table(columns, schema=tables.regions.schema)
