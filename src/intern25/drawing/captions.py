# SPDX-License-Identifier: MIT
"""Names on coloured plates, written where they find room on a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from intern25.data.distinct_colors import Color
from intern25.drawing.colors import text_color
from intern25.drawing.fonts import Font
from intern25.drawing.labels import Point, Rectangle, place_labels

MOST_TEXT = 0.15
"""Names that would cover more than this share of the picture go to the legend."""


def share_of_texts(texts: Sequence[str], font: Font, canvas: tuple[int, int]) -> float:
    """Return the share of a picture of ``canvas`` (width, height) that the texts would cover."""
    return sum(map(font.getlength, texts)) * sum(_height(font)) / (canvas[0] * canvas[1])


def write_texts(
    canvas: Image.Image,
    boxes: Sequence[Rectangle],
    colors: Sequence[Color],
    texts: Sequence[str],
    font: Font,
    *,
    centers: Sequence[Point] | None = None,
) -> bool:
    """Write one text a box where it fits, and return whether all did.

    Args:
        canvas: What to write on.
        boxes: Boxes of the objects, the most important first.
        colors: Colour of each text's plate.
        texts: What to write.
        font: Font of the texts.
        centers: The best place for the middle of each text; None for the corners of the boxes.
    """
    ascent, descent = _height(font)
    padding = max(2, round(0.22 * (ascent + descent)))
    height = ascent + descent + padding
    sizes = [(font.getlength(text) + 2 * padding, height) for text in texts]
    places = place_labels(boxes, sizes, canvas.size, centers=centers)
    pen = ImageDraw.Draw(canvas)
    for place, color, text in zip(places, colors, texts, strict=True):
        if place is None:
            continue
        left, top, right, bottom = place
        pen.rounded_rectangle((left, top, right - 1, bottom - 1), padding, fill=color)
        middle = ((left + right) / 2, (top + bottom) / 2)
        pen.text(middle, text, fill=text_color(color), font=font, anchor="mm")
    return None not in places


def _height(font: Font) -> tuple[float, float]:
    """Height of the tallest letters above and below the baseline."""
    _, top, _, bottom = font.getbbox("Ag汉", anchor="ls")
    return -top, bottom
