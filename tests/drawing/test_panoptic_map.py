# SPDX-License-Identifier: MIT
"""Drawn things and stuff: shades, outlines, names inside their segment, any picture."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from intern25.data.palettes import palette
from intern25.drawing.colors import shade
from intern25.drawing.inner_points import inner_point
from intern25.results import PanopticMap

GREY = (100, 100, 100)


def result(height: int = 400, width: int = 600) -> PanopticMap:
    """A sky over all, two cars in it, and a corner without segment."""
    ids = np.ones((height, width), dtype=np.int32)
    ids[height // 2 : 3 * height // 4, width // 8 : width // 3] = 2
    ids[height // 2 : 3 * height // 4, width // 2 : 3 * width // 4] = 3
    ids[: height // 8, : width // 8] = 0
    return PanopticMap(
        ids=ids,
        labels=np.array([0, 1, 1]),
        scores=np.array([0.9, 0.8, 0.7], dtype=np.float32),
        is_thing=np.array([False, True, True]),
        names_en=("sky", "car", "car"),
        names_zh=("天空", "汽车", "汽车"),
        palette=((0, 0, 200), (200, 0, 0)),
        image=Image.new("RGB", (width, height), GREY),
    )


def test_each_thing_has_its_shade() -> None:
    drawn = np.asarray(result().draw(legend=False)).astype(int)
    assert drawn.shape == (400, 600, 3)
    sky, first, second = drawn[100, 300], drawn[290, 90], drawn[290, 320]
    assert sky[2] > sky[0]
    assert first[0] > first[2]
    assert np.abs(first - second).sum() > 20
    assert (drawn[10, 10] == GREY).all()  # no segment, no colour


def test_things_have_a_light_outline() -> None:
    drawn = np.asarray(result().draw(legend=False)).astype(int)
    assert drawn[250, 200].sum() < drawn[250, 75].sum() > drawn[250, 70].sum()


def test_the_legend_counts_things_and_measures_stuff(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = []
    monkeypatch.setattr(
        "intern25.drawing.panoptic_map.with_legend",
        lambda canvas, rows, *rest: entries.extend(rows) or canvas,
    )
    result().draw()
    assert entries == []  # every name has room on the picture
    result().draw(legend=True)
    assert [(name, note) for _, name, note in entries] == [("sky", "87.0%"), ("car", "x 2")]


def test_small_pictures_with_many_segments_get_a_legend() -> None:
    ids = np.arange(1, 65, dtype=np.int32).reshape(8, 8).repeat(8, axis=0).repeat(8, axis=1)
    names = tuple(f"a long name {k}" for k in range(64))
    many = dataclasses.replace(
        result(),
        ids=ids,
        labels=np.arange(64),
        scores=np.ones(64, dtype=np.float32),
        is_thing=np.ones(64, dtype=bool),
        names_en=names,
        names_zh=names,
        palette=palette("ade20k"),
        image=Image.new("RGB", (64, 64)),
    )
    drawn = many.draw()
    assert drawn.height > drawn.width == 512
    assert many.draw(legend=False).size == (512, 512)


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (700, 2), (30, 40)])
def test_any_picture_is_drawn(size: tuple[int, int]) -> None:
    drawn = result(*size).draw(language="both")
    assert drawn.width % size[1] == 0


def test_nothing_and_no_picture() -> None:
    empty = result().select([])
    assert (np.asarray(empty.draw()) == GREY).all()
    with pytest.raises(ValueError, match="no picture to draw"):
        dataclasses.replace(result(), image=None).draw()


@pytest.mark.parametrize("list_name", ["coco_stuff_164k", "ade20k", "cityscapes", "mapillary"])
def test_shades_of_a_class_differ_and_the_first_is_the_class(list_name: str) -> None:
    for color in palette(list_name):
        shades = [shade(color, number) for number in range(5)]
        assert shades[0] == color
        for one, other in itertools.combinations(shades, 2):
            assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 10, (color, one, other)


@pytest.mark.parametrize("seed", range(20))
def test_the_middle_is_inside(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.zeros(random.integers(1, 300, 2), dtype=bool)
    for _ in range(3):
        top, left = (int(random.integers(0, side)) for side in mask.shape)
        mask[top : top + int(random.integers(1, 60)), left : left + int(random.integers(1, 90))] = True
    x, y = inner_point(mask)
    assert mask[int(y), int(x)]


def test_the_middle_is_in_the_widest_part() -> None:
    mask = np.zeros((300, 400), dtype=bool)
    mask[:, :8] = True  # a long pole
    mask[200:280, 8:300] = True  # and a wide box at its foot
    x, y = inner_point(mask)
    assert 100 < x < 210
    assert 215 < y < 265


def test_thin_masks_have_a_middle_and_empty_ones_none() -> None:
    line = np.eye(500, dtype=bool)
    x, y = inner_point(line)
    assert x == y
    with pytest.raises(ValueError, match="no middle"):
        inner_point(np.zeros((3, 3), dtype=bool))
