# SPDX-License-Identifier: MIT
"""Drawn objects: where colours are, that labels keep apart, that any picture works."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from intern25.drawing import fonts
from intern25.drawing.canvas import scale_of
from intern25.drawing.colors import INK, WHITE, class_color, text_color
from intern25.drawing.labels import place_labels
from intern25.results import Detections

BACKGROUND = (120, 120, 120)


def result(size: tuple[int, int] = (600, 800), count: int = 2, *, with_masks: bool = True) -> Detections:
    """Squares in a row, each of a class of its own."""
    height, width = size
    step, masks = width / (count + 1), np.zeros((count, *size), dtype=bool)
    boxes = []
    for k in range(count):
        left, side = int(step * (k + 0.3)), max(1, int(0.6 * min(step, height)))
        boxes.append([left, height // 4, left + side, height // 4 + side])
        masks[k, height // 4 : height // 4 + side, left : left + side] = True
    return Detections(
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        labels=np.arange(count),
        size=size,
        masks=masks if with_masks else None,
        names_en=tuple(f"thing {k}" for k in range(count)),
        names_zh=tuple(f"东西{k}" for k in range(count)),
        image=Image.new("RGB", size[::-1], BACKGROUND),
    )


def test_box_lines_are_on_the_box_in_the_colour_of_the_class() -> None:
    found = result(with_masks=False)
    drawn = np.asarray(found.draw()).astype(int)
    for box, label in zip(found.boxes.astype(int), found.labels, strict=True):
        left, top, right, bottom = box
        color = class_color(int(label))
        middle = (top + bottom) // 2
        assert (drawn[middle, left] == color).all()
        assert (drawn[middle, right - 1] == color).all()
        assert (drawn[bottom - 1, (left + right) // 2] == color).all()
        assert (drawn[middle, (left + right) // 2] == BACKGROUND).all()  # nothing inside
    assert (drawn[-1, -1] == BACKGROUND).all()


def test_masks_have_a_soft_fill_and_a_crisp_outline() -> None:
    found = result()
    drawn = np.asarray(found.draw()).astype(int)
    left, top, right, bottom = found.boxes[0].astype(int)
    color = np.array(class_color(0))
    inside = drawn[(top + bottom) // 2, (left + right) // 2]
    share = (inside - BACKGROUND) / (color - BACKGROUND)
    assert np.allclose(share, share.mean(), atol=0.05)  # a mixture of picture and colour
    assert 0.2 < share.mean() < 0.6
    assert np.abs(drawn[(top + bottom) // 2, left] - color).max() < 60


def test_a_small_mask_stays_visible_on_a_large_one() -> None:
    masks = np.zeros((2, 600, 800), dtype=bool)
    masks[0, 250:300, 250:300] = True
    masks[1, 100:500, 100:600] = True
    boxes = np.array([[250, 250, 300, 300], [100, 100, 600, 500]], dtype=np.float32)
    drawn = np.asarray(dataclasses.replace(result(), masks=masks, boxes=boxes).draw()).astype(int)
    assert np.abs(drawn[290, 290] - drawn[400, 400]).max() > 20


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 60), (3000, 4000)])
def test_any_picture_is_drawn(size: tuple[int, int]) -> None:
    found = result(size, count=1)
    drawn = found.draw(legend=False)
    assert drawn.width % size[1] == 0
    assert drawn.width // size[1] == drawn.height // size[0]
    assert max(drawn.size) >= 480 or max(size) < 40


def test_lines_and_text_grow_with_the_picture() -> None:
    scales = [scale_of(width, width * 3 // 4) for width in (640, 1920, 8000)]
    assert [scale.factor for scale in scales] == [1, 1, 1]
    assert scales[0].line < scales[1].line < scales[2].line
    assert scales[0].text < scales[1].text < scales[2].text
    assert scale_of(64, 64).factor == 8


def test_an_object_with_an_empty_mask_or_box_is_drawn() -> None:
    found = result(count=1)
    empty = dataclasses.replace(
        found, masks=np.zeros_like(found.masks), boxes=np.array([[50, 50, 50, 50]], dtype=np.float32)
    )
    assert empty.draw(legend=False).size == (800, 600)
    outside = dataclasses.replace(found, boxes=np.array([[-50, -9, 900, 999]], dtype=np.float32))
    assert outside.draw(legend=False).size == (800, 600)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def test_labels_stay_inside_and_hardly_cover_each_other() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 500, (60, 2))
    boxes = [
        (x, y, x + w, y + h)
        for (x, y), (w, h) in zip(corners, generator.uniform(20, 140, (60, 2)), strict=True)
    ]
    places = place_labels(boxes, [(70.0, 16.0)] * 60, (640, 640))
    kept = [place for place in places if place is not None]
    assert len(kept) > 45
    for number, place in enumerate(kept):
        assert place[0] >= 0
        assert place[1] >= 0
        assert place[2] <= 640
        assert place[3] <= 640
        assert all(overlap(place, other) <= 0.15 * 70 * 16 + 1e-6 for other in kept[:number])


def test_a_lone_label_stands_on_its_box() -> None:
    assert place_labels([(100, 100, 200, 200)], [(50, 10)], (300, 300)) == [(100, 90, 150, 100)]
    assert place_labels([(0, 0, 300, 300)], [(50, 10)], (300, 300)) == [(0, 0, 50, 10)]


def test_a_legend_appears_when_labels_find_no_room() -> None:
    few = result(count=3)
    assert few.draw().size == (800, 600)
    assert few.draw(legend=True).height > 600
    box = np.repeat(np.array([[300, 300, 310, 310]], dtype=np.float32), 60, axis=0)
    crowd = dataclasses.replace(result(count=60, with_masks=False), boxes=box)
    assert crowd.draw().height > 600
    assert crowd.draw(legend=False).size == (800, 600)


def test_many_names_go_to_the_legend_and_leave_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    long = dataclasses.replace(result((400, 600), count=30), names_en=("a name that goes on and on",) * 30)
    drawn = []
    monkeypatch.setattr(
        "intern25.drawing.detections.write_texts", lambda *args: drawn.append(args[3]) or True
    )
    assert long.draw().height > 400
    assert drawn.pop()[0] == "90%"
    assert long.draw(legend=False).height == 400
    assert drawn.pop()[0] == "a name that goes on and on 90%"


def test_languages_differ_and_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found = result()
    english = np.asarray(found.draw())
    if fonts.find_chinese_font():
        assert not np.array_equal(np.asarray(found.draw(language="zh")), english)
    monkeypatch.setattr(fonts, "find_chinese_font", lambda: None)
    assert np.array_equal(np.asarray(found.draw(language="zh")), english)


def test_a_palette_is_used() -> None:
    found = result(count=1, with_masks=False)
    left, top, _, bottom = found.boxes[0].astype(int)
    assert found.draw(palette=[(1, 2, 3)]).getpixel((int(left), int(top + bottom) // 2)) == (1, 2, 3)


def test_drawing_needs_a_picture_and_a_font_that_exists() -> None:
    with pytest.raises(ValueError, match="no picture to draw"):
        dataclasses.replace(result(), image=None).draw()
    with pytest.raises(OSError, match=r"resource|font"):
        result().draw(font="no/such/font.ttf")


def test_class_colours_differ_and_carry_readable_text() -> None:
    colors = [class_color(label) for label in range(100)]
    assert len(set(colors)) == 100
    for first, second in itertools.pairwise(colors):
        assert np.abs(np.subtract(first, second)).sum() > 100
    assert text_color((250, 240, 200)) == INK
    assert text_color((10, 20, 120)) == WHITE
