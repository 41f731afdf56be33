# SPDX-License-Identifier: MIT
"""What a street scene is: a description in three dimensions, without a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from intern25.data.scenes.classes import Kind, Time, Weather

RoadKind = Literal["street", "junction", "tunnel", "highway"]
LampColor = Literal["red", "yellow", "green"]
LampShape = Literal["round", "left", "straight", "pedestrian"]
Turn = Literal["left", "straight", "right"]
SignKind = Literal[
    "speed limit",
    "stop",
    "no entry",
    "give way",
    "no parking",
    "pedestrian crossing",
    "direction",
    "tunnel",
]
SceneryKind = Literal["building", "tree", "bush", "pole", "lamp", "arm", "fence", "barrier", "hill", "portal"]

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LightState:
    """What a traffic light shows."""

    color: LampColor
    shape: LampShape = "round"
    countdown: int | None = None
    """Seconds until it changes, on a panel beside the light."""
    horizontal: bool = False
    """Whether the three lamps are in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One line of a direction sign."""

    place: int
    """Index into ``PLACES``."""
    turn: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFace:
    """What a traffic sign shows."""

    kind: SignKind
    limit: int | None = None
    """Of a speed limit, km/h."""
    destinations: tuple[Destination, ...] = ()
    """Of a direction sign, from top to bottom; of a tunnel sign, whose name it is."""
    board: Literal["blue", "green"] = "blue"
    """Colour of a direction or tunnel sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One thing: a box in the ego frame and how it looks.

    Convention:
        ``center`` is the centre of the box; ``size`` is length (along the heading), width, height in metres;
        ``yaw`` is the heading, counter-clockwise from ego x, radians. Signs and lights face along ``yaw``.
        ``velocity`` is over ground, in ego axes, metres a second.
    """

    kind: Kind
    center: Point
    size: Point
    yaw: float = 0.0
    velocity: tuple[float, float] = (0.0, 0.0)
    color: str | None = None
    """A key of ``COLORS``; of people, their clothes."""
    variant: int = 0
    """Which of the shapes of its kind."""
    light: LightState | None = None
    sign: SignFace | None = None
    riding: bool = False
    """Whether a person sits on a bicycle or motorcycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """Something that is no thing to detect: a building, a tree, a pole, a fence, a hill."""

    kind: SceneryKind
    center: tuple[float, float]
    """Of the foot, x and y."""
    size: Point
    yaw: float = 0.0
    variant: int = 0
    base: float = 0.0
    """Height of its lower end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """A road along x that bends as a parabola, and what is ahead on it.

    Convention:
        ``d`` is the signed distance from the line between the two directions, left is positive. The ego's
        lane is at ``d = ego_offset``, where y = 0 at x = 0.
    """

    kind: RoadKind
    curvature: float = 0.0
    lane_width: float = 3.5
    lanes_forward: int = 1
    lanes_backward: int = 1
    ego_offset: float = -1.75
    pavement: float = 2.5
    """Width of the pavement on each side; 0 for none."""
    junction: float | None = None
    """x where the crossing road begins."""
    cross_width: float = 12.0
    crossing: float | None = None
    """x where a zebra crossing begins."""
    tunnel: float | None = None
    """x of the tunnel's mouth."""
    left_hand: bool = False
    """Whether traffic keeps left."""
    yellow_line: bool = False
    """Whether the line between the directions is yellow."""

    def y(self, x: float, d: float) -> float:
        """Ego y of the point ``d`` left of the middle at ``x``."""
        return d - self.ego_offset + 0.5 * self.curvature * x * x

    def heading(self, x: float) -> float:
        """Direction of the road at ``x``, radians."""
        return math.atan(self.curvature * x)

    @property
    def edges(self) -> tuple[float, float]:
        """``d`` of the right and the left edge."""
        forward, backward = self.lanes_forward * self.lane_width, self.lanes_backward * self.lane_width
        if self.left_hand:
            return -backward - 0.4, forward + 0.4
        return -forward - 0.4, backward + 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """Where the front camera sits and how it looks."""

    height: float = 1.5
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    horizontal_view: float = 1.0
    """Radians."""
    exposure: float = 1.0
    """Factor of the picture's brightness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment on a street.

    Convention:
        All positions are in the ego frame: x forward, y left, z up, metres, origin on the road.
    """

    seed: int
    road: Road
    objects: tuple[SceneObject, ...]
    scenery: tuple[Scenery, ...]
    weather: Weather
    time: Time
    ego_speed: float
    """Metres a second."""
    mounting: Mounting
    sun: tuple[float, float]
    """Azimuth and elevation, radians."""
