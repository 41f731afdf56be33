# SPDX-License-Identifier: MIT
"""Light of the sun, the sky and the lamps, and what rain, snow and haze do to a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from intern25.data.scenes.camera import Camera
from intern25.data.scenes.scene import Scene

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]

# Ambient light, sunlight, sky above, sky at the horizon, per (weather, time); colours in 0..255.
_SKIES = {
    ("sunny", "day"): ((0.50, 0.53, 0.60), (0.62, 0.58, 0.50), (74, 134, 214), (196, 220, 240)),
    ("cloudy", "day"): ((0.76, 0.78, 0.80), (0.08, 0.08, 0.08), (150, 162, 176), (208, 214, 220)),
    ("rain", "day"): ((0.55, 0.58, 0.63), (0.0, 0.0, 0.0), (104, 114, 126), (158, 166, 174)),
    ("snow", "day"): ((0.84, 0.87, 0.92), (0.03, 0.03, 0.03), (190, 197, 207), (222, 227, 233)),
    ("fog", "day"): ((0.78, 0.79, 0.80), (0.0, 0.0, 0.0), (190, 194, 197), (206, 209, 211)),
    ("sunny", "dusk"): ((0.42, 0.36, 0.42), (0.42, 0.26, 0.14), (74, 82, 138), (246, 168, 104)),
    ("cloudy", "dusk"): ((0.42, 0.40, 0.47), (0.04, 0.03, 0.02), (84, 84, 108), (170, 140, 138)),
    ("rain", "dusk"): ((0.34, 0.35, 0.42), (0.0, 0.0, 0.0), (62, 66, 84), (112, 108, 116)),
    ("snow", "dusk"): ((0.50, 0.50, 0.60), (0.0, 0.0, 0.0), (112, 112, 136), (160, 150, 160)),
    ("fog", "dusk"): ((0.46, 0.45, 0.50), (0.0, 0.0, 0.0), (122, 118, 130), (142, 134, 140)),
    ("sunny", "night"): ((0.27, 0.28, 0.38), (0.0, 0.0, 0.0), (8, 11, 30), (26, 30, 56)),
    ("cloudy", "night"): ((0.26, 0.26, 0.32), (0.0, 0.0, 0.0), (20, 20, 30), (40, 38, 46)),
    ("rain", "night"): ((0.24, 0.25, 0.31), (0.0, 0.0, 0.0), (14, 16, 24), (32, 34, 44)),
    ("snow", "night"): ((0.30, 0.31, 0.40), (0.0, 0.0, 0.0), (34, 36, 52), (60, 60, 76)),
    ("fog", "night"): ((0.27, 0.28, 0.32), (0.0, 0.0, 0.0), (44, 45, 52), (62, 62, 68)),
}
_HAZE = {"sunny": 0.0016, "cloudy": 0.0028, "rain": 0.007, "snow": 0.009, "fog": 0.032}
_TILE = 512


@dataclass(frozen=True, eq=False)
class Light:
    """What lights a scene."""

    ambient: Floats
    """Factor from everywhere, ``(3,)``."""
    sun: Floats
    """Factor of what faces the sun, ``(3,)``."""
    direction: Floats
    """Unit vector to the sun, ``(3,)``."""
    on_upright: float
    """How much of the sun upright two-sided things get."""
    sky_above: Floats
    haze_color: Floats
    """Sky at the horizon, and what distance fades into."""
    haze_density: float
    """Per metre."""
    lamps: bool
    """Whether lamps and windows are lit."""
    lamp_light: float
    """Extra light on the road from the headlights, as a factor."""


def light_of(scene: Scene) -> Light:
    """Light of a scene."""
    ambient, sun, above, horizon = _SKIES[scene.weather, scene.time]
    azimuth, elevation = scene.sun
    flat = math.cos(elevation)
    direction = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)])
    return Light(
        ambient=np.array(ambient),
        sun=np.array(sun),
        direction=direction,
        # A sun from behind lights what the camera sees.
        on_upright=max(0.0, 0.45 - 0.4 * float(direction[0])),
        sky_above=np.array(above, np.float64),
        haze_color=np.array(horizon, np.float64),
        haze_density=_HAZE[scene.weather],
        lamps=scene.time != "day" or scene.weather == "fog",
        lamp_light={"day": 0.0, "dusk": 0.25, "night": 0.9}[scene.time],
    )


@cache
def noise_tile(grain: int) -> Picture:
    """Repeatable noise of mean 0 and deviation 1, ``(512, 512)``, of some grain in pixels."""
    generator = np.random.default_rng(grain)
    values = generator.standard_normal((_TILE, _TILE)).astype(np.float32)
    if grain > 1:
        spectrum = np.fft.rfft2(values)
        rows = np.fft.fftfreq(_TILE)[:, None]
        columns = np.fft.rfftfreq(_TILE)[None]
        spectrum *= np.exp(-((rows**2 + columns**2) * (2.5 * grain) ** 2))
        values = np.fft.irfft2(spectrum, (_TILE, _TILE)).astype(np.float32)
    return np.asarray((values - values.mean()) / values.std(), np.float32)


def noise(size: tuple[int, int], grain: int, offset: int) -> Picture:
    """A window ``size`` of the noise at an offset."""
    tile = noise_tile(grain)
    if max(size) > _TILE:
        repeats = (-(-size[0] // _TILE) + 1, -(-size[1] // _TILE) + 1)
        tile = np.tile(tile, repeats)
    row = offset % max(tile.shape[0] - size[0], 1)
    column = offset // 7 % max(tile.shape[1] - size[1], 1)
    return tile[row : row + size[0], column : column + size[1]]


def horizon_row(camera: Camera) -> float:
    """Row of the horizon in the middle of the picture."""
    _, down, forward = camera.rotation
    level = np.array([forward[0], forward[1], 0.0])
    along = float(forward @ level)
    slope = float(down @ level) / max(along, 1e-6)
    return float(camera.intrinsics[1, 2] + camera.intrinsics[1, 1] * slope)


def sky(scene: Scene, camera: Camera, light: Light) -> Picture:
    """Picture of the sky alone, ``(height, width, 3)``."""
    height, width = camera.size
    row = np.arange(height) + 0.5
    up = np.clip((horizon_row(camera) - row) / camera.intrinsics[1, 1], 0.0, 1.0)
    share = (1.0 - np.exp(-3.2 * up))[:, None]
    column = light.haze_color + (light.sky_above - light.haze_color) * share
    picture = np.broadcast_to(column[:, None].astype(np.float32), (height, width, 3)).copy()
    grain = max(width // 16, 4)
    clouds = noise(camera.size, grain, scene.seed) + 0.4 * noise(camera.size, max(grain // 3, 2), scene.seed)
    if scene.weather == "sunny":
        clouds = np.clip(clouds - 0.7, 0, 1.2) * (0.45 if scene.time == "night" else 1.0)
        white = np.asarray(light.haze_color * 0.5 + (0.5 if scene.time == "day" else 0.35) * 255.0)
        amount = 0.7 * clouds[..., None] * np.clip(4 * share[:, None], 0, 1)
        picture += (white.astype(np.float32) - picture) * amount.astype(np.float32)
    elif scene.weather in ("cloudy", "rain", "snow"):
        picture *= 1.0 + 0.10 * np.clip(clouds, -2, 2)[..., None] * np.clip(6 * share[:, None], 0.2, 1)
    return picture.astype(np.float32)


def wet_road(picture: Picture, road: NDArray[np.float32], camera: Camera, strength: float) -> Picture:
    """Mirror what stands above the horizon in the road, ``road`` in 0..1, ``(height, width)``."""
    height = camera.size[0]
    horizon = horizon_row(camera)
    mirrored = np.clip(np.floor(2 * horizon - np.arange(height)), 0, height - 1).astype(np.int64)
    # Far road mirrors more than what is below the camera.
    grazing = np.clip(1.2 - (np.arange(height) - horizon) / max(height - horizon, 1.0), 0.15, 1.0)
    amount = (strength * grazing[:, None].astype(np.float32) * road)[..., None]
    return np.asarray(picture + (picture[mirrored] - picture) * amount)


def bloom(picture: Picture, glow: NDArray[np.float32], strength: float) -> Picture:
    """Let what shines light its surroundings; ``glow`` in 0..1, ``(height, width)``."""
    shining = np.clip(picture * glow[..., None], 0, 255).astype(np.uint8)
    radius = max(picture.shape[1] / 45, 1.5)
    blurred = Image.fromarray(shining).filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))
    return np.asarray(picture + np.float32(strength) * np.asarray(blurred, np.float32))


def precipitation(picture: Picture, scene: Scene, light: Light) -> Picture:
    """Draw rain streaks or snow flakes."""
    size = picture.shape[:2]
    brightness = np.float32(150.0 if scene.time == "night" else 235.0)
    if scene.weather == "rain":
        amount = _streaks(size, scene.seed)
        return np.asarray(picture + (brightness * 0.9 - picture) * (0.42 * amount)[..., None])
    amount = _flakes(size, scene.seed)
    return np.asarray(picture + (brightness - picture) * (0.9 * amount)[..., None])


def _streaks(size: tuple[int, int], offset: int) -> Picture:
    height, width = size
    return np.asarray(_streak_tile(height, width)[offset % 4])


@cache
def _streak_tile(height: int, width: int) -> Picture:
    """Four pictures of rain, ``(4, height, width)``."""
    generator = np.random.default_rng(71)
    pictures = np.zeros((4, height, width), np.float32)
    for picture in pictures:
        slant = generator.uniform(-0.25, 0.25)
        for _ in range(max(width * height // 150, 20)):
            x, y = generator.uniform(0, width), generator.uniform(-0.1, 1) * height
            length = height * generator.uniform(0.03, 0.10)
            steps = np.arange(max(length, 2.0))
            rows = (y + steps).astype(np.int64)
            columns = (x + slant * steps).astype(np.int64)
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            picture[rows[inside], columns[inside]] += generator.uniform(0.25, 0.9)
    return np.minimum(pictures, 1.0)


def _flakes(size: tuple[int, int], offset: int) -> Picture:
    height, width = size
    return np.asarray(_flake_tile(height, width)[offset % 4])


@cache
def _flake_tile(height: int, width: int) -> Picture:
    """Four pictures of snow flakes, ``(4, height, width)``."""
    generator = np.random.default_rng(72)
    pictures = np.zeros((4, height, width), np.float32)
    radius = max(height / 256, 0.4)
    for picture in pictures:
        for _ in range(260):
            x, y = generator.uniform(0, width), generator.uniform(0, height)
            r = radius * generator.uniform(0.8, 2.2)
            top, left = max(int(y - r - 1), 0), max(int(x - r - 1), 0)
            rows = np.arange(top, min(int(y + r + 2), height)) + 0.5
            columns = np.arange(left, min(int(x + r + 2), width)) + 0.5
            distance = np.sqrt((rows[:, None] - y) ** 2 + (columns[None] - x) ** 2)
            spot = np.clip(r + 0.5 - distance, 0, 1) * generator.uniform(0.5, 1.0)
            window = picture[top : top + len(rows), left : left + len(columns)]
            np.maximum(window, spot, out=window)
    return pictures


def haze_density(scene: Scene) -> float:
    """Optical depth of a metre of air."""
    return _HAZE[scene.weather]
