# SPDX-License-Identifier: MIT
"""People and animals."""

from __future__ import annotations

from functools import cache

from intern25.data.scenes.classes import COLORS
from intern25.data.scenes.geometry import (
    Paint,
    Piece,
    Polygon,
    Shape,
    box,
    build_shape,
    flat,
    mirrored,
    prism,
    ring_points,
)
from intern25.data.scenes.scene import SceneObject

_SKINS = ((226, 184, 150), (198, 150, 112), (142, 96, 66), (240, 200, 170))
_HAIRS = ((26, 22, 20), (60, 40, 26), (120, 116, 112), (36, 26, 22))
_TROUSERS = ((38, 44, 70), (30, 30, 34), (92, 86, 76), (60, 70, 96))
PERSON_SIZE = (0.4, 0.6, 1.72)
RIDER_FOOT = 0.42
"""Height of a rider's feet above the road, metres."""


@cache
def person_shape(pose: int) -> Shape:
    """Shape of a person who walks (0), stands (1) or rides (2), seen from anywhere, 1.72 m."""
    polygons: list[Polygon] = []
    if pose == 0:
        polygons.append(flat("trousers", [(-0.16, 0.02), (-0.30, 0.06), (-0.17, 0.86), (0.04, 0.86)]))
        polygons.append(flat("trousers", [(0.2, 0.0), (0.33, 0.03), (0.17, 0.86), (-0.06, 0.86)]))
        polygons.append(flat("shoe", [(-0.31, 0.0), (-0.15, 0.0), (-0.15, 0.08), (-0.3, 0.1)]))
        polygons.append(flat("shoe", [(0.2, 0.0), (0.4, 0.0), (0.36, 0.08), (0.2, 0.08)]))
    else:
        leg = [(0.03, 0.0), (0.16, 0.0), (0.19, 0.86), (0.0, 0.86)]
        shoe = [(0.02, 0.0), (0.19, 0.0), (0.18, 0.09), (0.02, 0.09)]
        for points in (leg, mirrored(leg)):
            polygons.append(flat("trousers", points))
        for points in (shoe, mirrored(shoe)):
            polygons.append(flat("shoe", points))
    arm = [(0.2, 1.42), (0.27, 1.36), (0.33, 0.82), (0.25, 0.8), (0.19, 1.2)]
    torso = [(-0.19, 0.8), (0.19, 0.8), (0.21, 1.38), (0.12, 1.46), (-0.12, 1.46), (-0.21, 1.38)]
    hand = ring_points((0.29, 0.79), 0.05, 6)
    for points in (arm, mirrored(arm)):
        polygons.append(flat("sleeve", points))
    for points in (hand, mirrored(hand)):
        polygons.append(flat("skin", points))
    polygons.append(flat("top", torso))
    polygons.append(flat("skin", [(-0.05, 1.42), (0.05, 1.42), (0.05, 1.52), (-0.05, 1.52)]))
    polygons.append(flat("skin", ring_points((0.0, 1.59), 0.125, 10)))
    hair = [(0.125, 1.58), (0.12, 1.66), (0.06, 1.72), (-0.06, 1.72), (-0.12, 1.66), (-0.125, 1.58)]
    polygons.append(flat("hair", [*hair, (-0.08, 1.64), (0.08, 1.64)]))
    return build_shape(polygons, billboard=True)


def person_pieces(thing: SceneObject, ident: int) -> list[Piece]:
    """Pieces of a person."""
    r, g, b = COLORS[thing.color or "grey"]
    variant = thing.variant
    hair = (236, 180, 30) if thing.riding and variant % 2 else _HAIRS[variant % len(_HAIRS)]
    slots: dict[str, Paint] = {
        "top": (r, g, b, 0.0),
        "sleeve": (r * 0.82, g * 0.82, b * 0.82, 0.0),
        "trousers": (*_TROUSERS[variant // 2 % len(_TROUSERS)], 0.0),
        "shoe": (30.0, 28.0, 28.0, 0.0),
        "skin": (*_SKINS[variant // 3 % len(_SKINS)], 0.0),
        "hair": (*hair, 0.0),
    }
    shape = person_shape(2 if thing.riding else variant % 2)
    height = thing.size[2] / PERSON_SIZE[2]
    width = thing.size[1] / PERSON_SIZE[1]
    foot = thing.center[2] - thing.size[2] / 2
    return [
        Piece(
            shape=shape,
            position=(thing.center[0], thing.center[1], foot),
            paints=tuple(slots[slot] for slot in shape.slots),
            ident=ident,
            scale=(1.0, width, height),
            roughness=0.02,
        )
    ]


def _legs(places: tuple[float, float], half: float, top: float, width: float, slot: str) -> list[Polygon]:
    polygons: list[Polygon] = []
    for y in (-half + width / 2, half - width / 2):
        for x in places:
            for slot_, points, both in box((x - width / 2, x + width / 2), width / 2, (0, top), slot):
                polygons.append((slot_, [(px, py + y, pz) for px, py, pz in points], both))
    return polygons


@cache
def dog_shape() -> Shape:
    """Shape of a dog, 1.0 x 0.28 x 0.72 m."""
    polygons = _legs((-0.3, 0.26), 0.13, 0.4, 0.09, "shade")
    tail = [(-0.36, 0.52), (-0.5, 0.72), (-0.44, 0.72), (-0.3, 0.56)]
    polygons.append(("coat", [(x, 0.0, z) for x, z in tail], True))
    body = ((-0.36, 0.36), (-0.38, 0.54), (-0.2, 0.58), (0.28, 0.58), (0.36, 0.46), (0.3, 0.32), (-0.1, 0.33))
    polygons += prism([(x, z, 0.14) for x, z in body], "coat", "coat")
    neck = ((0.2, 0.5), (0.22, 0.62), (0.34, 0.72), (0.44, 0.6), (0.34, 0.46))
    polygons += prism([(x, z, 0.1) for x, z in neck], "coat", "coat")
    head = ((0.26, 0.6), (0.28, 0.72), (0.4, 0.74), (0.52, 0.66), (0.52, 0.58), (0.36, 0.54))
    polygons += prism([(x, z, 0.1) for x, z in head], "coat", "coat")
    for side in (-1.0, 1.0):
        ear = [(0.28, 0.72), (0.36, 0.72), (0.33, 0.54)]
        polygons.append(("shade", [(x, side * 0.11, z) for x, z in ear], True))
    polygons.append(
        ("dark", [(0.525, -0.05, 0.6), (0.525, 0.05, 0.6), (0.525, 0.05, 0.66), (0.525, -0.05, 0.66)], True)
    )
    return build_shape(polygons)


@cache
def cat_shape() -> Shape:
    """Shape of a cat, 0.56 x 0.18 x 0.44 m."""
    polygons = _legs((-0.15, 0.14), 0.075, 0.2, 0.055, "shade")
    tail = [(-0.2, 0.26), (-0.27, 0.4), (-0.24, 0.44), (-0.2, 0.42), (-0.15, 0.28)]
    polygons.append(("coat", [(x, 0.0, z) for x, z in tail], True))
    body = ((-0.2, 0.17), (-0.22, 0.27), (-0.1, 0.31), (0.16, 0.29), (0.2, 0.2), (0.1, 0.15))
    polygons += prism([(x, z, 0.08) for x, z in body], "coat", "coat")
    head = ((0.13, 0.28), (0.14, 0.37), (0.22, 0.38), (0.28, 0.33), (0.25, 0.26))
    polygons += prism([(x, z, 0.075) for x, z in head], "coat", "coat")
    for side in (-1.0, 1.0):
        ear = [(0.15, 0.36), (0.21, 0.37), (0.18, 0.44)]
        polygons.append(("shade", [(x, side * 0.05, z) for x, z in ear], True))
    return build_shape(polygons)


@cache
def cow_shape() -> Shape:
    """Shape of a cow, 2.3 x 0.7 x 1.5 m."""
    polygons = _legs((-0.75, 0.6), 0.3, 0.75, 0.17, "shade")
    tail = [(-0.95, 1.25), (-1.05, 0.7), (-1.0, 0.6), (-0.94, 0.72), (-0.88, 1.28)]
    polygons.append(("shade", [(x, 0.0, z) for x, z in tail], True))
    body = ((-0.95, 0.72), (-0.98, 1.25), (-0.85, 1.36), (0.7, 1.36), (0.82, 1.1), (0.6, 0.66), (-0.4, 0.62))
    polygons += prism([(x, z, 0.34) for x, z in body], "coat", "coat")
    patches = (
        ((-0.7, 0.95), (-0.4, 0.85), (-0.15, 1.1), (-0.35, 1.3), (-0.72, 1.28)),
        ((0.15, 0.9), (0.5, 0.85), (0.62, 1.15), (0.3, 1.3), (0.1, 1.15)),
    )
    for points in patches:
        polygons.append(("patch", [(x, -0.35, z) for x, z in points], False))
        polygons.append(("patch", [(x, 0.35, z) for x, z in points[::-1]], False))
    neck = ((0.55, 0.95), (0.6, 1.36), (0.95, 1.42), (1.0, 1.15), (0.8, 0.95))
    polygons += prism([(x, z, 0.18) for x, z in neck], "coat", "coat")
    head = ((0.82, 1.15), (0.86, 1.42), (1.02, 1.45), (1.26, 1.14), (1.22, 1.0), (1.08, 0.98))
    polygons += prism([(x, z, 0.15) for x, z in head], "coat", "coat")
    for side in (-1.0, 1.0):
        horn = [(0.88, side * 0.12, 1.42), (0.96, side * 0.12, 1.43), (0.94, side * 0.26, 1.56)]
        ear = [(0.86, side * 0.15, 1.34), (0.94, side * 0.15, 1.38), (0.86, side * 0.34, 1.36)]
        polygons += [("horn", horn, True), ("shade", ear, True)]
    polygons.append(
        ("muzzle", [(1.27, -0.13, 1.0), (1.27, 0.13, 1.0), (1.28, 0.13, 1.14), (1.28, -0.13, 1.14)], True)
    )
    return build_shape(polygons)


ANIMAL_SIZES = {"dog": (1.02, 0.28, 0.74), "cat": (0.56, 0.18, 0.44), "cow": (2.32, 0.7, 1.56)}


def animal_pieces(thing: SceneObject, ident: int) -> list[Piece]:
    """Pieces of a dog, a cat or a cow."""
    shapes = {"dog": dog_shape, "cat": cat_shape, "cow": cow_shape}
    shape = shapes[thing.kind]()
    r, g, b = COLORS[thing.color or "brown"]
    slots: dict[str, Paint] = {
        "coat": (r, g, b, 0.0),
        "shade": (r * 0.74, g * 0.74, b * 0.74, 0.0),
        "dark": (26.0, 22.0, 20.0, 0.0),
        "patch": (34.0, 30.0, 30.0, 0.0) if thing.color == "white" else (236.0, 232.0, 224.0, 0.0),
        "horn": (214.0, 204.0, 176.0, 0.0),
        "muzzle": (214.0, 160.0, 150.0, 0.0),
    }
    size = ANIMAL_SIZES[thing.kind]
    return [
        Piece(
            shape=shape,
            position=(thing.center[0], thing.center[1], thing.center[2] - thing.size[2] / 2),
            paints=tuple(slots[slot] for slot in shape.slots),
            ident=ident,
            yaw=thing.yaw,
            scale=(thing.size[0] / size[0], thing.size[1] / size[1], thing.size[2] / size[2]),
            roughness=0.03,
        )
    ]
