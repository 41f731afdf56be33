# SPDX-License-Identifier: MIT
from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from intern25.drawing.fonts import find_chinese_font
from intern25.drawing.text import wrapped
from intern25.results import Alternative, Text


def grey(width: int = 320, height: int = 200) -> Image.Image:
    return Image.new("RGB", (width, height), (90, 120, 150))


def test_json_holds_everything_but_the_picture() -> None:
    result = Text(
        text="red",
        language="en",
        score=0.75,
        question="what colour is the light",
        alternatives=(Alternative(text="green", score=0.25),),
        box=(1.0, 2.0, 30.123456, 40.0),
        source="street.jpg",
        image=grey(),
    )
    assert json.loads(result.to_json()) == {
        "source": "street.jpg",
        "text": "red",
        "language": "en",
        "score": 0.75,
        "question": "what colour is the light",
        "alternatives": [{"text": "green", "score": 0.25}],
        "box": [1.0, 2.0, 30.12, 40.0],
    }
    assert str(result) == "red"


@pytest.mark.parametrize(("change", "message"), [({"language": "fr"}, "language"), ({"score": 1.5}, "score")])
def test_values_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Text(**{"text": "a", "language": "en", "score": 0.5, **change})  # type: ignore[arg-type]


def test_the_picture_stays_and_text_comes_below_it() -> None:
    result = Text(text="a dog", language="en", score=0.5, question="what is it", image=grey(640, 480))
    drawn = result.draw()
    assert drawn.width == 640
    assert drawn.height > 480
    assert np.array_equal(np.asarray(drawn)[:480], np.asarray(grey(640, 480)))
    below = np.asarray(drawn)[480:]
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 2, "letters on a ground"


def test_a_box_is_drawn_where_it_is() -> None:
    result = Text(text="EXIT", language="en", score=0.5, box=(100, 50, 300, 150), image=grey(640, 480))
    changed = (np.asarray(result.draw())[:480] != np.asarray(grey(640, 480))).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (100, 50, 300, 150)


def test_long_texts_are_broken_into_lines_that_fit() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(16)
    text = "a very long description of a busy street with many cars and people"
    lines = wrapped(text, font, 120.0)
    assert len(lines) > 3
    assert all(font.getlength(line) <= 120 for line in lines)
    assert " ".join(lines) == text


@pytest.mark.skipif(find_chinese_font() is None, reason="no font with Chinese on this system")
def test_chinese_is_drawn() -> None:
    result = Text(text="不可以", language="zh", score=0.9, question="此刻可以直行吗？", image=grey(640, 480))
    assert result.draw().height > 480


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no picture to draw"):
        Text(text="a", language="en", score=0.5).draw()
