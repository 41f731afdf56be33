# SPDX-License-Identifier: MIT
"""Traffic signs and lights as pieces: plates and boxes with a picture on the front."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw

from intern25.data.scenes.geometry import Decal, Piece, Shape, box, build_shape, prism, quad_across
from intern25.data.scenes.lettering import Lettering
from intern25.data.scenes.scene import LightState, SceneObject
from intern25.data.scenes.sign_pictures import arrow_mask, sign_texture
from intern25.data.scenes.textures import Bytes, Texture, texture_of

_CORNERS = {"speed limit": 18, "no entry": 18, "no parking": 18, "stop": 8, "give way": 3}
# Top left, bottom left and top right of the square around a plate.
_AROUND = ((0.0, -0.5, 0.5), (0.0, -0.5, -0.5), (0.0, 0.5, 0.5))

LAMP = 20
"""Pixels of one lamp in the picture of a light."""
HEAD = (0.35, 0.52, 1.5)
"""Length, width and height of an upright light, metres."""
PANEL = 0.85
"""Width and height of the countdown panel, metres."""


@cache
def plate_shape(corners: int) -> Shape:
    """Shape of a plate of a unit square, seen from +x (its front) and -x (grey)."""
    if corners == 4:
        front = quad_across("face", 0.0, (-0.5, 0.5), (-0.5, 0.5), 1)
    else:
        if corners == 3:
            outline = [(-0.5, 0.45), (0.0, -0.45), (0.5, 0.45)]
        else:
            radius = 0.5 / math.cos(math.pi / corners)
            turns = [2 * math.pi * (k + 0.5) / corners for k in range(corners)]
            outline = [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]
        front = "face", [(0.0, y, z) for y, z in outline], False
    back = "back", [(-0.03, y, z) for _, y, z in list(front[1])[::-1]], False
    return build_shape([front, back])


def sign_pieces(thing: SceneObject, ident: int, letters: Lettering, shine: float) -> list[Piece]:
    """Pieces of a traffic sign; ``shine`` is how much it throws light back, in 0..1."""
    assert thing.sign is not None
    shape = plate_shape(_CORNERS.get(thing.sign.kind, 4))
    texture = sign_texture(thing.sign, letters, shine)
    return [
        Piece(
            shape=shape,
            position=thing.center,
            paints=((200.0, 200.0, 200.0, 0.0), (128.0, 130.0, 134.0, 0.0)),
            ident=ident,
            yaw=thing.yaw,
            scale=thing.size,
            roughness=0.0,
            decals=(Decal(0, texture, _AROUND),),
        )
    ]


@cache
def _head_shape() -> Shape:
    """Box of a light with unit sides; polygon 0 is its front."""
    return build_shape(
        [*box((-0.5, 0.49), 0.5, (-0.5, 0.5), "case"), quad_across("face", 0.5, (-0.5, 0.5), (-0.5, 0.5), 1)]
    )


@cache
def _visor_shape(lamps: int, horizontal: bool) -> Shape:
    """Hoods above the lamps of a light with unit sides."""
    polygons = []
    for k in range(lamps):
        at = (k + 0.5) / lamps - 0.5
        if horizontal:
            y0, y1, z = at - 0.38 / lamps, at + 0.38 / lamps, 0.42
        else:
            y0, y1, z = -0.38, 0.38, at + 0.42 / lamps
        middle = prism([(0.5, z, 0.5), (1.0, z - 0.01, 0.5), (0.5, z + 0.015, 0.5)], "case", "case")
        for slot, points, both in middle:
            polygons.append((slot, [(x, y0 + (y + 0.5) * (y1 - y0), pz) for x, y, pz in points], both))
    return build_shape(polygons)


def light_size(state: LightState) -> tuple[float, float, float]:
    """Length, width and height of a light with its countdown panel, metres."""
    depth, width, height = HEAD
    lamps = 2 if state.shape == "pedestrian" else 3
    height *= lamps / 3
    if state.horizontal:
        width, height = height, width
    if state.countdown is not None:
        width, height = width + PANEL + 0.05, max(height, PANEL)
    return depth, width, height


def light_pieces(thing: SceneObject, ident: int, glow: float) -> list[Piece]:
    """Pieces of a traffic light; ``glow`` is how much its lamps shine by themselves, in 0..1."""
    state = thing.light
    assert state is not None
    alone = light_size(LightState(color=state.color, shape=state.shape, horizontal=state.horizontal))
    scale = thing.size[2] / light_size(state)[2]
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    lamps = 2 if state.shape == "pedestrian" else 3

    def piece(
        shape: Shape, across: float, size: tuple[float, float, float], texture: Texture | None
    ) -> Piece:
        x, y, z = thing.center
        decals = () if texture is None else (Decal(len(shape) - 1, texture),)
        return Piece(
            shape=shape,
            position=(x - sin * across, y + cos * across, z),
            paints=tuple((30.0, 32.0, 34.0, 0.0) for _ in shape.slots),
            ident=ident,
            yaw=thing.yaw,
            scale=(size[0] * scale, size[1] * scale, size[2] * scale),
            roughness=0.0,
            decals=decals,
        )

    head_at = 0.0 if state.countdown is None else 0.5 * (PANEL + 0.05) * scale
    head = piece(
        _head_shape(), -head_at, alone, head_texture(state.color, state.shape, state.horizontal, glow)
    )
    pieces = [head, piece(_visor_shape(lamps, state.horizontal), -head_at, alone, None)]
    if state.countdown is not None:
        panel_at = 0.5 * (alone[1] + 0.05) * scale
        texture = countdown_texture(state.countdown, state.color, glow)
        pieces.append(piece(_head_shape(), panel_at, (HEAD[0] * 0.6, PANEL, PANEL), texture))
    return pieces


_LIT = {"red": (255, 44, 36), "yellow": (255, 196, 26), "green": (34, 238, 140)}
_UNLIT = {"red": (62, 18, 18), "yellow": (60, 48, 14), "green": (12, 50, 36)}


@lru_cache(maxsize=128)
def head_texture(color: str, shape: str, horizontal: bool, glow: float) -> Texture:
    """Picture of the lamps of a light; red is at the top or on the left."""
    order = ("red", "green") if shape == "pedestrian" else ("red", "yellow", "green")
    long, short = LAMP * len(order) + 4, LAMP + 4
    picture = np.full((short, long, 3) if horizontal else (long, short, 3), (26, 28, 30), np.uint8)
    shining = np.zeros(picture.shape[:2], np.uint8)
    for k, lamp in enumerate(order):
        lit = lamp == color
        mask = _lamp_mask(shape if lit else "round", lamp)
        along, across = slice(2 + LAMP * k, 2 + LAMP * (k + 1)), slice(2, 2 + LAMP)
        window = (across, along) if horizontal else (along, across)
        ink = np.array(_LIT[lamp] if lit else _UNLIT[lamp], np.float32)
        below = picture[window]
        picture[window] = (below + (ink - below) * (mask[..., None].astype(np.float32) / 255)).astype(
            np.uint8
        )
        if lit:
            shining[window] = (mask * np.float32(glow)).astype(np.uint8)
    return texture_of(picture, glow=shining)


def _lamp_mask(shape: str, lamp: str) -> Bytes:
    """Coverage of what shines, ``(LAMP, LAMP)``."""
    if shape in ("left", "straight"):
        mask = np.zeros((LAMP, LAMP), np.uint8)
        mask[1:-1, 1:-1] = arrow_mask("left" if shape == "left" else "straight", LAMP - 2)
        return mask
    fine = 4
    image = Image.new("L", (LAMP * fine, LAMP * fine), 0)
    draw = ImageDraw.Draw(image)
    if shape == "round":
        draw.ellipse([fine, fine, (LAMP - 1) * fine, (LAMP - 1) * fine], 255)
        return np.array(image.reduce(fine))
    side = LAMP * fine

    def line(points: list[tuple[float, float]], width: float) -> None:
        draw.line([(x * side, y * side) for x, y in points], 255, width=round(width * side), joint="curve")

    draw.ellipse([0.4 * side, 0.04 * side, 0.6 * side, 0.24 * side], 255)
    line([(0.5, 0.26), (0.5, 0.6)], 0.2)
    if lamp == "red":
        line([(0.45, 0.56), (0.45, 0.96)], 0.1)
        line([(0.56, 0.56), (0.56, 0.96)], 0.1)
        line([(0.36, 0.3), (0.36, 0.6)], 0.08)
        line([(0.65, 0.3), (0.65, 0.6)], 0.08)
    else:
        line([(0.48, 0.56), (0.3, 0.95)], 0.11)
        line([(0.52, 0.56), (0.72, 0.95)], 0.11)
        line([(0.46, 0.3), (0.26, 0.5)], 0.08)
        line([(0.54, 0.3), (0.74, 0.5)], 0.08)
    return np.array(image.reduce(fine))


# Top, upper left, upper right, middle, lower left, lower right, bottom.
_SEGMENTS = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)


@lru_cache(maxsize=512)
def countdown_texture(seconds: int, color: str, glow: float) -> Texture:
    """Picture of a countdown panel with one or two digits of seven segments."""
    digits = str(seconds)
    side = 40
    mask = np.zeros((side, side), np.uint8)
    width, height, thick = 13, 30, 4
    left = side // 2 - 7 if len(digits) == 1 else 4
    for digit in digits:
        bars = (
            (slice(0, thick), slice(1, width)),
            (slice(1, height // 2), slice(0, thick)),
            (slice(1, height // 2), slice(width - thick + 1, width + 1)),
            (slice(height // 2 - 2, height // 2 + 2), slice(1, width)),
            (slice(height // 2, height - 1), slice(0, thick)),
            (slice(height // 2, height - 1), slice(width - thick + 1, width + 1)),
            (slice(height - thick, height), slice(1, width)),
        )
        window = mask[5 : 5 + height, left : left + width + 1]
        for lit, bar in zip(_SEGMENTS[int(digit)], bars, strict=True):
            if lit == "1":
                window[bar] = 255
        left += 18
    amount = mask[..., None].astype(np.float32) / 255
    background = np.array((18, 18, 20), np.float32)
    picture = background + (np.array(_LIT[color], np.float32) - background) * amount
    return texture_of(picture.astype(np.uint8), glow=(mask * np.float32(glow)).astype(np.uint8))
