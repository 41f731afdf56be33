# SPDX-License-Identifier: MIT
"""The album: indexed at the start, searched by words and by a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.demo.album import TOP, open_album, search_alike, search_words
from intern25.demo.texts import EN
from intern25.search import opening
from tests.search.albums import save_color
from tests.search.color_embedder import ColorEmbedder, HalvesEmbedder

pytest.importorskip("lancedb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, color in (("a.png", "红"), ("in/b.png", "green")):
        save_color(tmp_path / "album" / name, color, (400, 300))
    halves = Image.new("RGB", (1600, 800), (30, 220, 30))
    halves.paste((30, 30, 220), (800, 0, 1600, 800))
    halves.save(tmp_path / "album" / "c.png")
    return tmp_path / "album"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were opened; ``colors`` embeds whole pictures, others also halves."""
    names: list[str] = []

    def open_embedder(name: str, device: str | None) -> ColorEmbedder:
        names.append(name)
        return ColorEmbedder() if name == "colors" else HalvesEmbedder()

    monkeypatch.setattr(opening, "open_embedder", open_embedder)
    return names


def test_words_find_pictures_with_the_part_that_fits(folder: Path, opened: list[str]) -> None:
    album = open_album(folder, "halves")
    assert (album.count, album.has_boxes) == (3, True)
    assert (folder / ".intern25").is_dir()
    hits = search_words(album, " blue ", EN)
    picture, line = hits[0]
    assert line == "1.000 · c.png"
    assert picture.size == (480, 240), "it is made smaller, with the box at its place"
    marked = np.argwhere(np.abs(np.asarray(picture, int) - [30, 30, 220]).max(-1)[:, 246:] > 60)
    assert len(marked) > 300, "a frame around the right half"
    assert {line.split(" · ")[1] for _, line in hits[1:]} == {"a.png", "in/b.png"}
    assert opened == ["halves"]


def test_a_picture_finds_its_like(folder: Path, opened: list[str], tmp_path: Path) -> None:
    album = open_album(folder, "colors")
    assert not album.has_boxes
    example = str(save_color(tmp_path / "example.png", "红"))
    hits = search_alike(album, example, EN)
    assert hits[0][1] == "1.000 · a.png"
    assert np.array_equal(hits[0][0], Image.open(folder / "a.png"))
    with pytest.raises(ValueError, match=EN.no_picture):
        search_alike(album, None, EN)


def test_an_index_keeps_its_model_and_is_brought_up_to_date(folder: Path, opened: list[str]) -> None:
    open_album(folder, "halves")
    save_color(folder / "new.png", "yellow")
    album = open_album(folder, "colors")
    assert opened == ["halves", "halves"]
    assert album.count == 4
    assert search_words(album, "yellow", EN)[0][1] == "1.000 · new.png"


def test_what_is_gone_is_left_out(folder: Path, opened: list[str]) -> None:
    album = open_album(folder, "halves")
    (folder / "a.png").unlink()
    lines = [line for _, line in search_words(album, "红", EN)]
    assert len(lines) == 2
    assert not any("a.png" in line for line in lines)


def test_at_most_so_many_hits(folder: Path, opened: list[str]) -> None:
    for number in range(TOP + 3):
        save_color(folder / f"{number}.png", "black", (8, 6 + number))
    assert len(search_words(open_album(folder, "halves"), "black", EN)) == TOP


@pytest.mark.parametrize("words", [None, "", "  "])
def test_no_words_are_refused(folder: Path, opened: list[str], words: str | None) -> None:
    with pytest.raises(ValueError, match=EN.no_query):
        search_words(open_album(folder, "halves"), words, EN)


def test_a_missing_album_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        open_album(tmp_path / "none", "halves")
