# SPDX-License-Identifier: MIT
"""Draw roads and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from intern25.data.scenes.config import SceneConfig, weighted
from intern25.data.scenes.scene import Road, Scenery, SceneryKind


def sample_road(r: Random, config: SceneConfig) -> Road:
    """Draw a road; traffic keeps right."""
    kind = weighted(r, config.roads)
    lane_width = r.uniform(3.2, 3.75)
    if kind == "highway":
        forward, backward, pavement = r.choice((2, 3, 3)), r.choice((2, 2, 3)), 0.0
    elif kind == "tunnel":
        forward, backward, pavement = r.choice((1, 2)), r.choice((0, 1)), r.choice((0.0, 1.2))
    else:
        forward, backward, pavement = r.choice((1, 1, 2, 2, 3)), r.choice((1, 1, 2)), r.uniform(1.6, 4.0)
    lane = r.randrange(forward)
    bends = kind in ("street", "highway") and r.random() < config.curves
    junction = r.uniform(8.0, 22.0) if kind == "junction" else None
    crossing = None
    if junction is not None and r.random() < 0.8:
        crossing = junction - 4.2
    elif kind == "street" and r.random() < 0.3:
        crossing = r.uniform(6.0, 22.0)
    return Road(
        kind=kind,
        curvature=r.choice((-1, 1)) * r.uniform(0.004, 0.012) if bends else 0.0,
        lane_width=lane_width,
        lanes_forward=forward,
        lanes_backward=backward,
        ego_offset=-(lane + 0.5) * lane_width,
        pavement=pavement,
        junction=junction,
        cross_width=r.uniform(8.0, 13.0),
        crossing=crossing,
        tunnel=r.uniform(16.0, 50.0) if kind == "tunnel" else None,
        yellow_line=r.random() < 0.5,
    )


def free_of_junction(road: Road, x0: float, x1: float, margin: float = 0.0) -> bool:
    """Whether the stretch from x0 to x1 misses the junction and the crossing."""
    if road.junction is not None:
        start, stop = road.junction - margin, road.junction + road.cross_width + margin
        if x1 > start and x0 < stop:
            return False
    return road.crossing is None or x1 < road.crossing - 1.0 or x0 > road.crossing + 4.0


def sample_scenery(r: Random, road: Road, far: float) -> list[Scenery]:
    """Draw what stands beside a road."""
    if road.tunnel is not None:
        far = min(far, road.tunnel - 3.0)
    city = road.kind in ("street", "junction")
    height = (9.0, 24.0) if r.random() < 0.5 else (5.5, 9.0)
    built = {side: city and r.random() < 0.78 for side in (-1, 1)}
    things = list(_horizon(r, road, city))
    for side in (-1, 1):
        if built[side]:
            things += _buildings(r, road, side, far, height)
        things += _trees(r, road, side, far, built[side])
    if road.kind == "highway":
        things += _barriers(road, far)
    elif r.random() < 0.35:
        things += _fences(r, road, r.choice((-1, 1)), far)
    if r.random() < 0.75:
        things += _lamps(r, road, r.choice((-1, 1)), far)
    return things


def beside(road: Road, x: float, side: int, away: float) -> float:
    """Ego y of a point ``away`` metres outside the edge of the road on a side (1 left, -1 right)."""
    right, left = road.edges
    return road.y(x, left + away if side > 0 else right - away)


def _horizon(r: Random, road: Road, city: bool) -> Iterator[Scenery]:
    """Hills, far houses or a line of trees, and the mouth of a tunnel."""
    if road.tunnel is not None:
        right, left = road.edges
        x, y = road.tunnel, road.y(road.tunnel, 0.5 * (right + left))
        size = (1.0, left - right + 2.0, r.uniform(5.5, 7.0))
        yield Scenery(kind="portal", center=(x, y), size=size, variant=0)
        hill = (1.0, r.uniform(110, 180), r.uniform(24, 44))
        yield Scenery(kind="hill", center=(x + 14, y + r.uniform(-8, 8)), size=hill, variant=r.randrange(6))
    if not city or r.random() < 0.4:
        for y in (-130, 0, 120):
            size = (1.0, r.uniform(160, 320), r.uniform(12, 40))
            yield Scenery(
                kind="hill", center=(260, y + r.uniform(-40, 40)), size=size, variant=r.randrange(6)
            )
    end = road.y(140.0, 0.0)
    for k in range(-3, 4):
        if city and r.random() < 0.8:
            size = (r.uniform(14, 24), 12.0, r.uniform(7, 34))
            center = (r.uniform(145, 175), end + 22 * k + r.uniform(-5, 5))
            yield Scenery(kind="building", center=center, size=size, yaw=1.5708, variant=r.randrange(150))
        elif r.random() < 0.8 and road.tunnel is None:
            size = (1.0, r.uniform(12, 22), r.uniform(5, 11))
            yield Scenery(kind="bush", center=(150, end + 18 * k), size=size, variant=r.randrange(500))


def _buildings(
    r: Random, road: Road, side: int, far: float, height: tuple[float, float]
) -> Iterator[Scenery]:
    x, setback = -8.0, road.pavement + r.uniform(0.3, 4.0)
    alike = r.random() < 0.4
    variant, tall = r.randrange(150), r.uniform(*height)
    while x < far:
        length, depth = r.uniform(9.0, 16.0), 11.0
        if not alike:
            variant, tall = r.randrange(150), r.uniform(*height)
        if free_of_junction(road, x, x + length, road.pavement) and r.random() < 0.9:
            middle = x + length / 2
            center = (middle, beside(road, middle, side, setback + depth / 2))
            yield Scenery(
                kind="building",
                center=center,
                size=(length, depth, tall + r.uniform(-0.6, 0.6)),
                yaw=road.heading(middle),
                variant=variant,
            )
        elif road.junction is not None and x < road.junction < x + length:
            # The corner is built up to the pavement of the crossing road.
            length = road.junction - road.pavement - x
            if length > 4.0:
                center = (x + length / 2, beside(road, x, side, setback + depth / 2))
                yield Scenery(kind="building", center=center, size=(length, depth, tall), variant=variant)
            length += 2 * road.pavement + road.cross_width
        x += length + (0.0 if r.random() < 0.7 else r.uniform(1.0, 6.0))


def _trees(r: Random, road: Road, side: int, far: float, built: bool) -> Iterator[Scenery]:
    spacing = r.uniform(7.0, 22.0) if built else r.uniform(5.0, 11.0)
    variant = r.randrange(500)
    alike = r.random() < 0.5
    limit = far if built else min(far, 90.0)
    x = r.uniform(-4.0, 6.0)
    if built and r.random() < 0.3:
        return
    while x < limit:
        if not alike:
            variant = r.randrange(500)
        away = max(road.pavement - 0.9, 1.2) if built else road.pavement + r.uniform(1.5, 9.0)
        if free_of_junction(road, x - 2, x + 2, 2.0):
            bush = not built and r.random() < 0.3
            tall = r.uniform(1.0, 2.6) if bush else r.uniform(4.5, 10.0)
            wide = r.uniform(2.0, 5.0) if bush else tall * r.uniform(0.5, 0.75)
            if built:
                tall, wide = min(tall, 7.5), min(wide, 4.4)
            center = (x, beside(road, x, side, away))
            kind: SceneryKind = "bush" if bush else "tree"
            yield Scenery(kind=kind, center=center, size=(1.0, wide, tall), variant=variant)
        x += spacing * r.uniform(0.7, 1.3)


def _barriers(road: Road, far: float) -> Iterator[Scenery]:
    """Concrete between the directions and a rail at the right of a highway."""
    x = -10.0
    while x < far:
        middle = x + 5.0
        yaw = road.heading(middle)
        yield Scenery(kind="barrier", center=(middle, road.y(middle, 0.0)), size=(10.0, 0.3, 0.8), yaw=yaw)
        center = (middle, beside(road, middle, -1, 0.8))
        yield Scenery(kind="barrier", center=center, size=(10.0, 0.12, 0.32), yaw=yaw, base=0.45)
        for k in (2.5, 7.5):
            at = (x + k, beside(road, x + k, -1, 0.84))
            yield Scenery(kind="pole", center=at, size=(1.0, 0.14, 0.7), variant=1)
        x += 10.0


def _fences(r: Random, road: Road, side: int, far: float) -> Iterator[Scenery]:
    x, variant = r.uniform(2.0, 12.0), r.randrange(6)
    tall = r.uniform(0.9, 1.3)
    stop = min(far, r.uniform(30.0, 70.0))
    while x + 7.5 < stop:
        if free_of_junction(road, x, x + 7.5, 1.5):
            middle = x + 3.75
            center = (middle, beside(road, middle, side, 0.35))
            size = (7.5, 0.05, tall)
            yield Scenery(kind="fence", center=center, size=size, yaw=road.heading(middle), variant=variant)
        x += 7.5


def _lamps(r: Random, road: Road, side: int, far: float) -> Iterator[Scenery]:
    x, tall, variant = r.uniform(3.0, 20.0), r.uniform(6.5, 9.0), r.randrange(6)
    while x < far:
        if free_of_junction(road, x - 1, x + 1):
            # The arm is along the shape's y: towards the road.
            yaw = road.heading(x) + (0.0 if side < 0 else 3.14159)
            center = (x, beside(road, x, side, 0.9))
            yield Scenery(kind="lamp", center=center, size=(1.0, 1.8, tall), yaw=yaw, variant=variant)
        x += r.uniform(24.0, 34.0)
