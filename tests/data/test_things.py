# SPDX-License-Identifier: MIT
"""Things and stuff of the known class lists: counts and places known from the data sets, and who has none."""

from __future__ import annotations

import pytest

from intern25.data.class_names import ClassNames, class_names, list_of
from intern25.data.things import countable, things_of

# As the panoptic challenges count: COCO 80, ADE20K 100, Cityscapes 8, Mapillary 1.2 has 37.
COUNTS = {"coco_stuff_164k": 80, "ade20k": 100, "cityscapes": 8, "mapillary": 37, "coco": 80, "voc": 20}
KNOWN = {
    "coco_stuff_164k": (("person", "toothbrush"), ("banner", "wood")),
    "ade20k": (
        ("bed", "windowpane", "person", "door", "fence", "column", "stairs", "palm", "pole", "step", "flag"),
        ("wall", "plant", "house", "rug", "bar", "blind", "crt screen", "shower", "tent", "escalator"),
    ),
    "cityscapes": (
        ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
        ("road", "pole", "traffic light", "sky"),
    ),
    "mapillary": (
        ("Bird", "Crosswalk - Plain", "Lane Marking - Crosswalk", "Manhole", "Pole", "Wheeled Slow"),
        ("Curb", "Lane Marking - General", "Pothole", "On Rails", "Ego Vehicle", "Unlabeled"),
    ),
}


@pytest.mark.parametrize("list_name", COUNTS)
def test_how_many_things(list_name: str) -> None:
    assert len(things_of(class_names(list_name)) or ()) == COUNTS[list_name]


@pytest.mark.parametrize("list_name", KNOWN)
def test_which_are_things(list_name: str) -> None:
    names, things = class_names(list_name), things_of(class_names(list_name))
    assert things is not None
    for members, is_thing in zip(KNOWN[list_name], (True, False), strict=True):
        assert [name for name in members if (names.en.index(name) in things) != is_thing] == []


def test_unnamed_outputs_are_no_things() -> None:
    assert things_of(class_names("cityscapes").padded(150)) == frozenset(range(11, 19))


@pytest.mark.parametrize("list_name", ["pascal_context_59", "nyu40", "camvid"])
def test_some_lists_have_no_official_answer(list_name: str) -> None:
    assert things_of(class_names(list_name)) is None


def test_own_classes_have_none() -> None:
    own = ClassNames(en=("cat", "dog"), zh=("猫", "狗"))
    assert list_of(own) is None
    assert things_of(own) is None
    assert list_of(class_names("voc").padded(30)) == "voc"


def test_names_that_can_be_counted() -> None:
    assert countable(class_names("camvid").en) == ("car", "pedestrian", "bicyclist")
    assert countable(class_names("camvid").zh) == ("汽车", "行人", "骑自行车的人")
    for names in (class_names("coco").en, class_names("coco").zh):
        assert countable(names) == names
    assert countable(["Sky", " road ", "a red van", "背景"]) == ("a red van",)
