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
        ask_size=(64, 256),
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


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"ask_size": (128,)}, "ask_size=(128,)"),
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
