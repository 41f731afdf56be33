# SPDX-License-Identifier: MIT
"""From painted polygons to the picture: sky, noise, shadows, lamps and weather."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.scenes.camera import Camera
from intern25.data.scenes.painting import OVERSAMPLING, Painted
from intern25.data.scenes.scene import Scene
from intern25.data.scenes.shadows import shadows
from intern25.data.scenes.weather import Light, bloom, horizon_row, noise, precipitation, sky, wet_road

Bytes = NDArray[np.uint8]

_PER_LEVEL = np.float32(1 / 255)


def finish(scene: Scene, camera: Camera, light: Light, painted: Painted) -> Bytes:
    """Picture ``(height, width, 3)`` of what has been painted."""
    height, width = camera.size
    fine = painted.rgb(light)
    full = Image.frombuffer("RGBX", fine.shape[1::-1], fine, "raw", "RGBX", 0, 1)
    picture = np.asarray(full.reduce(OVERSAMPLING), np.float32)[..., :3]
    index = painted.index[1::OVERSAMPLING, ::OVERSAMPLING]
    is_sky = Image.fromarray((painted.index == 0) * np.uint8(255)).reduce(OVERSAMPLING)
    picture = picture + sky(scene, camera, light) * (np.asarray(is_sky, np.float32) * _PER_LEVEL)[..., None]
    rough = painted.roughness[index]
    grains = noise((height, width), 1, scene.seed) + noise((height, width), 3, scene.seed // 3)
    picture *= (1 + 0.7 * rough * grains)[..., None]
    ground = painted.ground[index]
    shade = shadows(scene, camera, light)
    picture *= (1 - ground * shade)[..., None]
    if light.lamp_light:
        picture *= 1 + (_headlights(camera) * light.lamp_light * (0.35 + 1.4 * ground))[..., None]
    if scene.weather == "rain":
        picture = wet_road(picture, ground, camera, 0.42)
    if light.lamps:
        picture = bloom(picture, painted.glow[index], 0.9 if scene.time == "night" else 0.5)
    if scene.weather in ("rain", "snow"):
        picture = precipitation(picture, scene, light)
    picture *= scene.mounting.exposure
    picture += 1.6 * noise((height, width), 1, scene.seed // 5)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _headlights(camera: Camera) -> NDArray[np.float32]:
    """Light of the camera car's own headlights in the picture."""
    height, width = camera.size
    rows = (np.arange(height, dtype=np.float32)[:, None] - horizon_row(camera)) / height
    columns = (np.arange(width, dtype=np.float32)[None] - width / 2) / width
    return np.exp(-((rows - 0.22) ** 2) / 0.05 - columns**2 / 0.16).astype(np.float32)
