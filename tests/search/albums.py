# SPDX-License-Identifier: MIT
"""Small albums, and what a test may know of their index."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from PIL import Image

from intern25.data.video import write_video
from intern25.search.index import SearchIndex
from intern25.search.schemas import vectors_of
from intern25.search.tables import Tables
from tests.search.color_embedder import COLORS

Row = tuple[str, str, float | None, int, int, tuple[float, ...]]


def save_color(path: Path, color: str, size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLORS[color]).save(path)
    return path


def save_video(path: Path, colors: list[str], *, seconds_each: int = 2, rate: int = 4) -> Path:
    """A video of plain colours, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.new("RGB", (64, 48), COLORS[c]) for c in colors for _ in range(seconds_each * rate)]
    write_video(path, frames, rate=Fraction(rate))
    return path


def rows_of(index: SearchIndex) -> list[Row]:
    """All rows, in an order of their own."""
    tables = Tables.open(index.location)
    assert tables is not None
    table = tables.items.to_arrow()
    names = ("path", "kind", "time", "width", "height")
    columns = [table[name].to_pylist() for name in names]
    vectors = map(tuple, vectors_of(table["embedding"]).round(5).tolist())
    return sorted(zip(*columns, vectors, strict=True), key=lambda row: (row[0], row[2] or 0.0))
