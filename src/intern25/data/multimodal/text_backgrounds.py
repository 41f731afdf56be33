# SPDX-License-Identifier: MIT
"""What text stands on: plain signs, gradients, blotches like those of a photograph, grain and lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = NDArray[np.float32]
"""(red, green, blue), 0 to 255."""
Pixels = NDArray[np.float32]
"""``(H, W, 3)``, 0 to 255."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Inks:
    """Colours of a text and of what it stands on."""

    ground: Colour
    text: Colour
    contrast: float
    """Difference of their luminance, 0 to 255."""


def draw_inks(generator: np.random.Generator) -> Inks:
    """Draw two colours that can be told apart: their luminance differs by 50 at least, mostly by more."""
    contrast = 50.0 + 190.0 * float(generator.beta(1.7, 1.2))
    darker = float(generator.uniform(0.0, 255.0 - contrast))
    dark, light = _colour(generator, darker), _colour(generator, darker + contrast)
    if generator.random() < 0.5:
        return Inks(ground=light, text=dark, contrast=contrast)
    return Inks(ground=dark, text=light, contrast=contrast)


def _colour(generator: np.random.Generator, luminance: float) -> Colour:
    """A colour of this luminance; nearly half of them are greys."""
    strength = 0.0 if generator.random() < 0.45 else float(generator.beta(1.0, 1.6))
    hue = generator.uniform(-1.0, 1.0, 3).astype(np.float32)
    hue -= (hue * _LUMINANCE).sum()
    # The strongest colour of this hue and luminance that exists.
    room = np.where(hue > 0, 255.0 - luminance, luminance) / np.maximum(np.abs(hue), 1e-3)
    colour: Colour = (luminance + hue * (strength * room.min())).astype(np.float32)
    return colour


def draw_ground(
    generator: np.random.Generator, colour: Colour, contrast: float, size: tuple[int, int]
) -> Pixels:
    """Draw a background around a colour, ``(H, W, 3)``; it stays well below the contrast of the text.

    Args:
        generator: Source of randomness.
        colour: Mean colour.
        contrast: Difference in luminance between text and background.
        size: (height, width).
    """
    height, width = size
    ground = np.empty((height, width, 3), dtype=np.float32)
    ground[:] = colour
    strength = 0.25 * contrast
    if generator.random() < 0.4:
        ground += _gradient(generator, size, strength)[..., None]
    if generator.random() < 0.4:
        ground += blotches(generator, size, strength)
    if generator.random() < 0.2:
        grain = generator.normal(0.0, strength * 0.35, (height, width)).astype(np.float32)
        ground += grain[..., None]
    if generator.random() < 0.2:
        _rule_lines(generator, ground, contrast)
    return ground


def _gradient(generator: np.random.Generator, size: tuple[int, int], strength: float) -> NDArray[np.float32]:
    """A slope of light in some direction, ``(H, W)``."""
    angle = generator.uniform(0.0, 2.0 * np.pi)
    rows = np.linspace(-0.5, 0.5, size[0], dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    columns = np.linspace(-0.5, 0.5, size[1], dtype=np.float32) * np.float32(np.cos(angle))
    return (rows + columns) * np.float32(generator.uniform(0.2, 1.4) * strength)


def blotches(generator: np.random.Generator, size: tuple[int, int], strength: float) -> Pixels:
    """Smooth patches of light and colour, ``(H, W, 3)``, about zero."""
    rows, columns = int(generator.integers(2, 7)), int(generator.integers(2, 14))
    light = generator.normal(0.0, strength, (rows, columns, 1))
    tint = generator.normal(0.0, 0.3 * strength, (rows, columns, 3))
    coarse = (light + tint + 128.0).clip(0, 255).astype(np.uint8)
    kinds = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.NEAREST)
    kind = kinds[int(np.searchsorted((0.75, 0.96), generator.random()))]
    fine = Image.fromarray(coarse).resize((size[1], size[0]), kind)
    return np.asarray(fine, dtype=np.float32) - 128.0


def _rule_lines(generator: np.random.Generator, ground: Pixels, contrast: float) -> None:
    """Draw the edge of a sign or a seam near a border, in place."""
    height, width = ground.shape[:2]
    change = float(generator.choice((-1.0, 1.0)) * generator.uniform(0.3, 1.0) * contrast)
    thickness = int(generator.integers(1, 4))
    for side in range(4):
        if generator.random() < 0.4:
            at = int(generator.integers(0, max(1, (height if side < 2 else width) // 10)))
            line = (slice(at, at + thickness), slice(None))
            if side in (1, 3):
                line = (slice(-at - thickness, -at or None), slice(None))
            ground[line if side < 2 else line[::-1]] += change
