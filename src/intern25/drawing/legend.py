# SPDX-License-Identifier: MIT
"""A strip below a picture that names its colours."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from intern25.data.distinct_colors import Color
from intern25.drawing.colors import INK, MUTED, WHITE
from intern25.drawing.fonts import Font, shorten

Entry = tuple[Color, str, str]
"""Colour, name, and what stands after the name."""


def with_legend(picture: Image.Image, entries: Sequence[Entry], font: Font, text_size: int) -> Image.Image:
    """Return ``picture`` with the legend of ``entries`` below it, in as many columns as fit.

    Args:
        picture: RGB picture.
        entries: Rows of the legend, read line by line.
        font: Font of the text.
        text_size: Height of the text, pixels.
    """
    if not entries:
        return picture
    margin, row_height = text_size, round(1.7 * text_size)
    swatch = round(1.1 * text_size)
    room = picture.width - 2 * margin
    gap = round(0.6 * text_size)
    widest = max(font.getlength(f"{name} {note}") for _, name, note in entries) + swatch + gap
    columns = min(max(1, int((room + margin) / (widest + margin))), len(entries))
    column = (room + margin) / columns
    rows = -(-len(entries) // columns)
    canvas = Image.new("RGB", (picture.width, picture.height + rows * row_height + 2 * (margin // 2)), WHITE)
    canvas.paste(picture)
    pen = ImageDraw.Draw(canvas)
    for number, (color, name, note) in enumerate(entries):
        left = margin + number % columns * column
        middle = picture.height + margin // 2 + (number // columns + 0.5) * row_height
        corner = (left, middle - swatch / 2, left + swatch, middle + swatch / 2)
        pen.rounded_rectangle(corner, swatch // 4, fill=color)
        text_left = left + swatch + gap
        note_width = font.getlength(f" {note}") if note else 0.0
        name = shorten(name, font, column - margin - swatch - gap - note_width)
        pen.text((text_left, middle), name, fill=INK, font=font, anchor="lm")
        pen.text((text_left + font.getlength(f"{name} "), middle), note, fill=MUTED, font=font, anchor="lm")
    return canvas
