# SPDX-License-Identifier: MIT
"""From a scene and a camera to a picture with its boxes, masks and semantic map."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from intern25.data.scenes.camera import Camera
from intern25.data.scenes.classes import (
    BICYCLIST,
    OBJECT_CLASSES,
    SEMANTIC_OF_KIND,
    VOID,
)
from intern25.data.scenes.creatures import animal_pieces, person_pieces
from intern25.data.scenes.finishing import finish
from intern25.data.scenes.geometry import Piece
from intern25.data.scenes.ground import ground_pieces
from intern25.data.scenes.lettering import Lettering
from intern25.data.scenes.painting import OVERSAMPLING, Painted, paint, visible_pieces
from intern25.data.scenes.scene import Scene, SceneObject
from intern25.data.scenes.scenery import scenery_pieces
from intern25.data.scenes.signs import light_pieces, sign_pieces
from intern25.data.scenes.vehicles import vehicle_pieces
from intern25.data.scenes.weather import Light, light_of

Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

FIRST_OBJECT = VOID + 1
"""Ident of the first object; lower ones are semantic classes."""
MOST_OBJECTS = 256 - FIRST_OBJECT
LEAST_PIXELS = 6
"""Objects of which less is seen are not listed."""

_NAMES = {name: label for label, name in enumerate(OBJECT_CLASSES.en)}


@dataclass(frozen=True, eq=False, slots=True)
class VisibleObject:
    """What is seen of one object of a scene."""

    index: int
    """Which of the scene's objects."""
    label: int
    """Index into ``OBJECT_CLASSES``."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the visible pixels; the last two are outside."""
    mask: Mask = field(repr=False)
    """Its pixels, ``(height, width)``."""
    visibility: float
    """Share of its outline, inside the picture or not, that is seen, 0..1."""

    @property
    def height(self) -> float:
        """Height of the box, pixels."""
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        """Width of the box, pixels."""
        return self.box[2] - self.box[0]


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """What a camera sees of a scene."""

    image: Bytes = field(repr=False)
    """``(height, width, 3)``."""
    semantic: Bytes = field(repr=False)
    """Index into ``SEMANTIC_CLASSES`` or ``VOID`` of each pixel, ``(height, width)``."""
    objects: tuple[VisibleObject, ...]
    """Largest first."""
    camera: Camera = field(repr=False)
    has_chinese: bool = False
    """Whether Chinese names are on the boards."""


def render(scene: Scene, camera: Camera, lettering: Lettering | None = None) -> View:
    """Draw a scene.

    Convention:
        The semantic map and the masks are of one drawing: each pixel belongs to at most one object.

    Args:
        scene: What there is.
        camera: From where.
        lettering: Font of Chinese names on boards; without one they are English only.

    Raises:
        ValueError: The scene has more than 244 objects.
    """
    if len(scene.objects) > MOST_OBJECTS:
        raise ValueError(f"a scene with {len(scene.objects)} objects; at most {MOST_OBJECTS} can be drawn")
    letters = lettering or Lettering()
    light = light_of(scene)
    pieces = visible_pieces(scene_pieces(scene, camera, light, letters), camera)
    keep = frozenset(piece.ident for piece in pieces if piece.ident >= FIRST_OBJECT)
    painted = paint(pieces, camera, light, keep)
    idents = _majority(painted.idents[painted.index])
    return View(
        image=finish(scene, camera, light, painted),
        semantic=_semantic_of_ident(scene)[idents],
        objects=_visible_objects(scene, painted, idents),
        camera=camera,
        has_chinese=letters.has_chinese,
    )


def scene_pieces(scene: Scene, camera: Camera, light: Light, letters: Lettering) -> list[Piece]:
    """Pieces of a scene in painting order: the ground, the backdrop, the rest from far to near."""
    x0, y0, _ = camera.position.tolist()
    along = camera.forward.tolist()

    def nearness(position: tuple[float, ...]) -> float:
        return float(along[0] * (x0 - position[0]) + along[1] * (y0 - position[1]))

    order = {"hill": 0, "portal": 1, "building": 2}
    backdrop = [(order[t.kind], nearness(t.center), t) for t in scene.scenery if t.kind in order]
    backdrop.sort(key=lambda entry: entry[:2])
    pieces = [piece for _, _, other in backdrop for piece in scenery_pieces(other, scene, light.lamps)]
    standing: list[tuple[float, list[Piece]]] = []
    for other in scene.scenery:
        if other.kind not in order:
            standing.append((nearness(other.center), scenery_pieces(other, scene, light.lamps)))
    for number, thing in enumerate(scene.objects):
        for part in _object_pieces(thing, FIRST_OBJECT + number, light, letters):
            # Signs and lights hang before their poles, riders sit before or behind their wheels.
            hangs = thing.kind in ("traffic light", "traffic sign")
            nearer = 0.3 + 0.35 * thing.size[1] if hangs else 0.3 * thing.riding
            standing.append((nearness(_middle(thing, part)) + nearer, [part]))
    standing.sort(key=lambda entry: entry[0])
    return ground_pieces(scene) + pieces + [piece for _, parts in standing for piece in parts]


def _middle(thing: SceneObject, piece: Piece) -> tuple[float, float]:
    """Middle of a piece, seen from above."""
    if thing.kind != "truck":
        return piece.position[0], piece.position[1]
    x = 0.5 * (piece.shape.points[:, 0].max() + piece.shape.points[:, 0].min()) * piece.scale[0]
    return piece.position[0] + x * math.cos(piece.yaw), piece.position[1] + x * math.sin(piece.yaw)


def _object_pieces(thing: SceneObject, ident: int, light: Light, letters: Lettering) -> list[Piece]:
    if thing.kind == "traffic light":
        return light_pieces(thing, ident, 1.0)
    if thing.kind == "traffic sign":
        return sign_pieces(thing, ident, letters, 0.62 if light.lamp_light else 0.08)
    if thing.kind == "person":
        return person_pieces(thing, ident)
    if thing.kind in ("dog", "cat", "cow"):
        return animal_pieces(thing, ident)
    return vehicle_pieces(thing, ident, light.lamps)


def _majority(idents: Bytes) -> Bytes:
    """Most frequent of each two by two numbers; of equals, the first."""
    a, b, c, d = idents[0::2, 0::2], idents[0::2, 1::2], idents[1::2, 0::2], idents[1::2, 1::2]
    others = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where((a == b) | (a == c) | (a == d), a, others)


def _semantic_of_ident(scene: Scene) -> Bytes:
    table = np.full(256, VOID, np.uint8)
    table[:VOID] = np.arange(VOID)
    for number, thing in enumerate(scene.objects):
        table[FIRST_OBJECT + number] = BICYCLIST if thing.riding else SEMANTIC_OF_KIND[thing.kind]
    return table


def _visible_objects(scene: Scene, painted: Painted, idents: Bytes) -> tuple[VisibleObject, ...]:
    """Objects with enough pixels, largest first."""
    counts = np.bincount(idents.ravel(), minlength=256)
    objects = []
    for ident in np.flatnonzero(counts >= LEAST_PIXELS).tolist():
        if ident < FIRST_OBJECT:
            continue
        mask = idents == ident
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        number = ident - FIRST_OBJECT
        seen = int(counts[ident])
        visibility = _visibility(painted.outlines[ident], seen * OVERSAMPLING**2, painted.index.shape)
        objects.append(VisibleObject(number, _NAMES[scene.objects[number].kind], box, mask, visibility))
    return tuple(sorted(objects, key=lambda o: -int(counts[FIRST_OBJECT + o.index])))


def _visibility(outline: list[list[int]], seen: int, shape: tuple[int, ...]) -> float:
    """Share of the outline that is seen; ``seen`` counts pixels of the index picture."""
    xs = [x for points in outline for x in points[0::2]]
    ys = [y for points in outline for y in points[1::2]]
    # A thing beside the camera may reach very far out of the picture.
    left, top = max(min(xs), -2 * shape[1]), max(min(ys), -2 * shape[0])
    right, bottom = min(max(xs), 3 * shape[1]), min(max(ys), 3 * shape[0])
    canvas = Image.new("L", (max(right - left + 1, 1), max(bottom - top + 1, 1)), 0)
    polygon = ImageDraw.Draw(canvas).polygon
    for points in outline:
        polygon([p - (top if k % 2 else left) for k, p in enumerate(points)], fill=1)
    whole = canvas.histogram()[1]
    return min(seen / max(whole, 1), 1.0)
