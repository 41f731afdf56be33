# SPDX-License-Identifier: MIT
"""What can be told from a view: only things large and open enough to be recognised count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from intern25.data.class_names import ClassNames
from intern25.data.scenes.classes import BUILDING, OBJECT_CLASSES, ROAD, Kind
from intern25.data.scenes.rendering import View, VisibleObject
from intern25.data.scenes.scene import Scene, SceneObject, SignKind
from intern25.data.scenes.signs import PANEL, light_size
from intern25.data.scenes.weather import haze_density

WEATHER_CLASSES = ClassNames(
    en=("sunny", "cloudy", "rain", "snow", "fog"), zh=("晴天", "多云", "下雨", "下雪", "有雾")
)
TIME_CLASSES = ClassNames(en=("day", "dusk", "night"), zh=("白天", "黄昏", "夜晚"))

# In pixels of a picture that is _UNIT_WIDTH wide: what is asked about is a share of the picture, so that a
# larger picture of a scene shows more of the same things rather than smaller ones.
_UNIT_WIDTH = 128
_HEIGHT, _WIDTH, _AHEAD = 7.0, 3.0, 9.8
"""Least sides of something that can be named, and least height of what is said to be ahead."""
_SHAPE = 14.0
"""Longer side of a light whose arrow or figure can be told."""
_DIGITS, _LINE = 9.0, 9.0
"""Height of a countdown panel and of a line of a board that can be read."""
_LIMIT, _TUNNEL = 11.0, 10.0
"""Height of a sign that can be read, and of the mouth of a tunnel."""
_MOSTLY, _WHOLE = 0.6, 0.9
"""Share that is seen of what can be named and of what can be read."""
_HAZY = 1.25
"""Optical depth beyond which colours fade; lights shine further."""

VEHICLES: frozenset[Kind] = frozenset(("car", "bus", "truck"))
ANIMALS: frozenset[Kind] = frozenset(("dog", "cat", "cow"))


@dataclass(frozen=True, slots=True)
class SceneClass:
    """Labels of a whole scene."""

    weather: int
    """Index into ``WEATHER_CLASSES``."""
    time: int
    """Index into ``TIME_CLASSES``."""


def scene_class(scene: Scene) -> SceneClass:
    """Weather and time of a scene as labels.

    Example:
        >>> from intern25.data.scenes.world import sample_scene
        >>> WEATHER_CLASSES.name(scene_class(sample_scene(3)).weather)
        'cloudy'
    """
    return SceneClass(WEATHER_CLASSES.en.index(scene.weather), TIME_CLASSES.en.index(scene.time))


class Facts:
    """What can be told from the view of a scene.

    Args:
        scene: What there is.
        view: What is seen of it.
    """

    def __init__(self, scene: Scene, view: View) -> None:
        self.scene, self.view = scene, view
        self._unit = view.camera.size[1] / _UNIT_WIDTH
        self._position = view.camera.position
        focal = float(view.camera.intrinsics[0, 0])
        self.horizontal_view = 2 * math.atan(0.5 * view.camera.size[1] / focal)

    def thing(self, visible: VisibleObject) -> SceneObject:
        """The object of the scene that is seen."""
        return self.scene.objects[visible.index]

    def distance(self, visible: VisibleObject) -> float:
        """Metres from the camera."""
        return math.dist(self.thing(visible).center, self._position.tolist())

    def is_clear(self, visible: VisibleObject) -> bool:
        """Whether an object is seen well enough to be named."""
        thing = self.thing(visible)
        shines = thing.light is not None or (self.scene.time != "day" and thing.kind in VEHICLES)
        depth = haze_density(self.scene) * self.distance(visible)
        # Riders hide much of what they ride.
        open_enough = 0.3 if thing.kind in ("bicycle", "motorcycle") else _MOSTLY
        side = max(visible.height, visible.width) if thing.light is not None else visible.height
        return (
            side >= _HEIGHT * self._unit
            and visible.width >= _WIDTH * self._unit
            and visible.visibility >= open_enough
            and depth <= (2.0 * _HAZY if shines else _HAZY)
            and self._is_turned_here(thing)
        )

    def _is_turned_here(self, thing: SceneObject) -> bool:
        """Whether the front of a light or sign can be seen."""
        if thing.light is None and thing.sign is None:
            return True
        x, y, _ = (a - b for a, b in zip(self._position.tolist(), thing.center, strict=True))
        toward = x * math.cos(thing.yaw) + y * math.sin(thing.yaw)
        return bool(toward > 0.75 * math.hypot(x, y))

    @cached_property
    def clear(self) -> tuple[VisibleObject, ...]:
        """Objects that can be named, nearest first."""
        return tuple(sorted(filter(self.is_clear, self.view.objects), key=self.distance))

    def seen(self, *kinds: Kind) -> list[VisibleObject]:
        """Visible objects of some kinds, clear or not, nearest first."""
        found = [v for v in self.view.objects if self.thing(v).kind in kinds]
        return sorted(found, key=self.distance)

    def named(self, *kinds: Kind) -> list[VisibleObject] | None:
        """All visible objects of some kinds, nearest first, or None where one of them is not clear."""
        found = self.seen(*kinds)
        return found if all(self.is_clear(v) for v in found) else None

    @property
    def colors_show(self) -> bool:
        """Whether there is light enough to tell colours."""
        return self.scene.time != "night"

    # --- lights -----------------------------------------------------------------------------------------

    @cached_property
    def lights(self) -> list[VisibleObject]:
        """Clear traffic lights for vehicles."""
        return [v for v in self.clear if _shape(self.thing(v)) not in (None, "pedestrian")]

    @cached_property
    def main_light(self) -> VisibleObject | None:
        """The clear light that says whether one may go straight: a straight arrow, else a round one."""
        all_of_scene = [t for t in self.scene.objects if _shape(t) not in (None, "pedestrian")]
        for shape in ("straight", "round"):
            having = [t for t in all_of_scene if _shape(t) == shape]
            if having:
                found = [v for v in self.lights if _shape(self.thing(v)) == shape]
                return found[0] if len(found) == len(having) == 1 and self._shape_shows(found[0]) else None
        return None

    def light_of(self, shape: str) -> VisibleObject | None:
        """The one clear light of a shape, if there is just one and its shape can be told."""
        found = [v for v in self.clear if _shape(self.thing(v)) == shape]
        return found[0] if len(found) == 1 and self._shape_shows(found[0]) else None

    def _shape_shows(self, visible: VisibleObject) -> bool:
        large = max(visible.height, visible.width) >= _SHAPE * self._unit
        return large or _shape(self.thing(visible)) == "round"

    def countdown(self, visible: VisibleObject) -> int | None:
        """Seconds on the panel of a light, where they can be read."""
        state = self.thing(visible).light
        if state is None or state.countdown is None or visible.visibility < _WHOLE:
            return None
        pixels = PANEL * visible.height / light_size(state)[2]
        return state.countdown if pixels >= _DIGITS * self._unit else None

    # --- signs ------------------------------------------------------------------------------------------

    @cached_property
    def signs(self) -> list[VisibleObject]:
        """Clear traffic signs, nearest first."""
        return [v for v in self.clear if self.thing(v).sign is not None]

    def sign(self, kind: SignKind) -> VisibleObject | None:
        """The one clear and readable sign of a kind, if there is just one in the picture."""
        found = [v for v in self.seen("traffic sign") if _sign_kind(self.thing(v)) == kind]
        if len(found) != 1 or not self.is_clear(found[0]):
            return None
        sign = self.thing(found[0]).sign
        assert sign is not None
        lines = max(len(sign.destinations), 1)
        least = _LINE * lines if sign.destinations else _LIMIT
        whole = _WHOLE if sign.destinations else 0.8
        return found[0] if found[0].height >= least * self._unit and found[0].visibility >= whole else None

    # --- the road ---------------------------------------------------------------------------------------

    @cached_property
    def road_ahead(self) -> str | None:
        """``tunnel``, ``junction``, ``highway``, ``left bend``, ``right bend`` or ``straight road``."""
        road = self.scene.road
        wide = self.horizontal_view > math.radians(38)
        if road.tunnel is not None:
            return "tunnel" if self._tunnel_shows(road.tunnel) else None
        road_share = float((self.view.semantic == ROAD).mean())
        if not wide or road_share < 0.14 or abs(self.scene.mounting.yaw) > math.radians(14):
            return None
        if road.junction is not None:
            return (
                "junction" if self._shows((road.junction + 0.5 * road.cross_width, 0.0, 0.0), ROAD) else None
            )
        if road.kind == "highway":
            return "highway"
        if abs(road.curvature) > 0.005:
            return "left bend" if road.curvature > 0 else "right bend"
        return "straight road" if road.curvature == 0.0 and road.crossing is None else None

    def _tunnel_shows(self, x: float) -> bool:
        right, left = self.scene.road.edges
        middle = self.scene.road.y(x, 0.5 * (right + left))
        if haze_density(self.scene) * x > 1.6:
            return False
        ends = np.array([[x, middle - 2.5, 0.5], [x, middle + 2.5, 4.5]])
        pixels, depth = self.view.camera.project(ends)
        tall = abs(float(pixels[0, 1] - pixels[1, 1]))
        open_enough = sum(
            self._shows((x, middle + dy, z), BUILDING) for dy in (-1.5, 1.5) for z in (2.0, 4.0)
        )
        return bool(depth.min() > 0) and tall >= _TUNNEL * self._unit and open_enough >= 3

    def _shows(self, point: tuple[float, float, float], semantic: int) -> bool:
        """Whether a point is inside the picture and its pixel of a class."""
        pixel, depth = self.view.camera.project(np.array(point))
        height, width = self.view.semantic.shape
        column, row = float(pixel[0]), float(pixel[1])
        if depth <= 0 or not (0 <= row < height and 0 <= column < width):
            return False
        return bool(self.view.semantic[int(row), int(column)] == semantic)

    def is_in_own_lane(self, thing: SceneObject) -> bool:
        """Whether an object is in the lane of the camera car, in front of it."""
        road = self.scene.road
        x, y, z = thing.center
        off = abs(y - road.y(x, road.ego_offset))
        return x > 1.0 and off < 0.5 * road.lane_width and z < 2.5

    def is_on_road(self, thing: SceneObject) -> bool:
        """Whether an object stands on the road."""
        road = self.scene.road
        x, y, _ = thing.center
        right, left = road.edges
        return road.y(x, right) < y < road.y(x, left)

    @cached_property
    def ahead(self) -> VisibleObject | None:
        """The nearest thing in the own lane within 40 m, where it is clear."""
        kinds: tuple[Kind, ...] = (*VEHICLES, *ANIMALS, "person", "bicycle", "motorcycle")
        for visible in self.seen(*kinds):
            thing = self.thing(visible)
            if self.is_in_own_lane(thing) and thing.center[0] < 40.0 and not thing.riding:
                big = visible.height >= _AHEAD * self._unit
                return visible if big and self.is_clear(visible) else None
        return None


def _shape(thing: SceneObject) -> str | None:
    return None if thing.light is None else thing.light.shape


def _sign_kind(thing: SceneObject) -> str | None:
    return None if thing.sign is None else thing.sign.kind


def label_of(kind: Kind) -> int:
    """Index of a kind in ``OBJECT_CLASSES``."""
    return OBJECT_CLASSES.en.index(kind)
