# SPDX-License-Identifier: MIT
"""Colours for classes of which nobody has chosen one: as many as there are classes, the same in each picture.

What is special: hues turn by the golden angle in the perceptual space OKLCH, so that neighbouring class
numbers look different and no colour shouts louder than another.
"""

from __future__ import annotations

import math
from functools import cache

from intern25.data.oklch import Color as Color
from intern25.data.oklch import srgb_from_oklch

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
    return srgb_from_oklch(lightness, _CHROMA, _FIRST_HUE + index * _GOLDEN_ANGLE)
