# SPDX-License-Identifier: MIT
"""The most likely classes: lengths, top-k, languages, JSON, drawing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from intern25.drawing import classification as drawing
from intern25.drawing import fonts
from intern25.results import Classification

SCORES = np.array([0.75, 0.2, 0.05], dtype=np.float32)


def result(image: Image.Image | None = None, **changes: object) -> Classification:
    values: dict[str, object] = {
        "indices": np.array([7, 1, 3]),
        "scores": SCORES,
        "names_en": ("cock", "goldfish", "shark"),
        "names_zh": ("公鸡", "金鱼", "鲨鱼"),
        "source": "鱼.jpg",
        "image": image,
    }
    return Classification(**{**values, **changes})  # type: ignore[arg-type]


def test_json_has_every_field_and_reads_back() -> None:
    text = result().to_json()
    assert "\n" not in text
    assert "公鸡" in text
    assert json.loads(text) == {
        "source": "鱼.jpg",
        "predictions": [
            {"index": 7, "score": 0.75, "name_en": "cock", "name_zh": "公鸡"},
            {"index": 1, "score": 0.2, "name_en": "goldfish", "name_zh": "金鱼"},
            {"index": 3, "score": 0.05, "name_en": "shark", "name_zh": "鲨鱼"},
        ],
    }


def test_top_keeps_the_best() -> None:
    assert result().top(2).names_en == ("cock", "goldfish")
    assert len(result().top()) == 1
    assert len(result().top(99)) == 3
    with pytest.raises(ValueError, match="k=0"):
        result().top(0)


def test_names_in_three_forms() -> None:
    same = result(names_zh=("公鸡", "goldfish", "鲨鱼"))
    assert same.names("zh") == ("公鸡", "goldfish", "鲨鱼")
    assert same.names("both") == ("cock / 公鸡", "goldfish", "shark / 鲨鱼")
    with pytest.raises(ValueError, match="'fr'"):
        same.names("fr")  # type: ignore[arg-type]


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3, 3, 2, 3"):
        result(names_en=("a", "b"))


def bar_widths(picture: Image.Image) -> list[int]:
    """Length of each filled bar, from the pixels: coloured runs in rows of the panel."""
    pixels = np.asarray(picture).astype(int)
    filled = (np.abs(pixels - drawing._BEST).sum(axis=2) < 30) | (
        np.abs(pixels - drawing._OTHERS).sum(axis=2) < 30
    )
    rows = filled.sum(axis=1)
    starts = np.flatnonzero((rows[1:] > 0) & (rows[:-1] == 0)) + 1
    return [int(rows[start : start + drawing._BAR_HEIGHT].max()) for start in starts]


def test_bars_are_as_long_as_the_scores() -> None:
    widths = bar_widths(result(Image.new("RGB", (90, 60), (0, 120, 0))).draw())
    expected = SCORES * drawing._PANEL_WIDTH
    assert len(widths) == 3
    assert np.allclose(widths, expected, atol=2)  # pixels


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (640, 480)])
def test_any_picture_is_drawn_in_a_bounded_canvas(size: tuple[int, int]) -> None:
    drawn = result(Image.new("RGB", size)).draw(k=2)
    assert drawn.mode == "RGB"
    assert drawn.width <= 1100
    assert 160 <= drawn.height <= 400


def test_long_names_stay_inside_the_panel() -> None:
    names = ("a name that goes on and on and on " * 5, "b", "c")
    drawn = np.asarray(result(Image.new("RGB", (50, 50)), names_en=names).draw())
    assert (drawn[:, -drawing._MARGIN + 1 :] == 255).all()


def test_chinese_without_a_chinese_font_falls_back_to_english(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = result(Image.new("RGB", (50, 50)))
    monkeypatch.setattr(fonts, "find_chinese_font", lambda: None)
    assert np.array_equal(np.asarray(picture.draw(language="zh")), np.asarray(picture.draw(language="en")))


def test_drawing_needs_a_picture_and_a_font_that_exists() -> None:
    with pytest.raises(ValueError, match="no picture to draw"):
        result().draw()
    with pytest.raises(OSError, match=r"resource|font"):
        result(Image.new("RGB", (5, 5))).draw(font="no/such/font.ttf")
