# SPDX-License-Identifier: MIT
"""Cars, buses, trucks, bicycles and motorcycles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from intern25.data.scenes.classes import COLORS
from intern25.data.scenes.geometry import (
    Paint,
    Piece,
    Polygon,
    Shape,
    box,
    build_shape,
    disc_along,
    flat,
    prism,
    quad_across,
    quad_along,
    ring_points,
)
from intern25.data.scenes.scene import SceneObject

Profile = tuple[tuple[float, float], ...]

_GLASS = (46.0, 58.0, 70.0, 0.0)
_TYRE = (22.0, 22.0, 24.0, 0.0)
_HUB = (150.0, 152.0, 156.0, 0.0)
_DARK = (34.0, 35.0, 38.0, 0.0)


@dataclass(frozen=True, slots=True)
class CarBody:
    """Outlines of a car seen from the right, x forward, in metres."""

    size: tuple[float, float, float]
    lower: Profile
    cabin: Profile
    """From the rear, over the roof, to the front."""
    wheels: tuple[float, float]
    radius: float


CARS = (
    # A saloon, a hatchback, an off-roader, a van.
    CarBody(
        (4.6, 1.8, 1.46),
        ((-2.3, 0.34), (-2.3, 0.82), (-2.15, 0.96), (1.0, 0.93), (2.05, 0.82), (2.3, 0.64), (2.3, 0.3)),
        ((-1.85, 0.95), (-1.1, 1.42), (0.25, 1.46), (1.15, 0.93)),
        (-1.4, 1.4),
        0.33,
    ),
    CarBody(
        (4.1, 1.78, 1.52),
        ((-2.05, 0.34), (-2.05, 0.95), (1.0, 0.95), (1.85, 0.84), (2.05, 0.66), (2.05, 0.3)),
        ((-2.0, 0.95), (-1.75, 1.46), (0.1, 1.52), (1.05, 0.95)),
        (-1.25, 1.3),
        0.33,
    ),
    CarBody(
        (4.6, 1.9, 1.76),
        ((-2.3, 0.42), (-2.3, 1.1), (1.1, 1.1), (2.15, 1.0), (2.3, 0.8), (2.3, 0.4)),
        ((-2.22, 1.1), (-2.05, 1.7), (0.35, 1.76), (1.2, 1.1)),
        (-1.4, 1.4),
        0.38,
    ),
    CarBody(
        (4.9, 1.95, 2.0),
        ((-2.45, 0.38), (-2.45, 1.05), (1.5, 1.05), (2.3, 0.92), (2.45, 0.7), (2.45, 0.36)),
        ((-2.45, 1.05), (-2.4, 1.95), (0.9, 2.0), (1.75, 1.05)),
        (-1.5, 1.55),
        0.36,
    ),
)


@cache
def car_shape(variant: int) -> Shape:
    """Shape of a car in metres."""
    body = CARS[variant % len(CARS)]
    half = body.size[1] / 2
    front, rear = body.lower[-1][0], body.lower[0][0]
    polygons = _tyre_ends(body.wheels, body.radius, half)
    polygons += prism([(x, z, half) for x, z in body.lower], "body", "body")
    polygons += _front_of_car(front, half, body.lower) + _rear_of_car(rear, half, body.lower)
    polygons += _wheels(body.wheels, body.radius, half)
    # The cabin stands on the lower body and the camera is above its floor: painted later is right.
    widths = (half * 0.94, half * 0.74, half * 0.74, half * 0.94)
    cabin = [(x, z, w) for (x, z), w in zip(body.cabin, widths, strict=True)]
    polygons += prism(cabin, "pillar", ("glass", "body", "glass", None))
    polygons += _side_windows(cabin)
    return build_shape(polygons)


def _side_windows(cabin: list[tuple[float, float, float]]) -> list[Polygon]:
    """Two windows on each side, a little inside the cabin's outline."""
    (x0, low, w0), (x1, high, w1), (x2, high2, _), (x3, _, _) = cabin
    bottom, top = 0.12, 0.86
    z0, z1 = low + bottom * (high - low), low + top * (min(high, high2) - low)
    y0, y1 = w0 + (w1 - w0) * bottom, w0 + (w1 - w0) * top
    rear = (x0 + (x1 - x0) * bottom + 0.12, x0 + (x1 - x0) * top + 0.12)
    front = (x3 + (x2 - x3) * bottom - 0.12, x3 + (x2 - x3) * top - 0.12)
    middle = 0.5 * (rear[1] + front[1])
    polygons: list[Polygon] = []
    for left, right in (((rear[0], rear[1]), (middle - 0.05,) * 2), ((middle + 0.05,) * 2, front)):
        corners = [(left[0], y0, z0), (right[0], y0, z0), (right[1], y1, z1), (left[1], y1, z1)]
        polygons.append(("glass", corners[::-1], False))
        polygons.append(("glass", [(x, -y, z) for x, y, z in corners], False))
    return polygons


def _front_of_car(x: float, half: float, lower: Profile) -> list[Polygon]:
    z = lower[-2][1]
    x += 0.01
    polygons = [
        quad_across("dark", x, (-0.62 * half, 0.62 * half), (z - 0.26, z - 0.1), 1),
        quad_across("plate", x, (-0.24, 0.24), (z - 0.3, z - 0.18), 1),
    ]
    for side in (-1, 1):
        y = sorted((side * 0.56 * half, side * 0.96 * half))
        polygons.append(quad_across("head", x, (y[0], y[1]), (z - 0.16, z + 0.02), 1))
    return polygons


def _rear_of_car(x: float, half: float, lower: Profile) -> list[Polygon]:
    z = lower[1][1]
    x -= 0.01
    polygons = [
        quad_across("plate", x, (-0.25, 0.25), (z - 0.26, z - 0.12), -1),
        quad_across("dark", x, (-0.9 * half, 0.9 * half), (lower[0][1], lower[0][1] + 0.12), -1),
    ]
    for side in (-1, 1):
        y = sorted((side * 0.6 * half, side * 0.98 * half))
        polygons.append(quad_across("tail", x, (y[0], y[1]), (z - 0.24, z - 0.03), -1))
    return polygons


def _wheels(places: tuple[float, ...], radius: float, half: float) -> list[Polygon]:
    polygons = []
    for side in (-1.0, 1.0):
        for x in places:
            center = (x, radius)
            polygons.append(disc_along("tyre", side * (half + 0.01), center, radius, side))
            polygons.append(disc_along("hub", side * (half + 0.02), center, 0.55 * radius, side, 8))
    return polygons


def _tyre_ends(places: tuple[float, ...], radius: float, half: float) -> list[Polygon]:
    """What is seen of the tyres below the bumpers."""
    polygons = []
    for facing, x in ((1.0, max(places)), (-1.0, min(places))):
        for side in (-1, 1):
            y = sorted((side * (half - 0.24), side * half))
            polygons.append(quad_across("tyre", x + facing * radius, (y[0], y[1]), (0, radius + 0.1), facing))
        polygons.append(quad_across("dark", x, (-half, half), (0.16, radius + 0.1), facing))
    return polygons


BUS_SIZE = (11.0, 2.5, 3.1)


@cache
def bus_shape() -> Shape:
    """Shape of a bus in metres."""
    length, width, height = BUS_SIZE
    front, half = length / 2, width / 2
    polygons = _tyre_ends((-3.3, 3.4), 0.48, half)
    polygons += box((-front, front), half, (0.35, height), "body")
    for side in (-1.0, 1.0):
        y = side * (half + 0.01)
        polygons.append(quad_along("stripe", y, (-front, front), (0.75, 1.05), side))
        for k in range(6):
            x = -front + 0.5 + k * 1.62
            polygons.append(quad_along("glass", y, (x, x + 1.45), (1.45, 2.5), side))
        polygons.append(quad_along("glass", y, (front - 0.85, front - 0.1), (1.2, 2.5), side))
    polygons += [
        quad_across("glass", front + 0.01, (-0.93 * half, 0.93 * half), (1.15, 2.45), 1),
        quad_across("board", front + 0.02, (-0.7 * half, 0.7 * half), (2.6, 2.95), 1),
        quad_across("dark", front + 0.01, (-half, half), (0.4, 0.6), 1),
        quad_across("glass", -front - 0.01, (-0.86 * half, 0.86 * half), (1.5, 2.5), -1),
        quad_across("stripe", -front - 0.01, (-half, half), (0.75, 1.05), -1),
        quad_across("board", -front - 0.02, (-0.4 * half, 0.4 * half), (2.65, 2.95), -1),
        quad_across("plate", -front - 0.02, (-0.3, 0.3), (0.55, 0.7), -1),
    ]
    for side in (-1, 1):
        ends = sorted((side * 0.62 * half, side * 0.93 * half))
        polygons.append(quad_across("head", front + 0.02, (ends[0], ends[1]), (0.7, 0.95), 1))
        polygons.append(quad_across("tail", -front - 0.02, (ends[0], ends[1]), (0.9, 1.35), -1))
    return build_shape(polygons + _wheels((-3.3, 3.4), 0.48, half))


TRUCK_SIZE = (8.0, 2.45, 3.3)
_CAB = 2.0


@cache
def cargo_shape() -> Shape:
    """Shape of the load of a truck; x = 0 is the middle of the whole truck."""
    length, width, height = TRUCK_SIZE
    rear, half = -length / 2, width / 2
    polygons = _tyre_ends((rear + 1.7, rear + 2.8), 0.48, half)
    polygons += box((rear, -rear - _CAB - 0.15), half, (0.85, height), "cargo")
    polygons += [
        quad_across("dark", rear - 0.01, (-half, half), (0.55, 0.85), -1),
        quad_across("seam", rear - 0.01, (-0.04, 0.04), (0.9, height - 0.06), -1),
        quad_across("plate", rear - 0.02, (-0.3, 0.3), (0.6, 0.74), -1),
    ]
    for side in (-1, 1):
        y = sorted((side * 0.62 * half, side * 0.95 * half))
        polygons.append(quad_across("tail", rear - 0.02, (y[0], y[1]), (0.6, 0.82), -1))
        x = (rear, -rear - _CAB)
        polygons.append(quad_along("dark", side * (half - 0.1), x, (0.5, 0.85), float(side)))
        polygons.append(
            quad_along("seam", side * (half + 0.01), (x[0] + 0.2, x[1] - 0.3), (1.0, 1.12), float(side))
        )
    return build_shape(polygons + _wheels((rear + 1.7, rear + 2.8), 0.48, half))


@cache
def cab_shape() -> Shape:
    """Shape of the cab of a truck; x = 0 is the middle of the whole truck."""
    length, width, _ = TRUCK_SIZE
    front, half = length / 2, width / 2 - 0.05
    rear = front - _CAB
    top = 2.75
    polygons = _tyre_ends((front - 1.0,), 0.48, half)
    outline = ((rear, 0.45), (rear, top), (front - 0.3, top), (front, 1.5), (front, 0.4))
    polygons += prism([(x, z, half) for x, z in outline], "body", ("body", "body", "body", "body", None))
    slant = [(front - 0.05, 1.62), (front - 0.27, 2.6)]
    wide = 0.9 * half
    (x0, z0), (x1, z1) = slant
    windscreen = [(x1, -wide, z1), (x0, -wide, z0), (x0, wide, z0), (x1, wide, z1)]
    polygons.append(("glass", [(x + 0.02, y, z) for x, y, z in windscreen], False))
    for side in (-1.0, 1.0):
        polygons.append(
            quad_along("glass", side * (half + 0.01), (rear + 0.7, front - 0.5), (1.65, 2.4), side)
        )
        y = sorted((side * 0.6 * half, side * 0.95 * half))
        polygons.append(quad_across("head", front + 0.01, (y[0], y[1]), (0.62, 0.86), 1))
    polygons.append(quad_across("dark", front + 0.01, (-0.55 * half, 0.55 * half), (0.95, 1.35), 1))
    polygons.append(quad_across("plate", front + 0.02, (-0.3, 0.3), (0.5, 0.64), 1))
    return build_shape(polygons + _wheels((front - 1.0,), 0.48, half))


@cache
def bicycle_shape() -> Shape:
    """Shape of a bicycle: a frame and wheels in one plane, a handlebar across it."""
    polygons: list[Polygon] = []
    for x in (-0.52, 0.52):
        outer, inner = ring_points((x, 0.34), 0.34, 14), ring_points((x, 0.34), 0.27, 14)
        ring = [*outer, outer[0], inner[0], *inner[::-1]]
        polygons.append(("tyre", [(px, 0.0, pz) for px, pz in ring], True))
    for ends in (
        ((-0.52, 0.34), (-0.15, 0.82)),
        ((-0.15, 0.82), (0.4, 0.8)),
        ((-0.1, 0.34), (0.4, 0.8)),
        ((-0.52, 0.34), (-0.1, 0.34)),
        ((-0.1, 0.34), (-0.2, 0.92)),
        ((0.52, 0.34), (0.36, 1.02)),
    ):
        polygons.append(_bar("body", *ends))
    polygons.append(_bar("tyre", (-0.33, 0.93), (-0.05, 0.93)))
    handle = [(0.36, -0.28, 1.0), (0.36, 0.28, 1.0), (0.36, 0.28, 1.06), (0.36, -0.28, 1.06)]
    polygons.append(("tyre", handle, True))
    return build_shape(polygons)


def _bar(slot: str, start: tuple[float, float], end: tuple[float, float]) -> Polygon:
    """A tube of a frame in the plane y = 0."""
    (x0, z0), (x1, z1) = start, end
    length = ((x1 - x0) ** 2 + (z1 - z0) ** 2) ** 0.5
    dx, dz = -(z1 - z0) / length * 0.03, (x1 - x0) / length * 0.03
    corners = [(x0 + dx, z0 + dz), (x1 + dx, z1 + dz), (x1 - dx, z1 - dz), (x0 - dx, z0 - dz)]
    return slot, [(x, 0.0, z) for x, z in corners], True


@cache
def wheel_end_shape(half: float, radius: float) -> Shape:
    """Tyre seen from the front or the rear."""
    return build_shape(
        [flat("tyre", [(-half, 0), (half, 0), (half, 2 * radius), (-half, 2 * radius)])], billboard=True
    )


@cache
def motorcycle_shape() -> Shape:
    """Shape of a motorcycle."""
    polygons: list[Polygon] = []
    for side in (-1.0, 1.0):
        for x in (-0.68, 0.68):
            polygons.append(disc_along("tyre", side * 0.09, (x, 0.32), 0.32, side, 12))
            polygons.append(disc_along("hub", side * 0.1, (x, 0.32), 0.16, side, 8))
    outline = ((-0.95, 0.78), (-0.85, 0.62), (-0.3, 0.35), (0.3, 0.35), (0.5, 0.7), (0.45, 0.98), (0.1, 0.95))
    polygons += prism([(x, z, 0.16) for x, z in outline], "body", "body")
    seat = ((-0.9, 0.8), (-0.9, 0.9), (0.05, 0.95), (0.1, 0.83))
    polygons += prism([(x, z, 0.17) for x, z in seat], "dark", "dark")
    handle = [(0.45, -0.36, 1.0), (0.45, 0.36, 1.0), (0.45, 0.36, 1.08), (0.45, -0.36, 1.08)]
    polygons.append(("dark", handle, True))
    polygons.append(quad_across("head", 0.56, (-0.13, 0.13), (0.75, 1.0), 1))
    polygons.append(quad_across("tail", -0.96, (-0.12, 0.12), (0.66, 0.8), -1))
    return build_shape(polygons)


def vehicle_pieces(thing: SceneObject, ident: int, lamps: bool) -> list[Piece]:
    """Pieces of a vehicle; ``lamps`` says whether its lights are on."""
    if thing.kind == "car":
        size = CARS[thing.variant % len(CARS)].size
        return [_piece(thing, ident, car_shape(thing.variant % len(CARS)), size, lamps)]
    if thing.kind == "bus":
        return [_piece(thing, ident, bus_shape(), BUS_SIZE, lamps)]
    if thing.kind == "truck":
        return [_piece(thing, ident, shape, TRUCK_SIZE, lamps) for shape in (cargo_shape(), cab_shape())]
    if thing.kind == "bicycle":
        size, shape, tyre = (1.72, 0.56, 1.06), bicycle_shape(), wheel_end_shape(0.04, 0.34)
    else:
        size, shape, tyre = (2.0, 0.72, 1.08), motorcycle_shape(), wheel_end_shape(0.1, 0.32)
    return [_piece(thing, ident, tyre, size, lamps), _piece(thing, ident, shape, size, lamps)]


def _piece(
    thing: SceneObject, ident: int, shape: Shape, size: tuple[float, float, float], lamps: bool
) -> Piece:
    color = COLORS[thing.color or "grey"]
    r, g, b = color
    light = 0.299 * r + 0.587 * g + 0.114 * b
    stripe = (40.0, 70.0, 150.0) if light > 150 else (228.0, 228.0, 224.0)
    slots: dict[str, Paint] = {
        "body": (r, g, b, 0.0),
        "pillar": (r * 0.75, g * 0.75, b * 0.75, 0.0),
        "cargo": (r * 0.9 + 14, g * 0.9 + 14, b * 0.9 + 14, 0.0),
        "seam": (r * 0.6, g * 0.6, b * 0.6, 0.0),
        "stripe": (*stripe, 0.0),
        "glass": (190.0, 176.0, 120.0, 0.5) if lamps and thing.kind == "bus" else _GLASS,
        "tyre": _TYRE,
        "hub": _HUB,
        "dark": _DARK,
        "plate": (60.0, 96.0, 190.0, 0.1 if lamps else 0.0),
        "head": (255.0, 250.0, 225.0, 1.0) if lamps else (214.0, 222.0, 228.0, 0.0),
        "tail": (255.0, 40.0, 34.0, 1.0) if lamps else (150.0, 18.0, 20.0, 0.1),
        "board": (255.0, 140.0, 30.0, 0.9) if lamps else (190.0, 104.0, 24.0, 0.4),
    }
    return Piece(
        shape=shape,
        position=(thing.center[0], thing.center[1], thing.center[2] - thing.size[2] / 2),
        paints=tuple(slots[slot] for slot in shape.slots),
        ident=ident,
        yaw=thing.yaw,
        scale=(thing.size[0] / size[0], thing.size[1] / size[1], thing.size[2] / size[2]),
        roughness=0.015,
    )
