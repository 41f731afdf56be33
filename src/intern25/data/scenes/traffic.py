# SPDX-License-Identifier: MIT
"""Draw vehicles, people and animals on a road."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from intern25.data.scenes.config import SceneConfig, weighted
from intern25.data.scenes.creatures import ANIMAL_SIZES, RIDER_FOOT
from intern25.data.scenes.roads import beside, free_of_junction
from intern25.data.scenes.scene import Point, Road, SceneObject
from intern25.data.scenes.vehicles import BUS_SIZE, CARS, TRUCK_SIZE

_KINDS = (("car", 0.72), ("bus", 0.09), ("truck", 0.11), ("motorcycle", 0.08))
_CAR_COLORS = ("red", "blue", "white", "black", "yellow", "green", "grey", "white", "grey", "red", "blue")
_BUS_COLORS = ("red", "blue", "white", "yellow", "green", "orange")
_CLOTHES = ("red", "blue", "white", "black", "yellow", "green", "grey", "orange")
_COATS = {
    "dog": ("brown", "black", "white", "orange"),
    "cat": ("grey", "black", "white", "orange"),
    "cow": ("brown", "black", "white", "white"),
}


def sample_traffic(r: Random, road: Road, config: SceneConfig) -> list[SceneObject]:
    """Draw everything that moves."""
    things: list[SceneObject] = []
    density = r.uniform(*config.traffic)
    for vehicle in _vehicles(r, road, density, config.far):
        things += _with_rider(r, vehicle)
    if road.kind in ("street", "junction"):
        if r.random() < 0.4:
            things += _parked(r, road)
        for bicycle in _bicycles(r, road):
            things += _with_rider(r, bicycle)
        if r.random() < config.people:
            things += _walkers(r, road)
        if road.crossing is not None and r.random() < 0.5:
            things += _crossing_people(r, road, road.crossing)
    if r.random() < config.animals:
        things.append(_animal(r, road))
    return _apart(things)


def _apart(things: list[SceneObject]) -> list[SceneObject]:
    """Drop what stands inside something before it in the list; riders stay with their wheels."""
    kept: list[SceneObject] = []
    dropped_before = False
    for thing in things:
        if thing.riding:
            if not dropped_before:
                kept.append(thing)
            continue
        reach = 0.5 * max(thing.size[0], thing.size[1])
        dropped_before = any(
            abs(thing.center[0] - other.center[0]) < reach + 0.5 * max(other.size[0], other.size[1])
            and abs(thing.center[1] - other.center[1]) < 0.55 * (thing.size[1] + other.size[1])
            for other in kept
            if not other.riding
        )
        if not dropped_before:
            kept.append(thing)
    return kept


def _vehicles(r: Random, road: Road, density: float, far: float) -> Iterator[SceneObject]:
    """Vehicles in all lanes, and in the crossing road of a junction."""
    if road.tunnel is not None:
        far = road.tunnel - 6.0
    far = min(far, 90.0)
    for lane in range(-road.lanes_forward, road.lanes_backward):
        d = (lane + 0.5) * road.lane_width
        ahead = lane < 0
        own = abs(d - road.ego_offset) < 0.1
        x = r.uniform(9.0, 26.0) if own else r.uniform(5.0, 24.0)
        speed = r.uniform(7.0, 14.0) * (1.8 if road.kind == "highway" else 1.0)
        while x < far:
            if r.random() < 0.35 + 0.6 * density and not _blocks(road, x):
                heading = road.heading(x) + (0.0 if ahead else math.pi)
                at = (x, road.y(x, d + r.uniform(-0.3, 0.3)))
                kind = weighted(r, _KINDS)
                # Long vehicles close by would hide the scene.
                if kind in ("bus", "truck") and x < 14.0:
                    kind = "car"
                yield vehicle_at(r, kind, at, heading, speed)
            x += r.uniform(9.0, 30.0) / (0.4 + density)
    if road.junction is not None and r.random() < 0.5:
        for share, heading in ((0.3, 0.5 * math.pi), (0.72, -0.5 * math.pi)):
            if r.random() < 0.6:
                at = (road.junction + share * road.cross_width, r.uniform(-11.0, 11.0))
                yield vehicle_at(r, "car", at, heading, 6.0)


def _blocks(road: Road, x: float) -> bool:
    """Whether a vehicle at x would stand on the crossing or in the junction."""
    return not free_of_junction(road, x - 4.0, x + 4.0, 1.0)


def vehicle_at(r: Random, kind: str, at: tuple[float, float], heading: float, speed: float) -> SceneObject:
    """Draw a vehicle of a kind at a place."""
    scale = r.uniform(0.94, 1.06)
    variant = r.randrange(len(CARS))
    sizes: dict[str, Point] = {
        "car": CARS[variant].size,
        "bus": BUS_SIZE,
        "truck": TRUCK_SIZE,
        "motorcycle": (2.0, 0.72, 1.08),
        "bicycle": (1.72, 0.56, 1.06),
    }
    size = sizes[kind]
    colors = _BUS_COLORS if kind == "bus" else _CAR_COLORS
    return SceneObject(
        kind=kind,  # type: ignore[arg-type]
        center=(at[0], at[1], 0.5 * size[2] * scale),
        size=(size[0] * scale, size[1] * scale, size[2] * scale),
        yaw=heading,
        velocity=(speed * math.cos(heading), speed * math.sin(heading)),
        color=r.choice(colors),
        variant=variant,
    )


def _with_rider(r: Random, vehicle: SceneObject) -> list[SceneObject]:
    """Put a person on a bicycle or motorcycle that moves."""
    if vehicle.kind not in ("bicycle", "motorcycle") or vehicle.velocity == (0.0, 0.0):
        return [vehicle]
    tall = r.uniform(1.3, 1.42)
    x, y, _ = vehicle.center
    return [
        vehicle,
        SceneObject(
            kind="person",
            center=(
                x - 0.15 * math.cos(vehicle.yaw),
                y - 0.15 * math.sin(vehicle.yaw),
                RIDER_FOOT + tall / 2,
            ),
            size=(0.4, 0.6, tall),
            yaw=vehicle.yaw,
            velocity=vehicle.velocity,
            color=r.choice(_CLOTHES),
            variant=r.randrange(24),
            riding=True,
        ),
    ]


def _bicycles(r: Random, road: Road) -> Iterator[SceneObject]:
    right, left = road.edges
    for _ in range(weighted(r, ((0, 0.55), (1, 0.3), (2, 0.15)))):
        x = r.uniform(6.0, 28.0)
        if r.random() < 0.7:
            yield vehicle_at(r, "bicycle", (x, road.y(x, right + 0.75)), road.heading(x), 4.0)
        else:
            yield vehicle_at(r, "bicycle", (x, road.y(x, left - 0.75)), road.heading(x) + math.pi, 4.0)


def _parked(r: Random, road: Road) -> Iterator[SceneObject]:
    """Cars that stand half on the pavement, and bicycles."""
    right, left = road.edges
    for side in (-1, 1):
        x = r.uniform(5.0, 14.0)
        stop = r.uniform(20.0, 60.0) if r.random() < 0.7 else 0.0
        while x < stop:
            if free_of_junction(road, x - 4, x + 4, 3.0) and r.random() < 0.75:
                d = right - 0.6 if side < 0 else left + 0.6
                heading = road.heading(x) + (0.0 if side < 0 else math.pi)
                yield vehicle_at(r, "car", (x, road.y(x, d)), heading, 0.0)
            x += r.uniform(5.6, 9.0)
    if r.random() < 0.3:
        x = r.uniform(5.0, 16.0)
        side = r.choice((-1, 1))
        yaw = road.heading(x) + r.uniform(0.6, 1.3)
        yield vehicle_at(r, "bicycle", (x, beside(road, x, side, 1.0)), yaw, 0.0)


def _person(r: Random, at: tuple[float, float], heading: float) -> SceneObject:
    tall = r.uniform(1.55, 1.85) if r.random() < 0.88 else r.uniform(1.05, 1.35)
    return SceneObject(
        kind="person",
        center=(at[0], at[1], tall / 2),
        size=(0.4, 0.6 * r.uniform(0.9, 1.15) * tall / 1.7, tall),
        yaw=heading,
        velocity=(1.3 * math.cos(heading), 1.3 * math.sin(heading)),
        color=r.choice(_CLOTHES),
        variant=r.randrange(24),
    )


def _walkers(r: Random, road: Road) -> Iterator[SceneObject]:
    for _ in range(r.randint(1, 5)):
        x, side = r.uniform(6.0, 34.0), r.choice((-1, 1))
        if free_of_junction(road, x - 0.5, x + 0.5):
            y = beside(road, x, side, r.uniform(0.5, max(road.pavement - 0.4, 0.6)))
            yield _person(r, (x, y), r.choice((0.0, math.pi)))


def _crossing_people(r: Random, road: Road, crossing: float) -> Iterator[SceneObject]:
    right, left = road.edges
    for _ in range(r.randint(1, 3)):
        x = crossing + r.uniform(0.4, 2.6)
        yield _person(r, (x, road.y(x, r.uniform(right, left))), r.choice((-1, 1)) * math.pi / 2)


def _animal(r: Random, road: Road) -> SceneObject:
    kind = weighted(r, (("dog", 0.5), ("cow", 0.3), ("cat", 0.2)))
    near, away = {"dog": (5.0, 12.0), "cow": (9.0, 22.0), "cat": (4.0, 7.5)}[kind]
    x = r.uniform(near, away)
    right, left = road.edges
    d = (
        r.uniform(right + 0.5, max(left - 0.5, right + 1.0))
        if r.random() < 0.7
        else right - r.uniform(0.6, 1.6)
    )
    # Animals are seen from the side.
    yaw = r.choice((-1, 1)) * math.pi / 2 + r.uniform(-0.6, 0.6)
    scale = r.uniform(0.9, 1.2)
    length, width, height = ANIMAL_SIZES[kind]
    return SceneObject(
        kind=kind,  # type: ignore[arg-type]
        center=(x, road.y(x, d), 0.5 * height * scale),
        size=(length * scale, width * scale, height * scale),
        yaw=yaw,
        velocity=(math.cos(yaw), math.sin(yaw)),
        color=r.choice(_COATS[kind]),
    )
