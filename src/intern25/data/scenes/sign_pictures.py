# SPDX-License-Identifier: MIT
"""What is printed on traffic signs and boards."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from intern25.data.scenes.classes import PLACES, Rgb
from intern25.data.scenes.lettering import Lettering
from intern25.data.scenes.scene import Destination, SignFace, Turn
from intern25.data.scenes.textures import Texture, texture_of

Bytes = NDArray[np.uint8]

RED: Rgb = (206, 22, 34)
BLUE: Rgb = (18, 84, 178)
GREEN: Rgb = (0, 118, 78)
WHITE: Rgb = (246, 246, 246)
BLACK: Rgb = (20, 20, 22)

_SIDE = 64
_FINE = 4
ROW_HEIGHT, ROW_WIDTH = 44, 150
"""Pixels of one line of a board."""


@lru_cache(maxsize=512)
def sign_texture(face: SignFace, letters: Lettering, shine: float) -> Texture:
    """Picture of a sign.

    Args:
        face: What it shows.
        letters: Font of Chinese names.
        shine: How much it shines by itself, in 0..1; signs throw headlights back.
    """
    return texture_of(_picture(face, letters), glow=shine)


def _picture(face: SignFace, letters: Lettering) -> Bytes:
    if face.kind == "direction":
        return _board([_row(line, face.board, letters) for line in face.destinations], face.board)
    if face.kind == "tunnel":
        return _board([_tunnel_name(face, letters)], face.board)
    if face.kind == "speed limit":
        return _speed_limit(str(face.limit), letters)
    image = Image.new("RGB", (_SIDE * _FINE, _SIDE * _FINE), WHITE)
    draw = ImageDraw.Draw(image)
    {
        "stop": _stop,
        "no entry": _no_entry,
        "give way": _give_way,
        "no parking": _no_parking,
        "pedestrian crossing": _pedestrian_crossing,
    }[face.kind](draw, _SIDE * _FINE)
    picture = np.array(image.reduce(_FINE))
    if face.kind == "stop":
        _print(picture, letters.mask("STOP", 17, weight=0.04), WHITE, (_SIDE / 2, _SIDE / 2))
    return picture


def _speed_limit(number: str, letters: Lettering) -> Bytes:
    image = Image.new("RGB", (_SIDE * _FINE, _SIDE * _FINE), RED)
    margin = 8.5 * _FINE
    ImageDraw.Draw(image).ellipse([margin, margin, _SIDE * _FINE - margin, _SIDE * _FINE - margin], WHITE)
    picture = np.array(image.reduce(_FINE))
    height = 27 if len(number) == 2 else 22
    mask = letters.mask(number, height, weight=0.05)
    _print(picture, mask, BLACK, (_SIDE / 2, _SIDE / 2))
    return picture


def _stop(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle([0, 0, side, side], WHITE)
    ring = [
        (side / 2 + 0.505 * side * math.cos(math.pi / 8 * (2 * k + 1)),
         side / 2 + 0.505 * side * math.sin(math.pi / 8 * (2 * k + 1)))
        for k in range(8)
    ]  # fmt: skip
    draw.polygon(ring, RED)


def _no_entry(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle([0, 0, side, side], RED)
    draw.rectangle([0.17 * side, 0.41 * side, 0.83 * side, 0.59 * side], WHITE)


def _give_way(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle([0, 0, side, side], RED)
    draw.polygon([(0.19 * side, 0.1 * side), (0.81 * side, 0.1 * side), (0.5 * side, 0.66 * side)], WHITE)


def _no_parking(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle([0, 0, side, side], RED)
    margin = 0.12 * side
    draw.ellipse([margin, margin, side - margin, side - margin], BLUE)
    draw.line([(0.2 * side, 0.2 * side), (0.8 * side, 0.8 * side)], RED, width=round(0.12 * side))


def _pedestrian_crossing(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle([0, 0, side, side], BLUE)
    draw.polygon([(0.5 * side, 0.08 * side), (0.94 * side, 0.86 * side), (0.06 * side, 0.86 * side)], WHITE)
    draw.ellipse([0.45 * side, 0.28 * side, 0.55 * side, 0.38 * side], BLACK)
    width = round(0.07 * side)
    for line in (
        [(0.5, 0.38), (0.49, 0.58)],
        [(0.49, 0.56), (0.4, 0.76)],
        [(0.49, 0.56), (0.6, 0.76)],
        [(0.5, 0.43), (0.39, 0.52)],
        [(0.5, 0.43), (0.61, 0.52)],
    ):
        draw.line([(x * side, y * side) for x, y in line], BLACK, width=width)
    for k in range(5):
        draw.rectangle([(0.17 + 0.15 * k) * side, 0.78 * side, (0.23 + 0.15 * k) * side, 0.84 * side], BLACK)


def _print(picture: Bytes, mask: Bytes, color: Rgb, center: tuple[float, float]) -> None:
    """Print ink of a colour with its middle at (x, y), in place; what does not fit is cut off."""
    height, width = mask.shape
    top, left = round(center[1] - height / 2), round(center[0] - width / 2)
    rows = slice(max(top, 0), min(top + height, picture.shape[0]))
    columns = slice(max(left, 0), min(left + width, picture.shape[1]))
    part = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    amount = part[..., None].astype(np.float32) / 255
    window = picture[rows, columns]
    window[:] = (window + (np.array(color, np.float32) - window) * amount).astype(np.uint8)


@lru_cache(maxsize=512)
def _row(line: Destination, board: str, letters: Lettering) -> Bytes:
    """One line of a direction sign: an arrow and the names of a place."""
    picture = _blank(board)
    to_right = line.turn == "right"
    arrow_at = ROW_WIDTH - 24 if to_right else 24
    _print(picture, arrow_mask(line.turn, 34), WHITE, (arrow_at, ROW_HEIGHT / 2))
    middle = ROW_WIDTH / 2 - 21 if to_right else ROW_WIDTH / 2 + 21
    english, chinese = PLACES[line.place]
    if letters.has_chinese:
        _print(picture, _narrow(letters.mask(chinese, 23, weight=0.02)), WHITE, (middle, 15))
        _print(picture, _narrow(letters.mask(english, 11, weight=0.02)), WHITE, (middle, 34))
    else:
        _print(picture, _narrow(letters.mask(english, 21, weight=0.03)), WHITE, (middle, ROW_HEIGHT / 2))
    picture.setflags(write=False)
    return picture


def _tunnel_name(face: SignFace, letters: Lettering) -> Bytes:
    picture = _blank(face.board)
    english, chinese = PLACES[face.destinations[0].place]
    if letters.has_chinese:
        _print(picture, letters.mask(f"{chinese}隧道", 23, weight=0.02), WHITE, (ROW_WIDTH / 2, 16))
        _print(picture, letters.mask(f"{english} Tunnel", 11, weight=0.02), WHITE, (ROW_WIDTH / 2, 35))
    else:
        _print(picture, letters.mask(english, 16, weight=0.03), WHITE, (ROW_WIDTH / 2, 13))
        _print(picture, letters.mask("Tunnel", 14, weight=0.03), WHITE, (ROW_WIDTH / 2, 33))
    return picture


def _narrow(mask: Bytes, room: int = ROW_WIDTH - 50) -> Bytes:
    """Squeeze a text that is too wide for its line."""
    if mask.shape[1] <= room:
        return mask
    return np.array(Image.fromarray(mask).resize((room, mask.shape[0]), Image.Resampling.BOX))


def _blank(board: str) -> Bytes:
    return np.full((ROW_HEIGHT, ROW_WIDTH, 3), BLUE if board == "blue" else GREEN, np.uint8)


def _board(rows: list[Bytes], board: str) -> Bytes:
    picture = np.concatenate(rows)
    height, width = picture.shape[:2]
    for edge in (picture[1:3, 1:-1], picture[height - 3 : height - 1, 1:-1]):
        edge[:] = WHITE
    for edge in (picture[1:-1, 1:3], picture[1:-1, width - 3 : width - 1]):
        edge[:] = WHITE
    return picture


@lru_cache(maxsize=64)
def arrow_mask(turn: Turn, side: int) -> Bytes:
    """Coverage of an arrow to the left, the right or upwards, ``(side, side)``, 0..255."""
    image = Image.new("L", (side * _FINE, side * _FINE), 0)
    points = [(0.5, 0.04), (0.92, 0.48), (0.62, 0.48), (0.62, 0.96), (0.38, 0.96), (0.38, 0.48), (0.08, 0.48)]
    if turn == "left":
        points = [(y, 1 - x) for x, y in points]
    elif turn == "right":
        points = [(1 - y, x) for x, y in points]
    ImageDraw.Draw(image).polygon([(x * side * _FINE, y * side * _FINE) for x, y in points], 255)
    return np.array(image.reduce(_FINE))
