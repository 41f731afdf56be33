# SPDX-License-Identifier: MIT
"""Sizes of lines and text for any picture; small ones are enlarged so that names can be read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

# Below this many pixels a label covers what it names.
_READABLE_SIDE = 480
_MOST_ENLARGED = 12
_USUAL_SIDE = 720.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large things are drawn."""

    factor: int
    """Times the picture is enlarged."""
    line: int
    """Width of lines, pixels of the drawing."""
    text: int
    """Height of text, pixels of the drawing."""


def scale_of(width: int, height: int) -> Scale:
    """Return the sizes for a picture of ``width`` and ``height``."""
    longest = max(width, height)
    factor = 1 if longest >= _READABLE_SIDE else min(-(-_READABLE_SIDE // longest), _MOST_ENLARGED)
    relative = math.sqrt(width * height) * factor / _USUAL_SIDE
    return Scale(factor=factor, line=max(2, round(2.5 * relative)), text=max(11, round(16 * relative)))


def enlarged(image: Image.Image, scale: Scale) -> Image.Image:
    """Return a new RGB picture, ``scale.factor`` times as large."""
    size = image.width * scale.factor, image.height * scale.factor
    return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
