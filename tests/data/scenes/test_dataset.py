# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from intern25.data.scenes.config import SceneConfig
from intern25.data.scenes.dataset import StreetScenes
from intern25.data.scenes.facts import TIME_CLASSES, WEATHER_CLASSES, scene_class
from intern25.data.scenes.world import sample_scene
from intern25.data.seeding import derive_seed


def test_a_scene_is_a_function_of_seed_and_index_alone() -> None:
    short, long = StreetScenes(3, seed=4, size=(64, 64)), StreetScenes(50, seed=4, size=(64, 64))
    long.view(17)
    np.testing.assert_array_equal(short.view(2).image, long.view(2).image)
    assert short.scene(2) == sample_scene(derive_seed(4, 2))
    assert short.scene(2) != StreetScenes(3, seed=5).scene(2)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="length=-1"):
        StreetScenes(-1)
    with pytest.raises(ValueError, match="language='fr'"):
        StreetScenes(1, language="fr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be read"):
        StreetScenes(1, font="no-such-font.ttf")
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"scene {index} of 2"):
            StreetScenes(2).scene(index)


def test_labels_of_scenes_occur_as_configured() -> None:
    scenes = [sample_scene(seed) for seed in range(300)]
    labels = [scene_class(scene) for scene in scenes]
    assert all(WEATHER_CLASSES.en[c.weather] == s.weather for c, s in zip(labels, scenes, strict=True))
    weather = np.bincount([c.weather for c in labels], minlength=5) / len(labels)
    times = np.bincount([c.time for c in labels], minlength=len(TIME_CLASSES)) / len(labels)
    np.testing.assert_allclose(weather, [0.34, 0.20, 0.17, 0.14, 0.15], atol=0.09)
    np.testing.assert_allclose(times, [0.62, 0.13, 0.25], atol=0.09)


def test_close_views_show_something_large_in_the_same_scene() -> None:
    """Only the camera differs from the scene without; what is shown fills a good part of the picture."""
    close = StreetScenes(40, seed=3, size=(96, 128), config=SceneConfig(close=1.0))
    plain = StreetScenes(40, seed=3, size=(96, 128))
    sides = []
    for index in range(len(close)):
        scene = close.scene(index)
        assert scene.objects == plain.scene(index).objects
        if not any(5.0 < thing.center[0] < 40.0 for thing in scene.objects):
            continue
        shown = close.view(index).objects
        sides.append(max((max(found.width, found.height) for found in shown), default=0.0))
    assert len(sides) > 30
    assert float(np.median(sides)) > 0.25 * 128
