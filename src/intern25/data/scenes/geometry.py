# SPDX-License-Identifier: MIT
"""Shapes made of flat polygons, and pieces: a shape put somewhere in some colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from intern25.data.scenes.textures import Texture

Floats = NDArray[np.float64]
Paint = tuple[float, float, float, float]
"""Red, green, blue in 0..255 and how much it shines by itself in 0..1."""
Polygon = tuple[str, Sequence[Sequence[float]], bool]
"""Slot of its paint, corners, and whether it is seen from both sides."""


@dataclass(frozen=True, eq=False)
class Shape:
    """Polygons in the order in which they are painted.

    A polygon that is not two-sided is seen from the side from which its corners turn counter-clockwise.
    """

    slots: tuple[str, ...]
    """Names of the paints that a piece of this shape needs."""
    points: Floats
    """Corners of all polygons, one after the other, ``(corners, 3)``."""
    counts: NDArray[np.int64]
    """Number of corners of each polygon."""
    normals: Floats
    """Unit normals; zero for two-sided polygons."""
    slot_of: NDArray[np.int64]
    """Index into ``slots`` of each polygon."""
    billboard: bool = False
    """Whether the piece always turns its x axis to the camera."""

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Index of the first corner of each polygon."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    @cached_property
    def radius(self) -> float:
        """Largest distance of a corner from the origin."""
        return float(np.sqrt((self.points**2).sum(axis=1)).max())


@dataclass(frozen=True, eq=False, slots=True)
class Decal:
    """A picture on a polygon."""

    face: int
    """Number of the polygon in its shape."""
    texture: Texture
    frame: tuple[tuple[float, float, float], ...] | None = None
    """Where the picture's top left, bottom left and top right are, in the shape's coordinates; None for a
    rectangle whose corners are top left, bottom left, bottom right, top right."""


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A shape at a place."""

    shape: Shape
    position: tuple[float, float, float]
    paints: tuple[Paint, ...]
    """One for each slot of the shape."""
    ident: int
    """Number that its pixels get."""
    yaw: float = 0.0
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    roughness: float = 0.03
    """Strength of the noise on it."""
    decals: tuple[Decal, ...] = ()


def build_shape(polygons: Iterable[Polygon], *, billboard: bool = False) -> Shape:
    """Join polygons into a shape, in painting order."""
    polygons = list(polygons)
    slots = tuple(dict.fromkeys(slot for slot, _, _ in polygons))
    corners = [np.asarray(points, np.float64) for _, points, _ in polygons]
    normals = [
        np.zeros(3) if both else normal_of(points)
        for points, (_, _, both) in zip(corners, polygons, strict=True)
    ]
    return Shape(
        slots=slots,
        points=np.concatenate(corners),
        counts=np.array([len(points) for points in corners]),
        normals=np.array(normals),
        slot_of=np.array([slots.index(slot) for slot, _, _ in polygons]),
        billboard=billboard,
    )


def normal_of(points: Floats) -> Floats:
    """Unit normal of a flat polygon whose corners turn counter-clockwise around it (Newell)."""
    following = np.roll(points, -1, axis=0)
    normal = 0.5 * np.cross(points, following).sum(axis=0)
    return np.asarray(normal / max(float(np.sqrt((normal**2).sum())), 1e-12))


def prism(
    profile: Sequence[tuple[float, float, float]], sides: str, strips: str | Sequence[str | None]
) -> list[Polygon]:
    """Polygons of a convex body that is symmetric about y = 0.

    Args:
        profile: Outline seen from the side: (x, z, half the width there).
        sides: Slot of the two outlines.
        strips: Slot of each polygon between outline points k and k + 1, None to leave it out.
    """
    names = [strips] * len(profile) if isinstance(strips, str) else list(strips)
    middle = np.array([(x, 0.0, z) for x, z, _ in profile]).mean(axis=0)
    polygons: list[tuple[str, list[tuple[float, float, float]]]] = []
    for k, name in enumerate(names):
        if name is not None:
            (x0, z0, w0), (x1, z1, w1) = profile[k], profile[(k + 1) % len(profile)]
            polygons.append((name, [(x0, -w0, z0), (x0, w0, z0), (x1, w1, z1), (x1, -w1, z1)]))
    for side in (-1.0, 1.0):
        polygons.append((sides, [(x, side * w, z) for x, z, w in profile]))
    return [(name, _outwards(points, middle), False) for name, points in polygons]


def _outwards(points: list[tuple[float, float, float]], middle: Floats) -> list[tuple[float, float, float]]:
    array = np.asarray(points)
    outside = normal_of(array) @ (array.mean(axis=0) - middle) >= 0
    return points if outside else points[::-1]


def box(x: tuple[float, float], half_width: float, z: tuple[float, float], slot: str) -> list[Polygon]:
    """Polygons of an upright box, symmetric about y = 0."""
    (x0, x1), (z0, z1), w = x, z, half_width
    return prism([(x0, z0, w), (x1, z0, w), (x1, z1, w), (x0, z1, w)], slot, slot)


def quad_across(
    slot: str, x: float, y: tuple[float, float], z: tuple[float, float], facing: float
) -> Polygon:
    """Rectangle across the x axis that is seen from ``facing`` x; corners start at its top left."""
    (y0, y1), (z0, z1) = y, z
    left, right = (y0, y1) if facing > 0 else (y1, y0)
    # Seen from outside, clockwise from the top left; then turned so that the order is counter-clockwise.
    return slot, [(x, left, z1), (x, left, z0), (x, right, z0), (x, right, z1)], False


def quad_along(slot: str, y: float, x: tuple[float, float], z: tuple[float, float], facing: float) -> Polygon:
    """Rectangle along the x axis that is seen from ``facing`` y."""
    (x0, x1), (z0, z1) = x, z
    left, right = (x1, x0) if facing > 0 else (x0, x1)
    return slot, [(left, y, z1), (left, y, z0), (right, y, z0), (right, y, z1)], False


def ring_points(center: tuple[float, float], radius: float, count: int) -> list[tuple[float, float]]:
    """Corners of a regular polygon, counter-clockwise."""
    return [
        (
            center[0] + radius * math.cos(2 * math.pi * (k + 0.5) / count),
            center[1] + radius * math.sin(2 * math.pi * (k + 0.5) / count),
        )
        for k in range(count)
    ]


def disc_along(
    slot: str, y: float, center: tuple[float, float], radius: float, facing: float, count: int = 10
) -> Polygon:
    """Regular polygon in the plane of x and z, seen from ``facing`` y."""
    ring = ring_points(center, radius, count)
    points = [(x, y, z) for x, z in (ring[::-1] if facing > 0 else ring)]
    return slot, points, False


def flat(slot: str, points: Sequence[tuple[float, float]], x: float = 0.0) -> Polygon:
    """Two-sided polygon in the plane of y and z."""
    return slot, [(x, y, z) for y, z in points], True


def mirrored(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points with the first coordinate negated."""
    return [(-y, z) for y, z in points]
