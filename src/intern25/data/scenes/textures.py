# SPDX-License-Identifier: MIT
"""Pictures on polygons: smaller and smaller copies, and how they are laid on what has been painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture with its half, quarter, ... sizes.

    A texel is red, green, blue, how much it covers the paint below it, and how much it shines by itself.
    """

    levels: tuple[NDArray[np.float32], ...]
    """``(height, width, 5)``: three in 0..255, two in 0..1; each half the size of the last."""
    tile: tuple[float, float] | None = None
    """Width and height in metres of one copy where the picture is repeated."""


def build_texture(texels: NDArray[np.float32], tile: tuple[float, float] | None = None) -> Texture:
    """Make a texture from its largest picture ``(height, width, 5)``."""
    levels = [np.ascontiguousarray(texels, np.float32)]
    while min(levels[-1].shape[:2]) >= 4:
        last = levels[-1]
        height, width = last.shape[0] // 2 * 2, last.shape[1] // 2 * 2
        last = last[:height, :width]
        mean = (last[0::2, 0::2] + last[1::2, 0::2] + last[0::2, 1::2] + last[1::2, 1::2]) * np.float32(0.25)
        levels.append(np.asarray(mean))
    return Texture(tuple(levels), tile)


def texture_of(picture: Bytes, *, cover: float = 1.0, glow: float | Bytes = 0.0) -> Texture:
    """Make a texture from an RGB picture; ``glow`` may be an array ``(height, width)`` in 0..255."""
    texels = np.empty((*picture.shape[:2], 5), np.float32)
    texels[..., :3] = picture
    texels[..., 3] = cover
    texels[..., 4] = glow if isinstance(glow, float) else glow.astype(np.float32) / 255.0
    return build_texture(texels)


@dataclass(frozen=True, eq=False)
class Laying:
    """One textured polygon of a picture."""

    face: int
    """Number of the polygon in the index picture."""
    texture: Texture
    to_image: Floats
    """``(3, 3)``: (u, v, 1) of the unit square of the polygon to homogeneous pixels."""
    extent: tuple[float, float]
    """Width and height of the polygon, metres."""
    bounds: tuple[int, int, int, int]
    """Left, top, right, bottom of its pixels, the last two outside."""
    paint: Floats
    """Red, green, blue below the picture, unlit."""
    light: Floats
    """Factor of unlit colours, ``(3,)``."""
    haze: float
    """Share of the haze colour in 0..1."""


def lay(picture: Bytes, index: NDArray[np.int32], laying: Laying, haze_color: Floats) -> None:
    """Paint a texture onto the pixels of its polygon, in place."""
    left, top, right, bottom = laying.bounds
    rows, columns = np.nonzero(index[top:bottom, left:right] == laying.face)
    if not rows.size:
        return
    rows += top
    columns += left
    inverse = np.linalg.inv(laying.to_image)
    x, y = columns + 0.5, rows + 0.5
    w = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    u = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / w
    v = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / w
    texels = _sample(laying, u, v, float(rows.size))
    paint, light = laying.paint.astype(np.float32), laying.light.astype(np.float32)
    cover, glow = texels[:, 3:4], texels[:, 4:5]
    color = paint * (1 - cover) + texels[:, :3] * cover
    color *= light + (1 - light) * glow
    color += (haze_color.astype(np.float32) - color) * np.float32(laying.haze)
    picture[rows, columns, :3] = np.clip(color, 0, 255).astype(np.uint8)


def _sample(laying: Laying, u: Floats, v: Floats, pixels: float) -> NDArray[np.float32]:
    """Texels at (u, v) of the unit square, from the level whose texels are about as large as pixels."""
    texture = laying.texture
    repeat_u, repeat_v = 1.0, 1.0
    if texture.tile is not None:
        repeat_u, repeat_v = laying.extent[0] / texture.tile[0], laying.extent[1] / texture.tile[1]
    height, width = texture.levels[0].shape[:2]
    seen = max((float(u.max() - u.min())) * (float(v.max() - v.min())), 1e-6)
    texels_a_pixel = height * width * repeat_u * repeat_v * seen / pixels
    level = int(np.clip(np.floor(0.5 * np.log2(max(texels_a_pixel, 1.0)) + 0.35), 0, len(texture.levels) - 1))
    picture = texture.levels[level]
    height, width = picture.shape[:2]
    column = np.floor(u * (repeat_u * width)).astype(np.int64)
    row = np.floor(v * (repeat_v * height)).astype(np.int64)
    if texture.tile is None:
        return np.asarray(picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)])
    # Floors are counted from the ground.
    return np.asarray(picture[(row - int(repeat_v * height)) % height, column % width])
