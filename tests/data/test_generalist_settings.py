# SPDX-License-Identifier: MIT
"""Settings of a generalist: through JSON and back, defaults, and what cannot be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from intern25.data.class_names import ClassNames
from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.resizing import DetectionPreprocessing

NAMES = ClassNames(en=("sky", "car"), zh=("天空", "汽车"))


def test_json_and_back() -> None:
    settings = GeneralistSettings(
        classify_size=96,
        ask_sizes=((64, 256), (128, 128)),
        detection=DetectionPreprocessing(long_side=640, short_side=320),
        regions=16,
        detect_threshold=0.25,
        segment_names=NAMES,
        things=("car",),
    )
    assert GeneralistSettings.from_json(settings.to_json()) == settings
    assert settings != GeneralistSettings()


def test_what_a_file_leaves_out_has_its_default() -> None:
    assert GeneralistSettings.from_json("{}") == GeneralistSettings()
    values = json.loads(GeneralistSettings().to_json())
    assert set(values) == {part.name for part in dataclasses.fields(GeneralistSettings)}
    found = GeneralistSettings.from_json('{"read_size": [64, 128]}')
    assert found == dataclasses.replace(GeneralistSettings(), read_size=(64, 128))


def test_files_from_before_have_one_size_for_questions() -> None:
    found = GeneralistSettings.from_json('{"ask_size": [96, 128], "regions": 4}')
    assert found == GeneralistSettings(ask_sizes=((96, 128),), regions=4)
    assert "ask_size" not in json.loads(found.to_json())


SHAPES = ((64, 256), (96, 96), (128, 128), (128, 160), (288, 72))


@pytest.mark.parametrize(
    ("picture", "chosen"),
    [
        ((64, 64), (96, 96)),  # of two squares the one nearest in area
        ((112, 113), (128, 128)),
        ((1000, 1001), (128, 128)),
        ((480, 640), (128, 160)),
        ((100, 450), (64, 256)),
        ((30, 3000), (64, 256)),
        ((400, 101), (288, 72)),
        ((100, 200), (128, 160)),  # twice as wide: 1.6 times from 1.25, 2 times from 4
        ((100, 230), (64, 256)),
        ((200, 100), (288, 72)),  # as far from the squares; nearest in area
    ],
)
def test_a_picture_is_asked_about_at_the_size_nearest_in_shape(
    picture: tuple[int, int], chosen: tuple[int, int]
) -> None:
    def distortion(size: tuple[int, int]) -> float:
        stretch = (size[0] / picture[0]) / (size[1] / picture[1])
        return max(stretch, 1 / stretch)

    assert distortion(chosen) == pytest.approx(min(map(distortion, SHAPES)))
    for order in (SHAPES, SHAPES[::-1]):
        assert GeneralistSettings(ask_sizes=order).ask_size(picture) == chosen


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"ask_sizes": ((64, 64), (128,))}, "ask_sizes=(128,)"),
        ({"ask_sizes": ()}, "ask_sizes=() leaves nothing to choose from"),
        ({"read_size": (16, 64)}, "read_size=(16, 64)"),
        ({"classify_size": 8}, "classify_size=8"),
        ({"detect_threshold": 1.5}, "detect_threshold=1.5"),
        ({"answer_length": 0}, "answer_length=0"),
        ({"regions": -1}, "regions=-1"),
        ({"segment_names": NAMES, "things": ("dog",)}, "things ['dog'] are none of segment_names"),
    ],
)
def test_values_that_cannot_be(change: dict[str, Any], shown: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        GeneralistSettings(**change)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"unknown": 1}', '{"detection": {"side": 3}}', '{"detect_names": 3}']
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the settings of a generalist"):
        GeneralistSettings.from_json(text)
