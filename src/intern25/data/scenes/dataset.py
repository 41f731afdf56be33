# SPDX-License-Identifier: MIT
"""Street scenes as a data set that is drawn when it is read."""

from __future__ import annotations

import os
from typing import Literal

from intern25.data.scenes.config import SceneConfig
from intern25.data.scenes.lettering import lettering
from intern25.data.scenes.rendering import View, render
from intern25.data.scenes.scene import Scene
from intern25.data.scenes.world import DEFAULT_WORLD, front_camera, sample_scene
from intern25.data.seeding import derive_seed


class StreetScenes:
    """A number of scenes and what the front camera sees of them.

    Convention:
        Scene ``index`` is a function of (seed, index) and the configuration alone.

    Args:
        length: Number of scenes.
        seed: Of the data set; training and test sets have different ones.
        size: Height and width of the pictures.
        language: Of the texts about them; ``"both"`` lets each reader choose.
        config: What occurs how often.
        font: Font file with Chinese characters for the boards; without one they are in English.

    Raises:
        ValueError: A negative length, an unknown language, or a font that cannot be read.

    Example:
        >>> scenes = StreetScenes(10, seed=1, size=(64, 64))
        >>> scenes.view(3).image.shape
        (64, 64, 3)
    """

    def __init__(
        self,
        length: int,
        seed: int = 0,
        size: tuple[int, int] = (128, 128),
        language: Literal["en", "zh", "both"] = "both",
        *,
        config: SceneConfig = DEFAULT_WORLD,
        font: str | os.PathLike[str] | None = None,
    ) -> None:
        if length < 0:
            raise ValueError(f"length={length} must not be negative")
        if language not in ("en", "zh", "both"):
            raise ValueError(f"language={language!r} must be 'en', 'zh' or 'both'")
        self._length, self._seed, self._config = length, seed, config
        self._lettering = lettering(font)
        self.size, self.language = size, language

    def __len__(self) -> int:
        return self._length

    def scene(self, index: int) -> Scene:
        """Draw the scene ``index``.

        Raises:
            IndexError: There is no such scene.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"scene {index} of {self._length}")
        return sample_scene(derive_seed(self._seed, index), self._config)

    def view(self, index: int) -> View:
        """Draw what the front camera sees of the scene ``index``."""
        scene = self.scene(index)
        return render(scene, front_camera(scene, self.size), self._lettering)
