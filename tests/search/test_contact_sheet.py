# SPDX-License-Identifier: MIT
"""The page of thumbnails: what is where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.drawing.fonts import find_chinese_font
from intern25.search.contact_sheet import ContactSheet
from intern25.search.matches import Match
from tests.search.albums import save_color, save_video
from tests.search.color_embedder import COLORS

# The middles of the first two thumbnails below a line of text, and of the third.
MIDDLES = [(16 + 128, 56 + 96), (16 + 272 + 128, 56 + 96), (16 + 2 * 272 + 128, 56 + 96)]
GOLD = (255, 196, 0)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    save_color(tmp_path / "a.png", "blue", (400, 300))
    save_color(tmp_path / "deep" / "a long name of a folder" / "红.png", "green", (300, 900))
    save_video(tmp_path / "v.mp4", ["红", "yellow"])
    return tmp_path


def matches() -> list[Match]:
    return [
        Match("a.png", None, 0.9, (100.0, 75.0, 300.0, 225.0)),
        Match("deep/a long name of a folder/红.png", None, 0.8),
        Match("v.mp4", 3.0, 0.7),
    ]


def near(image: Image.Image, place: tuple[int, int], color: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(image.getpixel(place), color)).max() < 15)


def test_thumbnails_and_the_box(album: Path) -> None:
    sheet = ContactSheet(album=album, matches=matches(), query="蓝色").draw()
    assert sheet.width == 3 * 272 + 16
    for middle, color in zip(MIDDLES, ("blue", "green", "yellow"), strict=True):
        assert near(sheet, middle, COLORS[color])
    # A picture of 400 x 300 is drawn at 256 x 192: the box is 64, 48, 192, 144 from its corner.
    cell = np.asarray(sheet)[:, :272].astype(int)
    gold = (np.abs(cell - GOLD).max(axis=2) < 30).nonzero()
    assert (gold[1].min(), gold[1].max()) == (16 + 64, 16 + 191)
    assert (gold[0].min(), gold[0].max()) == (56 + 48, 56 + 143)


def ink_in(image: Image.Image, top: int, bottom: int) -> int:
    return int((np.asarray(image.convert("L"))[top:bottom] < 128).sum())


def test_texts_are_where_they_belong(album: Path) -> None:
    sheet = ContactSheet(album=album, matches=matches()[:1], query="a blue thing").draw()
    empty = ContactSheet(album=album, matches=[Match("a.png", None, 0.9)], query=" ").draw()
    assert ink_in(sheet, 0, 56) > ink_in(empty, 0, 56) == 0
    assert ink_in(empty, 56 + 194, 56 + 214) > 20
    assert ink_in(empty, 56 + 214, sheet.height) > 20


def test_chinese_needs_a_font_and_differs_by_its_letters(album: Path) -> None:
    if find_chinese_font() is None:
        pytest.skip("no font with Chinese on this system")
    one, two = (ContactSheet(album=album, matches=matches()[:1], query=text).draw() for text in ("红", "蓝"))
    assert one.tobytes() != two.tobytes()


def test_an_example_picture_is_shown_on_top(album: Path) -> None:
    example = Image.new("RGB", (200, 200), COLORS["yellow"])
    sheet = ContactSheet(album=album, matches=matches()[:1], query=example).draw()
    assert near(sheet, (30, 30), COLORS["yellow"])
    assert near(sheet, (16 + 128, 136 + 96), COLORS["blue"])


def test_a_file_that_is_gone_leaves_its_place(album: Path) -> None:
    (album / "a.png").unlink()
    sheet = ContactSheet(album=album, matches=matches(), query="blue").draw()
    assert near(sheet, (20, 60), (234, 238, 242))
    assert near(sheet, MIDDLES[1], COLORS["green"])


def test_many_matches_fill_rows(album: Path) -> None:
    sheet = ContactSheet(album=album, matches=matches() * 3, query="blue").draw()
    assert sheet.width == 4 * 272 + 16
    assert sheet.height > 3 * 192


def test_nothing_to_show_is_refused(album: Path) -> None:
    with pytest.raises(ValueError, match="no matches"):
        ContactSheet(album=album, matches=[], query="blue").draw()
    with pytest.raises(OSError, match="font"):
        ContactSheet(album=album, matches=matches(), query="blue", font="no/such.ttf").draw()
