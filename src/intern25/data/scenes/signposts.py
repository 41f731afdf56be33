# SPDX-License-Identifier: MIT
"""Draw traffic lights and signs with their poles, arms and gantries."""

from __future__ import annotations

import math
from random import Random

from intern25.data.scenes.classes import PLACES, SPEED_LIMITS
from intern25.data.scenes.config import SceneConfig, weighted
from intern25.data.scenes.roads import beside
from intern25.data.scenes.scene import (
    Destination,
    LampColor,
    LampShape,
    LightState,
    Road,
    SceneObject,
    Scenery,
    SignFace,
    SignKind,
    Turn,
)
from intern25.data.scenes.signs import light_size

Posted = tuple[list[SceneObject], list[Scenery]]

_ROW_METRES = 1.05
_BOARD_METRES = 3.6


def sample_signposts(r: Random, road: Road, config: SceneConfig) -> Posted:
    """Draw the lights and signs of a road."""
    things: list[SceneObject] = []
    scenery: list[Scenery] = []

    def add(posted: Posted) -> None:
        things.extend(posted[0])
        scenery.extend(posted[1])

    has_lights = road.junction is not None and r.random() < config.lights
    if has_lights:
        add(_lights(r, road))
    if r.random() < (0.7 if road.kind == "highway" else config.boards) and road.tunnel is None:
        add(_board(r, road, has_lights))
    if road.tunnel is not None and r.random() < 0.85:
        things.append(_tunnel_board(r, road, road.tunnel))
    if r.random() < config.signs:
        add(_signs(r, road, has_lights))
    return things, scenery


def _light_states(r: Random) -> list[LightState]:
    """Draw what the heads at one arm show, from left to right."""

    def state(shape: LampShape, color: LampColor, countdown: bool) -> LightState:
        seconds = None
        if countdown and color != "yellow":
            seconds = r.randint(1, 9) if r.random() < 0.5 else r.randint(10, 60)
        return LightState(color=color, shape=shape, countdown=seconds, horizontal=horizontal)

    horizontal = r.random() < 0.25
    colors: tuple[tuple[LampColor, float], ...] = (("red", 0.4), ("green", 0.4), ("yellow", 0.2))
    counts = r.random() < 0.65
    main = weighted(r, colors)
    draw = r.random()
    if draw < 0.5:
        return [state("round", main, counts)]
    left = state("left", weighted(r, colors), False)
    return [left, state("straight" if draw < 0.85 else "round", main, counts)]


def _lights(r: Random, road: Road) -> Posted:
    assert road.junction is not None
    far_side = r.random() < 0.35
    x = road.junction + (road.cross_width + 1.0 if far_side else -0.6)
    right, _ = road.edges
    pole = road.y(x, right - 0.8)
    states = _light_states(r)
    scale = r.uniform(0.95, 1.2)
    sizes = [tuple(scale * side for side in light_size(state)) for state in states]
    hangs = r.random() < 0.7
    height = r.uniform(4.6, 5.6) if hangs else r.uniform(2.9, 3.6)
    middle = road.y(x, road.ego_offset + r.uniform(-1.0, 1.0)) if hangs else pole
    things = []
    total = sum(size[1] for size in sizes) + 0.4 * (len(sizes) - 1)
    y = middle + total / 2
    for state, size in zip(states, sizes, strict=True):
        center = (x - 0.25, y - size[1] / 2, height)
        y -= size[1] + 0.4
        things.append(
            SceneObject(
                kind="traffic light",
                center=center,
                size=(size[0], size[1], size[2]),
                yaw=math.pi + r.uniform(-0.06, 0.06),
                light=state,
            )
        )
    tall = height + (0.1 if hangs else max(size[2] for size in sizes) / 2)
    scenery = [Scenery(kind="pole", center=(x, pole), size=(1.0, 0.2, tall), variant=r.randrange(6))]
    if hangs:
        reach = (min(middle - total / 2, pole), max(middle + total / 2, pole))
        size = (0.12, reach[1] - reach[0], 0.14)
        at = (x, 0.5 * (reach[0] + reach[1]))
        scenery.append(Scenery(kind="arm", center=at, size=size, base=height, variant=1))
    if r.random() < 0.3:
        things.append(_pedestrian_light(r, road, road.junction, states[-1].color))
        post = things[-1].center
        scenery.append(Scenery(kind="pole", center=post[:2], size=(1.0, 0.13, post[2]), variant=1))
    return things, scenery


def _pedestrian_light(r: Random, road: Road, junction: float, main: LampColor) -> SceneObject:
    """A light for people beside the road, who walk while cars stand."""
    state = LightState(color="green" if main == "red" else "red", shape="pedestrian")
    length, width, height = (1.1 * side for side in light_size(state))
    x = junction - r.uniform(1.5, 3.0)
    side = r.choice((-1, 1))
    center = (x, beside(road, x, side, 0.7), r.uniform(2.3, 2.7))
    return SceneObject(
        kind="traffic light", center=center, size=(length, width, height), yaw=math.pi, light=state
    )


def _board(r: Random, road: Road, has_lights: bool) -> Posted:
    """Draw a direction sign beside the road or, on a highway, on a gantry above it."""
    highway = road.kind == "highway"
    count = weighted(r, ((1, 0.25), (2, 0.4), (3, 0.35)))
    turns: list[Turn] = ["straight", "left", "right"]
    r.shuffle(turns)
    places = r.sample(range(len(PLACES)), count)
    lines = tuple(Destination(place=p, turn=t) for p, t in zip(places, turns, strict=False))
    face = SignFace(kind="direction", destinations=lines, board="green" if highway else "blue")
    scale = r.uniform(0.9, 1.25) * (1.25 if highway else 1.0)
    width, height = _BOARD_METRES * scale, _ROW_METRES * count * scale
    x = r.uniform(12.0, 30.0) if road.junction is None else max(road.junction - r.uniform(5.0, 9.0), 6.0)
    yaw = math.pi + road.heading(x) + r.uniform(-0.05, 0.05)
    right, left = road.edges
    variant = r.randrange(6)
    if highway or (road.junction is None and r.random() < 0.3):
        low = r.uniform(5.2, 5.8)
        y = road.y(x, road.ego_offset + r.uniform(-1.5, 1.5))
        posts = [road.y(x, right - 0.9), road.y(x, left + 0.9)]
        beam = Scenery(
            kind="arm",
            center=(x + 0.2, 0.5 * (posts[0] + posts[1])),
            size=(0.3, posts[1] - posts[0], 0.35),
            base=low + 0.5,
            variant=1,
        )
        poles = [
            Scenery(kind="pole", center=(x + 0.2, post), size=(1.0, 0.35, low + 1.0), variant=1)
            for post in posts
        ]
        scenery = [beam, *poles]
    else:
        low = r.uniform(2.3, 2.9)
        y = road.y(x, right - 0.9 - width / 2)
        scenery = [
            Scenery(
                kind="pole", center=(x + 0.1, y + k * width), size=(1.0, 0.15, low + height), variant=variant
            )
            for k in (-0.3, 0.3)
        ]
    center = (x, y, low + height / 2)
    thing = SceneObject(kind="traffic sign", center=center, size=(1.0, width, height), yaw=yaw, sign=face)
    return [thing], scenery


def _tunnel_board(r: Random, road: Road, tunnel: float) -> SceneObject:
    """Name of a tunnel above its mouth."""
    face = SignFace(
        kind="tunnel",
        destinations=(Destination(place=r.randrange(len(PLACES)), turn="straight"),),
        board=r.choice(("blue", "green")),
    )
    right, left = road.edges
    scale = r.uniform(1.2, 1.7)
    center = (tunnel - 0.3, road.y(tunnel, 0.5 * (right + left)), 8.4)
    size = (1.0, _BOARD_METRES * scale, _ROW_METRES * scale)
    return SceneObject(kind="traffic sign", center=center, size=size, yaw=math.pi, sign=face)


def _sign_kinds(r: Random, road: Road, has_lights: bool) -> list[SignKind]:
    """Draw which signs stand beside a road."""
    if road.kind == "highway":
        return ["speed limit"]
    if road.kind == "tunnel":
        return ["speed limit"] if r.random() < 0.8 else ["no parking"]
    weights: list[tuple[SignKind, float]] = [("speed limit", 0.45), ("no parking", 0.16), ("no entry", 0.1)]
    if road.crossing is not None:
        weights.append(("pedestrian crossing", 0.3))
    if road.junction is not None and not has_lights:
        weights += [("stop", 0.35), ("give way", 0.35)]
    else:
        weights += [("stop", 0.08), ("give way", 0.08)]
    first = weighted(r, weights)
    second = weighted(r, weights)
    return [first, second] if second != first and r.random() < 0.4 else [first]


def _signs(r: Random, road: Road, has_lights: bool) -> Posted:
    things, scenery = [], []
    x = r.uniform(7.0, 17.0)
    for kind in _sign_kinds(r, road, has_lights):
        if road.tunnel is not None:
            x = min(x, road.tunnel - 2.0)
        limits = SPEED_LIMITS[4:] if road.kind == "highway" else SPEED_LIMITS
        limit = r.choice(limits) if kind == "speed limit" else None
        side = -1 if r.random() < 0.85 else 1
        wide = r.uniform(0.9, 1.25) * (1.35 if road.kind == "highway" else 1.0)
        y = beside(road, x, side, r.uniform(0.5, 0.9))
        z = r.uniform(2.3, 2.9)
        yaw = math.pi + road.heading(x) + r.uniform(-0.15, 0.15)
        face = SignFace(kind=kind, limit=limit)
        things.append(
            SceneObject(
                kind="traffic sign", center=(x - 0.1, y, z), size=(1.0, wide, wide), yaw=yaw, sign=face
            )
        )
        scenery.append(
            Scenery(kind="pole", center=(x, y), size=(1.0, 0.09, z + wide / 2), variant=r.randrange(6))
        )
        x += r.uniform(7.0, 14.0)
    return things, scenery
