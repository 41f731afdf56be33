# SPDX-License-Identifier: MIT
"""Colours of drawings: of classes, and of text that can be read on them."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.data.distinct_colors import Color, distinct_color

WHITE: Color = (255, 255, 255)
INK: Color = (31, 35, 40)
MUTED: Color = (101, 109, 118)

# Below it the contrast with white is larger than that with ink (WCAG's formula).
_EQUAL_CONTRAST_LUMINANCE = 0.22


def class_color(label: int, palette: Sequence[Color] | None = None) -> Color:
    """Return the colour of class ``label``: from ``palette``, reused from its start, or else made."""
    return palette[label % len(palette)] if palette else distinct_color(label)


def text_color(background: Color) -> Color:
    """Return white or ink, whichever can be read on ``background``."""
    red, green, blue = (_linear(value / 255.0) for value in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return WHITE if luminance < _EQUAL_CONTRAST_LUMINANCE else INK


def _linear(encoded: float) -> float:
    return encoded / 12.92 if encoded <= 0.04045 else float(((encoded + 0.055) / 1.055) ** 2.4)
