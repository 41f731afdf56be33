# SPDX-License-Identifier: MIT
"""Shadows on the ground, projected from what throws them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from intern25.data.scenes.camera import Camera
from intern25.data.scenes.scene import Scene, SceneObject
from intern25.data.scenes.weather import Light

Footprint = tuple[NDArray[np.float64], int]
"""Corners on the ground and darkness in 0..255."""

_UNDERNEATH, _THROWN, _OF_TREES = 150, 105, 95
_NEAREST = 0.8
"""Depth in metres before which shadows are left out."""


def shadows(scene: Scene, camera: Camera, light: Light) -> NDArray[np.float32]:
    """How much darker the ground is, 0..1, ``(height, width)``."""
    footprints = list(_footprints(scene, is_sunny=float(light.sun.max()) > 0.3))
    if not footprints:
        return np.zeros(camera.size, np.float32)
    image = Image.new("L", (camera.size[1], camera.size[0]), 0)
    draw = ImageDraw.Draw(image)
    points, depth = camera.project(np.concatenate([corners for corners, _ in footprints]))
    flat = points.tolist()
    start = 0
    for corners, darkness in footprints:
        stop = start + len(corners)
        if depth[start:stop].min() > _NEAREST:
            draw.polygon([(p[0], p[1]) for p in flat[start:stop]], fill=darkness)
        start = stop
    return np.asarray(image, np.float32) * np.float32(1 / 255)


def _footprints(scene: Scene, *, is_sunny: bool) -> Iterator[Footprint]:
    low = math.tan(max(scene.sun[1], 0.35))
    shift = (-math.cos(scene.sun[0]) / low, -math.sin(scene.sun[0]) / low)
    for thing in scene.objects:
        if thing.kind in ("traffic light", "traffic sign") or thing.riding:
            continue
        if is_sunny:
            yield _cast(thing, thing.size[2], shift), _THROWN
        if thing.size[0] > 0.5:
            yield _cast(thing, 0.0, shift), _UNDERNEATH
    if is_sunny:
        for other in scene.scenery:
            if other.kind == "tree":
                yield _blob_shadow(other.center, other.size, shift), _OF_TREES


def _cast(thing: SceneObject, height: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    """Corners of a shadow on the ground: the footprint and where the top's shadow lies."""
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    half = (0.48 * thing.size[0], 0.48 * thing.size[1])
    corners = []
    for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = a * half[0], b * half[1]
        corners.append((thing.center[0] + x * cos - y * sin, thing.center[1] + x * sin + y * cos, 0.0))
    if height:
        moved = [(x + 0.9 * height * shift[0], y + 0.9 * height * shift[1], 0.0) for x, y, _ in corners]
        corners = _hull(corners + moved)
    return np.array(corners)


def _blob_shadow(
    center: tuple[float, float], size: tuple[float, float, float], shift: tuple[float, float]
) -> NDArray[np.float64]:
    """Round shadow of a tree's crown."""
    x0, y0 = center[0] + 0.66 * size[2] * shift[0], center[1] + 0.66 * size[2] * shift[1]
    turns = [2 * math.pi * k / 9 for k in range(9)]
    return np.array(
        [(x0 + 0.5 * size[1] * math.cos(t), y0 + 0.5 * size[1] * math.sin(t), 0.0) for t in turns]
    )


def _hull(points: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Convex hull in x and y (monotone chain)."""

    def half(ordered: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
        chain: list[tuple[float, float, float]] = []
        for p in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        return chain[:-1]

    ordered = sorted(points)
    return half(ordered) + half(ordered[::-1])


def _turn(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
