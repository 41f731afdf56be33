# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from intern25.data.scenes.dataset import StreetScenes
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import Scene

Seen = list[tuple[Scene, View]]


@pytest.fixture(scope="session")
def seen() -> Seen:
    """The first 500 scenes of one seed and their views."""
    scenes = StreetScenes(500, seed=41)
    return [(scenes.scene(index), scenes.view(index)) for index in range(len(scenes))]
