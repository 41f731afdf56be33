# SPDX-License-Identifier: MIT
"""Colours as lightness, chroma and hue in OKLCH, where equal steps look equally large, and back.

Source:
    Oklab, Bjorn Ottosson (2020).
"""

from __future__ import annotations

import math

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


def srgb_from_oklch(lightness: float, chroma: float, hue: float) -> Color:
    """Return the colour; outside sRGB it loses chroma until it fits.

    Args:
        lightness: 0 black to 1 white.
        chroma: 0 grey; clear colours have some 0.15.
        hue: Angle, radians.
    """
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


def oklch_from_srgb(color: Color) -> tuple[float, float, float]:
    """Return lightness, chroma and hue of a colour; the inverse of :func:`srgb_from_oklch`.

    Example:
        >>> lightness, chroma, hue = oklch_from_srgb((255, 0, 0))
        >>> round(lightness, 3), round(chroma, 3), round(math.degrees(hue), 1)
        (0.628, 0.258, 29.2)
    """
    red, green, blue = (_linear(value / 255.0) for value in color)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


def relative_luminance(color: Color) -> float:
    """Return the light that a colour gives, 0 to 1, as WCAG counts it."""
    red, green, blue = (_linear(value / 255.0) for value in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _encoded(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _linear(encoded: float) -> float:
    return encoded / 12.92 if encoded <= 0.04045 else float(((encoded + 0.055) / 1.055) ** 2.4)
