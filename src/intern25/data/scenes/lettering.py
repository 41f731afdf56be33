# SPDX-License-Identifier: MIT
"""Text on boards."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lettering:
    """Font of the Chinese names on boards; without one, boards carry English names only.

    English names are in Pillow's own font, which is the same on every machine.
    """

    font: str | None = None
    """Path or name of a font file with Chinese characters."""

    @property
    def has_chinese(self) -> bool:
        """Whether boards carry Chinese names."""
        return self.font is not None

    def mask(self, text: str, height: int, *, weight: float = 0.0) -> Bytes:
        """Coverage of a text in 0..255, cut to its ink, ``(height, width)``.

        Args:
            text: One line.
            height: Of its ink, pixels.
            weight: Extra thickness of the strokes as a share of the height.

        Raises:
            ValueError: The text is Chinese and there is no Chinese font, or the font cannot be read.
        """
        font = None if text.isascii() else self.font
        if font is None and not text.isascii():
            raise ValueError(f"{text!r} needs a font with Chinese: Lettering(font='...')")
        return _mask(text, height, weight, font)


def lettering(font: str | os.PathLike[str] | None) -> Lettering:
    """Lettering with a Chinese font, or with none.

    Raises:
        ValueError: The font cannot be read.
    """
    if font is None:
        return Lettering()
    name = os.fspath(font)
    try:
        ImageFont.truetype(name, 16)
    except OSError as error:
        raise ValueError(
            f"the font {name} cannot be read: {error}; give a .ttf, .otf or .ttc file"
        ) from error
    return Lettering(name)


_DRAWN = 96
"""Height in pixels at which text is drawn before it is made smaller."""


@cache
def _mask(text: str, height: int, weight: float, font: str | None) -> Bytes:
    drawn = ImageFont.load_default(_DRAWN) if font is None else ImageFont.truetype(font, _DRAWN)
    stroke = round(weight * _DRAWN)
    canvas = Image.new("L", (_DRAWN * (len(text) + 2), 2 * _DRAWN), 0)
    ImageDraw.Draw(canvas).text((_DRAWN // 2, _DRAWN // 3), text, 255, font=drawn, stroke_width=stroke)
    box = canvas.getbbox()
    if box is None:
        return np.zeros((height, 1), np.uint8)
    inked = canvas.crop(box)
    width = max(round(inked.width * height / inked.height), 1)
    small = np.array(inked.resize((width, height), Image.Resampling.BOX))
    small.setflags(write=False)
    return small
