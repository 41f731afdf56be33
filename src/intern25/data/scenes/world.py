# SPDX-License-Identifier: MIT
"""Draw whole scenes, and the camera at the front of the car."""

from __future__ import annotations

import dataclasses
import math
from random import Random

from intern25.data.scenes.camera import Camera, look
from intern25.data.scenes.config import SceneConfig, weighted
from intern25.data.scenes.roads import sample_road, sample_scenery
from intern25.data.scenes.scene import Mounting, Road, Scene, SceneObject, Scenery
from intern25.data.scenes.signposts import sample_signposts
from intern25.data.scenes.traffic import sample_traffic
from intern25.data.seeding import derive_seed

DEFAULT_WORLD = SceneConfig()

_NARROWEST, _WIDEST = math.radians(17.0), math.radians(84.0)


def sample_scene(seed: int, config: SceneConfig = DEFAULT_WORLD) -> Scene:
    """Draw a scene; the same seed and configuration give the same scene.

    Args:
        seed: Any integer.
        config: What occurs how often.

    Example:
        >>> sample_scene(7) == sample_scene(7)
        True
    """
    mixed = derive_seed(seed, 0x5CE9E)
    r = Random(mixed)
    road = sample_road(r, config)
    signs, posts = sample_signposts(r, road, config)
    scenery = sample_scenery(r, road, config.far) + posts
    objects = sample_traffic(r, road, config) + signs
    weather, time = weighted(r, config.weather), weighted(r, config.time)
    stands = any(thing.light is not None and thing.light.color != "green" for thing in objects)
    elevation = r.uniform(0.12, 0.3) if time == "dusk" else r.uniform(0.5, 1.2)
    left_hand = r.random() < config.left_hand
    if left_hand:
        road, objects, scenery = _mirrored(road, objects, scenery)
    return Scene(
        seed=mixed,
        road=road,
        objects=tuple(objects),
        scenery=tuple(scenery),
        weather=weather,
        time=time,
        ego_speed=0.0 if stands else r.uniform(4.0, 28.0 if road.kind == "highway" else 14.0),
        mounting=_sample_mounting(r, objects, config),
        sun=(r.uniform(-math.pi, math.pi), elevation),
    )


def front_camera(scene: Scene | int, size: tuple[int, int] = (128, 128)) -> Camera:
    """Camera at the front of the car.

    Args:
        scene: A scene or the seed of one.
        size: Height and width of its pictures.

    Example:
        >>> front_camera(7, size=(96, 128)).size
        (96, 128)
    """
    mounting = (sample_scene(scene) if isinstance(scene, int) else scene).mounting
    return look(
        (0.0, 0.0, mounting.height),
        yaw=mounting.yaw,
        pitch=mounting.pitch,
        roll=mounting.roll,
        horizontal_view=mounting.horizontal_view,
        size=size,
    )


def _mirrored(
    road: Road, objects: list[SceneObject], scenery: list[Scenery]
) -> tuple[Road, list[SceneObject], list[Scenery]]:
    """Swap left and right, so that traffic keeps left; what signs and lights say stays."""
    road = dataclasses.replace(
        road, curvature=-road.curvature, ego_offset=-road.ego_offset, left_hand=not road.left_hand
    )
    turned = []
    for thing in objects:
        x, y, z = thing.center
        velocity = (thing.velocity[0], -thing.velocity[1])
        turned.append(dataclasses.replace(thing, center=(x, -y, z), yaw=-thing.yaw, velocity=velocity))
    stood = []
    for other in scenery:
        # The arm of a lamp goes to the shape's left.
        yaw = math.pi - other.yaw if other.kind == "lamp" else -other.yaw
        stood.append(dataclasses.replace(other, center=(other.center[0], -other.center[1]), yaw=yaw))
    return road, turned, stood


def _sample_mounting(r: Random, objects: list[SceneObject], config: SceneConfig) -> Mounting:
    """Draw how the camera looks: along the road, or so that a light or sign can be read."""
    height, exposure = r.uniform(*config.camera_height), r.uniform(0.82, 1.16)
    roll = math.radians(r.uniform(-1.5, 1.5))
    near = [thing for thing in objects if 5.0 < thing.center[0] < 40.0]
    # Worlds without close views are those of earlier versions, draw for draw.
    if config.close > 0 and near and r.random() < config.close:
        target = r.choice(near)
        size, share = max(target.size[1], target.size[2]), r.uniform(0.22, 0.5)
        across, up = r.uniform(-0.2, 0.2), -r.uniform(-0.1, 0.1)
        yaw, pitch, view = _aimed(target, height, size, share, across, up)
        return Mounting(
            height=height, yaw=yaw, pitch=pitch, roll=roll, horizontal_view=view, exposure=exposure
        )
    targets = [
        thing
        for thing in objects
        if (thing.light is not None or thing.sign is not None) and 5.0 < thing.center[0] < 45.0
    ]
    if targets and r.random() < config.focus:
        target = r.choice(targets)
        is_board = target.sign is not None and bool(target.sign.destinations)
        # Share of the picture's width.
        share = r.uniform(0.34, 0.72) if is_board else r.uniform(0.09, 0.26)
        size = target.size[1] if is_board else target.size[2]
        room = max(0.5 - 0.5 * share - 0.06, 0.0)
        # The target is in the upper part of the picture.
        across, up = r.uniform(-room, room), r.uniform(0.0, min(room, 0.3))
        yaw, pitch, view = _aimed(target, height, size, share, across, up)
    else:
        view = r.uniform(*config.horizontal_view)
        yaw, pitch = math.radians(r.gauss(0.0, 3.0)), math.radians(r.uniform(-5.0, 4.0))
    return Mounting(height=height, yaw=yaw, pitch=pitch, roll=roll, horizontal_view=view, exposure=exposure)


def _aimed(
    target: SceneObject, height: float, size: float, share: float, across: float, up: float
) -> tuple[float, float, float]:
    """Yaw, pitch and angle of view that bring a thing near the middle of the picture.

    Args:
        target: The thing.
        height: Metres of the camera above the ground.
        size: Metres of the thing.
        share: Of the picture's width that these metres take.
        across: How far from the middle it is, as a share of the picture's width, to the right.
        up: The same, upwards.
    """
    x, y, z = target.center
    distance = math.hypot(x, y)
    view = 2.0 * math.atan(0.5 * size / (share * distance))
    view = min(max(view, _NARROWEST), _WIDEST)
    half = math.tan(0.5 * view)
    yaw = math.atan2(y, x) + math.atan(2 * half * across)
    return yaw, math.atan2(z - height, distance) - math.atan(2 * half * up), view
