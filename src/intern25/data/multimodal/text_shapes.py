# SPDX-License-Identifier: MIT
"""The shape of a text: its letters set with spacing, bent, turned and seen from the side."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.multimodal.fonts import Font

Coverage = NDArray[np.uint8]
"""How much of each pixel is ink, ``(H, W)``, 0 to 255."""

_SPACE = 0.3
"""Width of a space, in font sizes, where letters are set one by one."""


def set_text(font: Font, text: str, spacing: int) -> Coverage:
    """Set a line of text, cropped to its ink.

    Args:
        font: A font that has all characters.
        text: The text.
        spacing: Pixels between letters, besides what the font says; may be negative.

    Returns:
        ``(H, W)``, with ink in the first and last row and column.
    """
    if spacing == 0 or len(text) == 1:
        return _cropped(_letters(font, text)[0])
    placed, left = [], 0
    for char in text:
        if char.isspace():
            left += max(1, round(_SPACE * font.size)) + spacing
            continue
        ink, (x, y) = _letters(font, char)
        placed.append((ink, left + x, y))
        left += max(1, round(font.getlength(char)) + spacing)
    start = min(x for _, x, _ in placed)
    top = min(y for _, _, y in placed)
    height = max(y - top + ink.shape[0] for ink, _, y in placed)
    width = max(x - start + ink.shape[1] for ink, x, _ in placed)
    line = np.zeros((height, width), dtype=np.uint8)
    for ink, x, y in placed:
        part = line[y - top : y - top + ink.shape[0], x - start : x - start + ink.shape[1]]
        np.maximum(part, ink, out=part)
    return _cropped(line)


def _letters(font: Font, text: str) -> tuple[Coverage, tuple[int, int]]:
    """Ink of a piece of text, and where it stands from the pen's position (right, down)."""
    mask, (x, y) = font.getmask2(text, mode="L", anchor="ls")
    width, height = mask.size
    return np.frombuffer(bytes(mask), dtype=np.uint8).reshape(height, width), (int(x), int(y))


def _cropped(ink: Coverage) -> Coverage:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1), dtype=np.uint8)
    return np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def bent(ink: Coverage, rise: float, phase: float, turns: float) -> Coverage:
    """Bend a line of text along a wave.

    Column ``x`` of ``W`` is moved by ``rise * sin(phase + turns * pi * x / W)``; half a turn is an arch.

    Args:
        ink: ``(H, W)``.
        rise: Height of the wave in pixels.
        phase: Where on the wave the text begins.
        turns: Half waves along the text.
    """
    height, width = ink.shape
    wave = rise * np.sin(phase + turns * np.pi * np.arange(width) / max(width, 1))
    shift = np.rint(wave - wave.min()).astype(np.int64)
    rows = np.arange(height + int(shift.max()))[:, None] - shift
    inside = (rows >= 0) & (rows < height)
    moved = np.take_along_axis(ink, rows.clip(0, height - 1), axis=0)
    return np.where(inside, moved, 0).astype(np.uint8)


def seen_from_aside(
    ink: Coverage, angle: float, shear: float, pull: NDArray[np.float64], margins: tuple[int, int, int, int]
) -> Coverage:
    """Turn a line of text and look at it from the side; all of it stays inside.

    Args:
        ink: ``(H, W)``.
        angle: Turn in radians, counter-clockwise.
        shear: Slant of the letters, as a share of their height.
        pull: ``(4, 2)``, what moves the corners (top left, top right, bottom right, bottom left) inwards or
            outwards, as shares of the shorter side.
        margins: Free pixels to the left, top, right and bottom.

    Returns:
        ``(H', W')``, the text with its margins.
    """
    height, width = ink.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    # Corners that pass one another would turn the picture inside out.
    moved = corners + pull * min(height, width)
    moved[:, 0] += shear * (height - corners[:, 1])
    cosine, sine = math.cos(angle), math.sin(angle)
    moved = moved @ np.array([[cosine, -sine], [sine, cosine]])
    left, top, right, bottom = margins
    moved += np.array([left, top]) - moved.min(axis=0)
    size = np.ceil(moved.max(axis=0)).astype(np.int64) + np.array([right, bottom])
    picture = Image.fromarray(ink).transform(
        (int(size[0]), int(size[1])),
        Image.Transform.PERSPECTIVE,
        _homography(moved, corners),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(picture)


def _homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> list[float]:
    """Eight numbers ``a..h`` with ``x' = (a x + b y + c) / (g x + h y + 1)``, and ``y'`` likewise."""
    x, y = source.T
    u, v = target.T
    zero, one = np.zeros(4), np.ones(4)
    upper = np.stack([x, y, one, zero, zero, zero, -x * u, -y * u], axis=1)
    lower = np.stack([zero, zero, zero, x, y, one, -x * v, -y * v], axis=1)
    solution = np.linalg.solve(np.concatenate([upper, lower]), np.concatenate([u, v]))
    return [float(number) for number in solution]
