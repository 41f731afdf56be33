# SPDX-License-Identifier: MIT
"""Windows and shops of buildings, as pictures that repeat along a wall."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from intern25.data.scenes.textures import Texture, build_texture

Texels = NDArray[np.float32]

FACADES = 5
"""Number of window styles."""
_CELL = 24
"""Pixels of one window with the wall around it."""
_COLUMNS, _FLOORS = 6, 5
_CELL_METRES = 3.2

# Left, right, top, bottom of the window in its cell, frame thickness; in pixels.
_WINDOWS = (
    (7, 17, 5, 19, 1),
    (1, 23, 8, 19, 1),
    (4, 20, 4, 20, 2),
    (8, 16, 3, 20, 1),
    (3, 21, 3, 22, 1),
)


@cache
def facade_texture(style: int, lit: bool) -> Texture:
    """Windows of a style; ``lit`` turns lights on behind some of them."""
    left, right, top, bottom, frame = _WINDOWS[style]
    generator = np.random.default_rng(100 + style)
    texels = np.zeros((_CELL * _FLOORS, _CELL * _COLUMNS, 5), np.float32)
    for floor in range(_FLOORS):
        for column in range(_COLUMNS):
            cell = texels[floor * _CELL : (floor + 1) * _CELL, column * _CELL : (column + 1) * _CELL]
            cell[top - frame : bottom + frame, left - frame : right + frame] = (222, 220, 214, 0.75, 0)
            cell[bottom + frame : bottom + frame + 1, left - 2 : right + 2] = (70, 66, 62, 0.6, 0)
            cell[top:bottom, left:right] = _pane(generator, lit)
            if right - left > 12 or style == 3:
                middle = (left + right) // 2
                cell[top:bottom, middle : middle + 1] = (205, 204, 200, 0.8, 0)
            if style == 2:
                cell[bottom - 5 : bottom + 2, left - 2 : right + 2] = (200, 200, 200, 0.55, 0)
    return build_texture(texels, (_COLUMNS * _CELL_METRES, _FLOORS * _CELL_METRES))


def _pane(generator: np.random.Generator, lit: bool) -> tuple[float, float, float, float, float]:
    """Texel of a window pane: dark glass, a bit of sky, or a lamp behind it."""
    draw, shade = generator.random(2)
    if lit and draw < 0.4:
        return 255, 205 + 35 * shade, 120 + 80 * shade, 1.0, 0.55 + 0.4 * shade
    sky = 30 * (draw > 0.6)
    return 44 + 30 * shade + sky, 54 + 32 * shade + sky, 66 + 36 * shade + sky, 1.0, 0.0


SHOP_HEIGHT = 3.4
"""Metres of the ground floor with shops."""
_FASCIAS = ((170, 40, 40), (30, 80, 140), (40, 110, 70), (220, 180, 60), (60, 50, 60), (200, 110, 40))


@cache
def shop_texture(number: int, lit: bool) -> Texture:
    """Shop windows below coloured boards."""
    generator = np.random.default_rng(200 + number)
    height, width = 34, 180
    texels = np.zeros((height, width, 5), np.float32)
    texels[:] = (70, 66, 64, 1.0, 0.0)
    start = 0
    while start < width:
        stop = min(start + int(generator.integers(36, 64)), width)
        fascia = _FASCIAS[int(generator.integers(len(_FASCIAS)))]
        texels[1:9, start : stop - 1] = (*fascia, 1.0, 0.45 if lit else 0.0)
        # A few bright strokes where a name would be.
        for x in range(start + 8, stop - 10, 4):
            if generator.random() < 0.7:
                texels[3:7, x : x + 2] = (240, 236, 226, 1.0, 0.6 if lit else 0.0)
        glass = (250, 226, 170, 1.0, 0.75) if lit else (58, 66, 76, 1.0, 0.0)
        door = start + 4 + int(generator.integers(max(stop - start - 16, 1)))
        texels[11:31, start + 2 : stop - 3] = glass
        texels[11:34, door : door + 8] = (52, 44, 40, 1.0, 0.0)
        if not lit:
            texels[14:26, start + 5 : stop - 8 : 5] = (110, 112, 116, 1.0, 0.0)
        start = stop
    return build_texture(texels, (18.0, SHOP_HEIGHT))
