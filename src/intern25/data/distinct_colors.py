# SPDX-License-Identifier: MIT
"""Colours for classes of which nobody has chosen one: as many as there are classes, the same in each picture.

What is special: hues turn by the golden angle in the perceptual space OKLCH, so that neighbouring class
numbers look different and no colour shouts louder than another.
"""

from __future__ import annotations

import math
from functools import cache

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
# The first class is a clear blue.
_FIRST_HUE = math.radians(255.0)
_LIGHTNESS = (0.64, 0.76, 0.55)
# Hues come back near themselves after 8, 13, 21, ... classes: the lightness changes every 7.
_CLASSES_OF_ONE_LIGHTNESS = 7
_CHROMA = 0.17


def distinct_colors(number: int) -> tuple[Color, ...]:
    """Return colours far from their neighbours, the first ones far from each other.

    Example:
        >>> len(set(distinct_colors(100)))
        100
    """
    return tuple(distinct_color(index) for index in range(number))


@cache
def distinct_color(index: int) -> Color:
    """Return the colour of class ``index`` of :func:`distinct_colors`."""
    lightness = _LIGHTNESS[index // _CLASSES_OF_ONE_LIGHTNESS % len(_LIGHTNESS)]
    return _srgb_from_oklch(lightness, _CHROMA, _FIRST_HUE + index * _GOLDEN_ANGLE)


def _srgb_from_oklch(lightness: float, chroma: float, hue: float) -> Color:
    """Oklab by Bjorn Ottosson (2020); colours outside sRGB lose chroma until they fit."""
    while True:
        a, b = chroma * math.cos(hue), chroma * math.sin(hue)
        long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        linear = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if chroma < 0.01 or all(0.0 <= value <= 1.0 for value in linear):
            red, green, blue = (round(255.0 * _encoded(min(max(value, 0.0), 1.0))) for value in linear)
            return red, green, blue
        chroma *= 0.95


def _encoded(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
