# SPDX-License-Identifier: MIT
"""Buildings, trees, poles, fences and what else stands beside a road."""

from __future__ import annotations

import random
from functools import cache

from intern25.data.scenes.classes import BUILDING, FENCE, POLE, TREE
from intern25.data.scenes.facades import FACADES, SHOP_HEIGHT, facade_texture, shop_texture
from intern25.data.scenes.geometry import (
    Decal,
    Paint,
    Piece,
    Polygon,
    Shape,
    box,
    build_shape,
    flat,
    prism,
    quad_across,
    quad_along,
    ring_points,
)
from intern25.data.scenes.scene import Scene, Scenery

_WALLS = (
    (158, 96, 74),
    (186, 172, 148),
    (206, 200, 188),
    (140, 120, 104),
    (176, 132, 96),
    (150, 152, 156),
    (214, 206, 180),
    (122, 84, 70),
    (190, 150, 130),
    (112, 122, 132),
)
_LEAVES = ((52, 88, 40), (66, 104, 44), (44, 78, 48), (92, 108, 46), (74, 92, 52))
_AUTUMN = (150, 104, 40)
_SNOW: Paint = (232.0, 236.0, 242.0, 0.0)


def scenery_pieces(thing: Scenery, scene: Scene, lamps: bool) -> list[Piece]:
    """Pieces of one thing beside the road."""
    if thing.kind == "building":
        return _building(thing, scene, lamps)
    if thing.kind in ("tree", "bush"):
        return [_tree(thing, scene)]
    if thing.kind == "portal":
        return [_portal(thing)]
    shape, ident, paints = _simple(thing, scene, lamps)
    return [
        Piece(
            shape=shape,
            position=(*thing.center, thing.base),
            paints=tuple(paints[slot] for slot in shape.slots),
            ident=ident,
            yaw=thing.yaw,
            scale=_scale(thing),
            roughness=0.06 if thing.kind == "hill" else 0.02,
        )
    ]


def _scale(thing: Scenery) -> tuple[float, float, float]:
    if thing.kind in ("fence", "lamp"):
        return 1.0, 1.0, thing.size[2]
    return thing.size


def _simple(thing: Scenery, scene: Scene, lamps: bool) -> tuple[Shape, int, dict[str, Paint]]:
    """Shape, ident and paints of what has one shape."""
    steel: Paint = (118.0, 122.0, 126.0, 0.0)
    paints: dict[str, Paint] = {
        "steel": steel if thing.variant % 3 else (66.0, 72.0, 74.0, 0.0),
        "bulb": (255.0, 226.0, 160.0, 1.0) if lamps else (200.0, 204.0, 206.0, 0.0),
        "bars": (170.0, 174.0, 178.0, 0.0) if thing.variant % 2 else (58.0, 78.0, 62.0, 0.0),
        "wall": (168.0, 168.0, 164.0, 0.0),
        "slope": _SNOW if scene.weather == "snow" else (86.0, 106.0, 78.0, 0.0),
    }
    if thing.kind == "fence":
        return fence_shape(max(round(thing.size[0] / 2.5), 1), thing.size[0]), FENCE, paints
    if thing.kind == "barrier":
        return _bar_shape("wall"), FENCE, paints
    if thing.kind == "hill":
        return _hill_shape(thing.variant % 6), TREE, paints
    if thing.kind == "lamp":
        return _lamp_shape(thing.size[1]), POLE, paints
    if thing.kind == "arm":
        return _bar_shape("steel"), POLE, paints
    return _pole_shape(), POLE, paints


@cache
def _walls_shape() -> Shape:
    """Unit box from the ground up: four walls, then the roof."""
    polygons = [
        quad_along("wall", -0.5, (-0.5, 0.5), (0.0, 1.0), -1),
        quad_along("wall", 0.5, (-0.5, 0.5), (0.0, 1.0), 1),
        quad_across("wall", -0.5, (-0.5, 0.5), (0.0, 1.0), -1),
        quad_across("wall", 0.5, (-0.5, 0.5), (0.0, 1.0), 1),
        ("roof", [(-0.5, -0.5, 1.0), (0.5, -0.5, 1.0), (0.5, 0.5, 1.0), (-0.5, 0.5, 1.0)], False),
    ]
    return build_shape(polygons)


@cache
def _gable_shape() -> Shape:
    """Roof with its ridge along x, above a unit square."""
    eaves = 0.54
    left = [(-0.5, eaves, 0.0), (-0.5, 0.0, 1.0), (0.5, 0.0, 1.0), (0.5, eaves, 0.0)]
    right = [(x, -y, z) for x, y, z in left[::-1]]
    front = [(-0.5, 0.5, 0.0), (-0.5, -0.5, 0.0), (-0.5, 0.0, 0.92)]
    back = [(0.5, y, z) for _, y, z in front[::-1]]
    return build_shape(
        [("wall", front, False), ("wall", back, False), ("roof", left, False), ("roof", right, False)]
    )


def _building(thing: Scenery, scene: Scene, lamps: bool) -> list[Piece]:
    length, depth, height = thing.size
    variant = thing.variant
    r, g, b = _WALLS[variant % len(_WALLS)]
    wall: Paint = (r, g, b, 0.0)
    roof: Paint = _SNOW if scene.weather == "snow" else (98.0, 74.0, 66.0, 0.0)
    windows = facade_texture(variant // 10 % FACADES, lamps)

    def piece(
        shape: Shape, base: float, size: tuple[float, float, float], decals: tuple[Decal, ...]
    ) -> Piece:
        return Piece(
            shape=shape,
            position=(*thing.center, base),
            paints=tuple({"wall": wall, "roof": roof}[slot] for slot in shape.slots),
            ident=BUILDING,
            yaw=thing.yaw,
            scale=size,
            roughness=0.05,
            decals=decals,
        )

    walls = _walls_shape()
    pieces = [piece(walls, 0.0, thing.size, tuple(Decal(side, windows) for side in range(4)))]
    if variant % 3 == 0:
        shops = shop_texture(variant // 3 % 6, lamps)
        size = (length + 0.1, depth + 0.1, SHOP_HEIGHT)
        pieces.append(piece(walls, 0.0, size, tuple(Decal(side, shops) for side in range(4))))
    if height < 12 and variant % 2:
        pieces.append(piece(_gable_shape(), height, (length, depth, min(0.35 * depth, 4.0)), ()))
    return pieces


@cache
def _crown_shape(kind: int) -> Shape:
    """Tree of unit height and width: 0 to 5 leafy, 6 and 7 a fir, 8 and 9 bare, 10 and 11 a bush."""
    r = random.Random(kind)
    if kind >= 10:
        return build_shape(_blobs(r, 0.46, 0.5, 4), billboard=True)
    if kind >= 8:
        return build_shape(_branches(r), billboard=True)
    trunk = flat("trunk", [(-0.035, 0.0), (0.035, 0.0), (0.02, 0.5), (-0.02, 0.5)])
    if kind >= 6:
        tiers: list[Polygon] = [trunk]
        for k, slot in enumerate(("dark", "leaf", "dark", "leaf")):
            z, half = 0.12 + 0.2 * k, 0.5 - 0.11 * k
            tiers.append(flat(slot, [(-half, z), (0.3 * half, z - 0.03), (half, z), (0.0, z + 0.36)]))
        return build_shape(tiers, billboard=True)
    return build_shape([trunk, *_blobs(r, 0.66, 0.34, 6)], billboard=True)


def _blobs(r: random.Random, z: float, half_height: float, count: int) -> list[Polygon]:
    """A dark cloud with lighter ones in its upper part."""
    polygons = [flat("dark", _blob(r, 0.0, z, 0.5, half_height, 14))]
    for k in range(count):
        y, up = r.uniform(-0.26, 0.26), r.uniform(-0.35, 0.55) * half_height
        size = r.uniform(0.32, 0.5)
        slot = "light" if k * 2 > count else "leaf"
        polygons.append(flat(slot, _blob(r, y, z + up, 0.5 * size, half_height * size, 9)))
    return polygons


def _blob(
    r: random.Random, y: float, z: float, half_width: float, half_height: float, count: int
) -> list[tuple[float, float]]:
    points = []
    for dy, dz in ring_points((0.0, 0.0), 1.0, count):
        radius = r.uniform(0.78, 1.0)
        points.append((y + half_width * radius * dy, z + half_height * radius * dz))
    return points


def _branches(r: random.Random) -> list[Polygon]:
    polygons = [flat("trunk", [(-0.03, 0.0), (0.03, 0.0), (0.012, 0.8), (-0.012, 0.8)])]
    for k in range(13):
        z = 0.25 + 0.05 * k
        side = 1 if k % 2 else -1
        reach, rise = r.uniform(0.2, 0.48) * (1.2 - 0.6 * z), r.uniform(0.12, 0.3)
        end = (side * reach, min(z + rise, 1.0))
        polygons.append(flat("trunk", [(0.0, z), (0.0, z + 0.03), (end[0], end[1] + 0.01), end]))
        for part in (0.45, 0.7):
            y, up = part * end[0], z + part * (end[1] - z)
            twig = (y + side * r.uniform(-0.05, 0.14), min(up + r.uniform(0.08, 0.2), 1.0))
            polygons.append(flat("trunk", [(y, up), (y, up + 0.02), twig]))
    return polygons


def _tree(thing: Scenery, scene: Scene) -> Piece:
    kind = 10 + thing.variant % 2 if thing.kind == "bush" else thing.variant % 10
    shape = _crown_shape(kind)
    r, g, b = _LEAVES[thing.variant // 10 % len(_LEAVES)]
    if thing.variant // 50 % 9 == 8:
        r, g, b = _AUTUMN
    if scene.weather == "snow" and kind < 8:
        r, g, b = (r + 150) // 2, (g + 160) // 2, (b + 170) // 2
    slots: dict[str, Paint] = {
        "trunk": (74.0, 60.0, 48.0, 0.0)
        if scene.weather != "snow" or kind < 8
        else (110.0, 104.0, 102.0, 0.0),
        "dark": (r * 0.72, g * 0.72, b * 0.72, 0.0),
        "leaf": (r, g, b, 0.0),
        "light": (0.5 * r + 100, 0.5 * g + 104, 0.5 * b + 110, 0.0)
        if scene.weather == "snow"
        else (min(r * 1.35, 255), min(g * 1.3, 255), b * 1.15, 0.0),
    }
    return Piece(
        shape=shape,
        position=(*thing.center, thing.base),
        paints=tuple(slots[slot] for slot in shape.slots),
        ident=TREE,
        scale=(1.0, thing.size[1], thing.size[2]),
        roughness=0.16,
    )


@cache
def _pole_shape() -> Shape:
    return build_shape([flat("steel", [(-0.5, 0.0), (0.5, 0.0), (0.5, 1.0), (-0.5, 1.0)])], billboard=True)


@cache
def _bar_shape(slot: str) -> Shape:
    """Unit box from its foot up."""
    return build_shape(box((-0.5, 0.5), 0.5, (0.0, 1.0), slot))


@cache
def _lamp_shape(reach: float) -> Shape:
    """Street lamp of unit height whose arm goes ``reach`` metres to +y."""
    post = [(0.0, -0.07, 0.0), (0.0, 0.07, 0.0), (0.0, 0.04, 1.0), (0.0, -0.04, 1.0)]
    arm = [(0.0, 0.0, 0.985), (0.0, reach, 0.995), (0.0, reach, 1.0), (0.0, 0.0, 1.0)]
    middle = reach
    head = prism(
        [(-0.15, 0.975, 0.35), (0.15, 0.975, 0.35), (0.15, 0.995, 0.35), (-0.15, 0.995, 0.35)], "bulb", "bulb"
    )
    moved = [(slot, [(x, y + middle, z) for x, y, z in points], both) for slot, points, both in head]
    across = [(y, x, z) for x, y, z in post]
    return build_shape([("steel", post, True), ("steel", across, True), ("steel", arm, True), *moved])


@cache
def fence_shape(spans: int, length: float) -> Shape:
    """Railing of unit height along x."""
    step = length / spans
    polygons: list[Polygon] = []
    for z in (0.2, 0.55, 0.94):
        rail = [
            (-length / 2, 0.0, z),
            (length / 2, 0.0, z),
            (length / 2, 0.0, z + 0.06),
            (-length / 2, 0.0, z + 0.06),
        ]
        polygons.append(("bars", rail, True))
    for k in range(spans + 1):
        x = -length / 2 + k * step
        polygons.append(
            (
                "bars",
                [(x - 0.04, 0.0, 0.0), (x + 0.04, 0.0, 0.0), (x + 0.04, 0.0, 1.0), (x - 0.04, 0.0, 1.0)],
                True,
            )
        )
    for k in range(4 * spans):
        x = -length / 2 + k * step / 4
        polygons.append(
            (
                "bars",
                [
                    (x - 0.015, 0.0, 0.2),
                    (x + 0.015, 0.0, 0.2),
                    (x + 0.015, 0.0, 0.94),
                    (x - 0.015, 0.0, 0.94),
                ],
                True,
            )
        )
    return build_shape(polygons)


@cache
def _hill_shape(kind: int) -> Shape:
    """Far hill of unit width and height."""
    r = random.Random(50 + kind)
    ridge = [(0.5 - k / 12, 0.25 + 0.75 * r.random() * (1 - abs(k / 6 - 1) ** 2)) for k in range(13)]
    return build_shape([flat("slope", [(-0.5, -0.1), (0.5, -0.1), *ridge])], billboard=True)


def _portal(thing: Scenery) -> Piece:
    """Mouth of a tunnel: a wall, a dark opening as wide as ``size`` says, lamps inside."""
    shape = _portal_shape(round(thing.size[1], 2), round(thing.size[2], 2))
    paints: dict[str, Paint] = {
        "wall": (150.0, 146.0, 138.0, 0.0),
        "rim": (196.0, 192.0, 184.0, 0.0),
        "dark": (16.0, 15.0, 16.0, 0.3),
        "lamp": (255.0, 206.0, 120.0, 1.0),
        "inside": (44.0, 42.0, 40.0, 0.5),
    }
    return Piece(
        shape=shape,
        position=(*thing.center, thing.base),
        paints=tuple(paints[slot] for slot in shape.slots),
        ident=BUILDING,
        yaw=thing.yaw,
        roughness=0.05,
    )


@cache
def _portal_shape(width: float, height: float) -> Shape:
    half = width / 2
    arch = [(-half, 0.0), (half, 0.0), (half, 0.7 * height), (0.6 * half, 0.95 * height)]
    arch += [(0.0, height), (-0.6 * half, 0.95 * height), (-half, 0.7 * height)]
    rim = [(y * 1.1, z * 1.08 if z else 0.0) for y, z in arch]
    top = height + 3.5
    polygons = [
        flat("wall", [(-half - 18, 0.0), (half + 18, 0.0), (half + 14, top), (-half - 14, top)]),
        flat("rim", rim),
        flat("dark", arch),
    ]
    for depth in (34.0, 24.0, 16.0, 10.0, 6.0):
        floor = [
            (depth, -half, 0.02),
            (depth, half, 0.02),
            (depth * 0.6, half, 0.02),
            (depth * 0.6, -half, 0.02),
        ]
        if depth > 6.0:
            polygons.append(("inside", floor, True))
        for y in (-0.45 * half, 0.45 * half):
            z = 0.86 * height
            lamp = [
                (depth, y - 0.3, z),
                (depth, y + 0.3, z),
                (depth + 2, y + 0.3, z),
                (depth + 2, y - 0.3, z),
            ]
            polygons.append(("lamp", lamp, True))
    return build_shape(polygons)
