# SPDX-License-Identifier: MIT
"""Colours of drawings: of classes, and of text that can be read on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from intern25.data.distinct_colors import Color, distinct_color
from intern25.data.oklch import oklch_from_srgb, relative_luminance, srgb_from_oklch

WHITE: Color = (255, 255, 255)
INK: Color = (31, 35, 40)
MUTED: Color = (101, 109, 118)

# Below it the contrast with white is larger than that with ink (WCAG's formula).
_EQUAL_CONTRAST_LUMINANCE = 0.22
# Lighter by, hue turned by degrees; of any two in a row one is lighter and one darker.
_SHADES = (
    (0.13, 30.0),
    (-0.13, -30.0),
    (0.08, -55.0),
    (-0.1, 50.0),
    (0.2, 0.0),
    (-0.2, 10.0),
    (0.04, 75.0),
)
_DARKEST, _LIGHTEST = 0.35, 0.92
# A grey class has shades of grey that nobody can tell apart.
_LEAST_CHROMA = 0.07


def class_color(label: int, palette: Sequence[Color] | None = None) -> Color:
    """Return the colour of class ``label``: from ``palette``, reused from its start, or else made."""
    return palette[label % len(palette)] if palette else distinct_color(label)


def shade(color: Color, number: int) -> Color:
    """Return ``color`` as the ``number``-th object of a class wears it: the first as it is, others near it.

    What is special: hue and lightness turn together, so that neighbours differ on a screen, in print and for
    the colour-blind, and still belong to their class.
    """
    if number == 0:
        return color
    lightness, chroma, hue = oklch_from_srgb(color)
    step = (number - 1) % len(_SHADES)
    lighter, turn = _SHADES[step]
    # Near black or white there is room on one side only.
    if not _DARKEST <= lightness + lighter <= _LIGHTEST:
        lighter = -lighter
    lightness = min(max(lightness + lighter, _DARKEST), _LIGHTEST)
    return srgb_from_oklch(lightness, max(chroma, _LEAST_CHROMA), hue + math.radians(turn))


def tint(color: Color, share: float) -> Color:
    """Return ``color`` mixed with a share of white."""
    red, green, blue = (round(value + share * (255 - value)) for value in color)
    return red, green, blue


def text_color(background: Color) -> Color:
    """Return white or ink, whichever can be read on ``background``."""
    return WHITE if relative_luminance(background) < _EQUAL_CONTRAST_LUMINANCE else INK
