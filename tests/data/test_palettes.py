# SPDX-License-Identifier: MIT
"""Palettes: one colour a class, those of the data sets at known places, distinct ones elsewhere."""

from __future__ import annotations

import pytest

from intern25.data.class_names import TABLES, ClassNames, class_names
from intern25.data.palettes import distinct_colors, palette, palette_of

# (class, colour) as the data sets' own tools draw them.
KNOWN = {
    "ade20k": [("wall", (120, 120, 120)), ("sky", (6, 230, 230)), ("flag", (92, 0, 255))],
    "cityscapes": [("road", (128, 64, 128)), ("person", (220, 20, 60)), ("bicycle", (119, 11, 32))],
    "mapillary": [("Road", (128, 64, 128)), ("Sky", (70, 130, 180)), ("Unlabeled", (0, 0, 0))],
    "nyu40": [("wall", (120, 120, 120)), ("other object", (255, 194, 7))],
    "camvid": [("sky", (128, 128, 128)), ("car", (64, 0, 128)), ("bicyclist", (0, 128, 192))],
    "coco_stuff_164k": [("person", (0, 192, 64)), ("wood", (64, 64, 0))],
    "pascal_context_59": [("aeroplane", (180, 120, 120))],
    "coco": [("person", (220, 20, 60))],
}


@pytest.mark.parametrize("list_name", KNOWN)
def test_colours_of_the_data_sets(list_name: str) -> None:
    colours, names = palette(list_name), class_names(list_name)
    for name, colour in KNOWN[list_name]:
        assert colours[names.en.index(name)] == colour, name


@pytest.mark.parametrize("list_name", TABLES)
def test_every_class_has_a_colour(list_name: str) -> None:
    colours = palette(list_name)
    assert len(colours) == len(class_names(list_name))
    assert all(len(colour) == 3 and 0 <= min(colour) <= max(colour) <= 255 for colour in colours)
    # The data sets repeat a few colours themselves (162 for the 171 of COCO-Stuff), and eight bits a channel
    # leave room for some 900 clear colours.
    assert len(set(colours)) >= min(0.94 * len(colours), 800)
    assert palette_of(class_names(list_name)) == colours


def test_distinct_colours_are_distinct() -> None:
    assert len(set(distinct_colors(100))) == 100
    assert distinct_colors(7) == distinct_colors(100)[:7]
    assert distinct_colors(0) == ()


def test_own_names_get_distinct_colours() -> None:
    own = ClassNames(en=("cat", "dog"), zh=("猫", "狗"))
    assert palette_of(own) == distinct_colors(2)


def test_unnamed_outputs_are_black() -> None:
    assert palette_of(class_names("cityscapes").padded(150))[18:21] == ((119, 11, 32), (0, 0, 0), (0, 0, 0))


def test_unknown_list() -> None:
    with pytest.raises(ValueError, match="unknown class list 'cityscape'"):
        palette("cityscape")
