# SPDX-License-Identifier: MIT
"""Pieces to pixels: all corners are projected at once, polygons are painted from far to near.

What is special: polygons are painted once, as their numbers, into an index picture of twice the size.
Colours, masks, classes and textures are looked up from it, so they always agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from intern25.data.scenes.camera import Camera
from intern25.data.scenes.classes import PAVEMENT, ROAD, TREE
from intern25.data.scenes.geometry import Decal, Piece
from intern25.data.scenes.textures import Laying, lay
from intern25.data.scenes.weather import Light

Floats = NDArray[np.float64]

OVERSAMPLING = 2
NEAR = 0.4
"""Depth in metres before which nothing is seen."""
_FARTHEST = 2e6


@dataclass(frozen=True, eq=False)
class Painted:
    """The index picture and tables over its numbers; number 0 is the sky."""

    index: NDArray[np.int32]
    """``(2 height, 2 width)``."""
    colors: NDArray[np.uint8]
    """Of each number, ``(numbers, 3)``; black for the sky."""
    idents: NDArray[np.uint8]
    """What each number belongs to."""
    roughness: NDArray[np.float32]
    glow: NDArray[np.float32]
    ground: NDArray[np.float32]
    """1 for ground, 0 for the rest."""
    layings: tuple[Laying, ...]
    outlines: dict[int, list[list[int]]]
    """By ident: flat x, y lists of its polygons in the index picture, as painted."""

    def rgb(self, light: Light) -> NDArray[np.uint8]:
        """Colours with textures, sky black, ``(2 height, 2 width, 4)``; the fourth byte is 0."""
        # Four bytes at once are looked up faster than three.
        table = np.zeros((len(self.colors), 4), np.uint8)
        table[:, :3] = self.colors
        picture = table.view(np.uint32)[:, 0].take(self.index).view(np.uint8)
        picture = picture.reshape(*self.index.shape, 4)
        for laying in self.layings:
            lay(picture, self.index, laying, light.haze_color)
        return picture


def visible_pieces(pieces: Sequence[Piece], camera: Camera) -> list[Piece]:
    """Pieces that may be inside the picture: the cone around its corners meets their sphere."""
    fx, cx = camera.intrinsics[0, 0], camera.intrinsics[0, 2]
    side = max(cx, camera.size[1] - cx) / fx
    norm = math.sqrt(1 + side * side)
    right, _, forward = camera.rotation.tolist()
    tx, _, tz = camera.translation.tolist()
    kept = []
    for piece in pieces:
        x, y, z = piece.position
        radius = piece.shape.radius * max(piece.scale)
        depth = forward[0] * x + forward[1] * y + forward[2] * z + tz
        across = right[0] * x + right[1] * y + right[2] * z + tx
        if depth + radius > NEAR and abs(across) - side * depth < norm * radius:
            kept.append(piece)
    return kept


def paint(pieces: Sequence[Piece], camera: Camera, light: Light, keep: frozenset[int]) -> Painted:
    """Paint pieces in their order.

    Args:
        pieces: Far ones first.
        camera: Of the picture.
        light: Sun and haze.
        keep: Idents whose outlines are returned.
    """
    faces = _Faces(pieces, camera)
    height, width = (OVERSAMPLING * side for side in camera.size)
    seen = faces.seen(width, height)
    colors, lit, haze = faces.shades(light)
    image = Image.new("I", (width, height), 0)
    polygon = ImageDraw.Draw(image).polygon
    flat = faces.pixels.ravel().tolist()
    starts, stops = (2 * faces.starts).tolist(), (2 * (faces.starts + faces.counts)).tolist()
    idents, cut = faces.idents.tolist(), faces.cut.tolist()
    outlines: dict[int, list[list[int]]] = {ident: [] for ident in keep}
    for face in np.flatnonzero(seen).tolist():
        points = faces.clipped(face) if cut[face] else flat[starts[face] : stops[face]]
        if len(points) >= 6:
            polygon(points, fill=face + 1)
            if idents[face] in outlines:
                outlines[idents[face]].append(points)
    index = np.array(image)
    shown = np.bincount(index.ravel(), minlength=len(seen) + 1)[1:] > 0
    return Painted(
        index=index,
        colors=np.concatenate([np.zeros((1, 3), np.uint8), colors]),
        idents=np.concatenate([np.zeros(1, np.uint8), faces.idents]),
        roughness=np.concatenate([np.zeros(1), faces.roughness * (1 - haze)]).astype(np.float32),
        glow=np.concatenate([np.zeros(1, np.float32), faces.paints[:, 3].astype(np.float32)]),
        ground=np.concatenate([np.zeros(1, np.float32), faces.ground()]),
        layings=faces.layings(shown, lit, haze),
        outlines=outlines,
    )


class _Faces:
    """All polygons of a picture as arrays."""

    def __init__(self, pieces: Sequence[Piece], camera: Camera) -> None:
        self._pieces, self._camera = pieces, camera
        shapes = [piece.shape for piece in pieces]
        faces_of = np.array([len(shape) for shape in shapes])
        corners_of = np.array([len(shape.points) for shape in shapes])
        self._first_face = np.cumsum(faces_of) - faces_of
        self.counts = np.concatenate([shape.counts for shape in shapes])
        self.starts = np.cumsum(self.counts) - self.counts
        position = np.array([piece.position for piece in pieces])
        scale = np.array([piece.scale for piece in pieces])
        self._turn = turn = _turns(pieces, camera)
        points = np.concatenate([shape.points for shape in shapes]) * np.repeat(scale, corners_of, axis=0)
        self.points = _turned(points, np.repeat(turn, corners_of, axis=0))
        self.points += np.repeat(position, corners_of, axis=0)
        normals = np.concatenate([shape.normals for shape in shapes]) / np.repeat(scale, faces_of, axis=0)
        self.normals = _turned(normals, np.repeat(turn, faces_of, axis=0))
        length = np.sqrt((self.normals**2).sum(axis=1))
        self._two_sided = length < 1e-9
        self.normals /= np.maximum(length, 1e-9)[:, None]
        paints = np.array([paint for piece in pieces for paint in piece.paints])
        slots_of = np.array([len(piece.paints) for piece in pieces])
        first_slot = np.repeat(np.cumsum(slots_of) - slots_of, faces_of)
        self.paints = paints[np.concatenate([shape.slot_of for shape in shapes]) + first_slot]
        self.idents = np.repeat(np.array([piece.ident for piece in pieces], np.uint8), faces_of)
        self.roughness = np.repeat(np.array([piece.roughness for piece in pieces], np.float32), faces_of)
        self._in_camera = self.points @ camera.rotation.T + camera.translation
        depth = self._in_camera[:, 2]
        self._nearest = np.minimum.reduceat(depth, self.starts)
        self._farthest = np.maximum.reduceat(depth, self.starts)
        self.cut = self._nearest < NEAR
        self.pixels = self._to_pixels(self._in_camera)

    def _to_pixels(self, in_camera: Floats) -> NDArray[np.int64]:
        k = self._camera.intrinsics * OVERSAMPLING
        depth = np.maximum(in_camera[:, 2], NEAR)
        x = in_camera[:, 0] / depth * k[0, 0] + k[0, 2]
        y = in_camera[:, 1] / depth * k[1, 1] + k[1, 2]
        pixels = np.clip(np.floor(np.stack([x, y], axis=1)), -_FARTHEST, _FARTHEST)
        return np.asarray(pixels.astype(np.int64))

    def clipped(self, face: int) -> list[int]:
        """Flat x, y list of the part of a polygon that lies before the camera."""
        start = self.starts[face]
        points = self._in_camera[start : start + self.counts[face]].tolist()
        kept: list[list[float]] = []
        for before, after in zip(points[-1:] + points[:-1], points, strict=True):
            if (before[2] < NEAR) != (after[2] < NEAR):
                share = (NEAR - before[2]) / (after[2] - before[2])
                kept.append([b + share * (a - b) for b, a in zip(before, after, strict=True)])
            if after[2] >= NEAR:
                kept.append(after)
        (fx, _, cx), (_, fy, cy), _ = (self._camera.intrinsics * OVERSAMPLING).tolist()
        flat: list[int] = []
        for x, y, z in kept:
            flat += [_within(x / z * fx + cx), _within(y / z * fy + cy)]
        return flat

    def seen(self, width: int, height: int) -> NDArray[np.bool_]:
        """Polygons that face the camera and may touch the picture."""
        toward = ((self._camera.position - self.points[self.starts]) * self.normals).sum(axis=1)
        low = np.minimum.reduceat(self.pixels, self.starts, axis=0)
        high = np.maximum.reduceat(self.pixels, self.starts, axis=0)
        inside = (low[:, 0] < width) & (high[:, 0] >= 0) & (low[:, 1] < height) & (high[:, 1] >= 0)
        self._low, self._high = low, high
        return np.asarray((self._two_sided | (toward > 0)) & (inside | self.cut) & (self._farthest > NEAR))

    def shades(self, light: Light) -> tuple[NDArray[np.uint8], Floats, Floats]:
        """Colours, factors of light ``(faces, 3)`` and shares of haze ``(faces,)``."""
        sunny = np.maximum(self.normals @ light.direction, 0.0)
        sunny[self._two_sided] = light.on_upright
        lit = light.ambient * (0.86 + 0.14 * self.normals[:, 2:]) + light.sun * sunny[:, None]
        middle = np.maximum(0.5 * (np.maximum(self._nearest, NEAR) + self._farthest), NEAR)
        haze = 1.0 - np.exp(-light.haze_density * middle)
        glow = self.paints[:, 3:]
        color = self.paints[:, :3] * (lit * (1 - glow) + glow)
        haze = haze * (1 - 0.7 * self.paints[:, 3])
        color += (light.haze_color - color) * haze[:, None]
        return np.clip(color, 0, 255).astype(np.uint8), lit, haze

    def ground(self) -> NDArray[np.float32]:
        """1 for level polygons of road, pavement and grass, else 0."""
        level = self.normals[:, 2] > 0.999
        return (level & np.isin(self.idents, (ROAD, PAVEMENT, TREE))).astype(np.float32)

    def layings(self, shown: NDArray[np.bool_], lit: Floats, haze: Floats) -> tuple[Laying, ...]:
        """Textured polygons among those that have pixels."""
        k = self._camera.intrinsics.copy()
        k[:2] *= OVERSAMPLING
        found = []
        for number, piece in enumerate(self._pieces):
            for decal in piece.decals:
                face = int(self._first_face[number]) + decal.face
                if not shown[face]:
                    continue
                origin, down, across = self._frame(piece, decal, int(self.starts[face]), number)
                frame = np.stack([across - origin, down - origin, origin], axis=1)
                to_camera = self._camera.rotation @ frame
                to_camera[:, 2] += self._camera.translation
                found.append(
                    Laying(
                        face=face + 1,
                        texture=decal.texture,
                        to_image=k @ to_camera,
                        extent=(_length(across - origin), _length(down - origin)),
                        bounds=self._bounds(face),
                        paint=self.paints[face, :3],
                        light=lit[face],
                        haze=float(haze[face]),
                    )
                )
        return tuple(found)

    def _frame(self, piece: Piece, decal: Decal, start: int, number: int) -> list[Floats]:
        """Top left, bottom left and top right of a picture, in the ego frame."""
        if decal.frame is None:
            return [self.points[start + corner] for corner in (0, 1, 3)]
        points = np.array(decal.frame) * np.array(piece.scale)
        return list(_turned(points, self._turn[[number] * 3]) + np.array(piece.position))

    def _bounds(self, face: int) -> tuple[int, int, int, int]:
        height, width = (OVERSAMPLING * side for side in self._camera.size)
        if self.cut[face]:
            return 0, 0, width, height
        (left, top), (right, bottom) = self._low[face].tolist(), self._high[face].tolist()
        return max(left, 0), max(top, 0), min(right + 1, width), min(bottom + 1, height)


def _within(pixel: float) -> int:
    """Pixel that a coordinate lies in, not too far out for the painter's integers."""
    return math.floor(min(max(pixel, -_FARTHEST), _FARTHEST))


def _length(vector: Floats) -> float:
    return math.sqrt(float(vector @ vector))


def _turns(pieces: Sequence[Piece], camera: Camera) -> Floats:
    """Cosine and sine of each piece's yaw, ``(pieces, 2)``; billboards turn to the camera."""
    x0, y0, _ = camera.position.tolist()
    yaws = [
        math.atan2(y0 - piece.position[1], x0 - piece.position[0]) if piece.shape.billboard else piece.yaw
        for piece in pieces
    ]
    return np.array([(math.cos(yaw), math.sin(yaw)) for yaw in yaws])


def _turned(vectors: Floats, turn: Floats) -> Floats:
    """Vectors turned about z, ``(n, 3)``, by cosine and sine ``(n, 2)``."""
    cos, sin = turn[:, 0], turn[:, 1]
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([x * cos - y * sin, x * sin + y * cos, vectors[:, 2]], axis=1)
