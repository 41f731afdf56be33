# SPDX-License-Identifier: MIT
"""A picture with a question and its answer, or a caption, below it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from intern25.data.multimodal.rows import language_of
from intern25.drawing.canvas import Scale, enlarged, scale_of
from intern25.drawing.colors import INK, MUTED, WHITE, class_color
from intern25.drawing.fonts import Font, choose_font, shorten

if TYPE_CHECKING:
    from intern25.data.distinct_colors import Color
    from intern25.results.text import Box, Text

_CLOSING = " ,.!?;:)]，。！？；：、）》」』”’"
_LINE_HEIGHT = 1.5
"""Distance of lines over the height of the text."""


def draw_text(
    result: Text, *, font: str | os.PathLike[str] | None = None, lines: int | None = None
) -> Image.Image:
    """Draw the picture and below it the question, the text, and how sure the model is of it.

    Args:
        result: What to draw.
        font: Font file, trusted to have the characters; None for the system's.
        lines: Height of the text in lines, more are cut; None for as many as it takes.

    Returns:
        A new RGB picture.

    Raises:
        ValueError: ``result`` holds no picture, ``lines`` is below 1, or no font with Chinese is found.
        OSError: ``font`` cannot be read.
    """
    if result.image is None:
        raise ValueError("this result holds no picture to draw; it was made without one, or read from JSON")
    if lines is not None and lines < 1:
        raise ValueError(f"lines={lines} must be 1 or more")
    scale = scale_of(result.image.width, result.image.height)
    text_font = _font_for(f"{result.question or ''}{result.text}", font, scale.text)
    picture = enlarged(result.image, scale)
    if result.box is not None:
        _draw_box(picture, result.box, scale)
    rows = _rows(result, text_font, picture.width - 2 * scale.text)
    if lines is not None:
        rows = _cut(rows, lines, text_font, picture.width - 2 * scale.text)
    return _with_rows(picture, rows, text_font, scale.text, lines or len(rows))


def wrapped(text: str, font: Font, room: float) -> list[str]:
    """Break ``text`` into lines of at most ``room`` pixels: between words, in Chinese between characters.

    Example:
        >>> from PIL import ImageFont
        >>> wrapped("a red bus", ImageFont.load_default(20), 60.0)
        ['a red', 'bus']
    """
    lines, line = [], ""
    for piece in _pieces(text):
        if line and font.getlength((line + piece).rstrip()) > room:
            lines.append(line.rstrip())
            line = ""
        line = (line + piece).lstrip()
        # A word that no line holds is broken where the room ends.
        while len(line) > 1 and font.getlength(line.rstrip()) > room:
            end = next(k for k in range(len(line) - 1, 0, -1) if k == 1 or font.getlength(line[:k]) <= room)
            lines.append(line[:end])
            line = line[end:]
    return [*lines, line.rstrip()]


def _pieces(text: str) -> list[str]:
    """Parts that stay together: words with the spaces behind them, and single Chinese characters."""
    pieces: list[str] = []
    is_open = False
    for character in " ".join(text.split()):
        alone = language_of(character) == "zh"
        # No line begins with a space or a closing mark.
        if pieces and (character in _CLOSING or (is_open and not alone)):
            pieces[-1] += character
        else:
            pieces.append(character)
        is_open = not alone and character != " "
    return pieces


def _font_for(text: str, font: str | os.PathLike[str] | None, size: int) -> Font:
    wanted = language_of(text)
    chosen, language = choose_font(wanted, font, size)
    if language != wanted:
        raise ValueError(
            "no font with Chinese was found on this system; install one, such as Noto Sans CJK, or name its "
            "file: font=... (--font)"
        )
    return chosen


def _draw_box(picture: Image.Image, box: Box, scale: Scale) -> None:
    left, top, right, bottom = (value * scale.factor for value in box)
    corners = (left, top, max(left, right - 1), max(top, bottom - 1))
    ImageDraw.Draw(picture).rectangle(corners, outline=class_color(0), width=scale.line)


_Row = tuple[str, "Color"]


def _rows(result: Text, font: Font, room: float) -> list[_Row]:
    asked = wrapped(result.question, font, room) if result.question else []
    said = wrapped(f"{result.text} ({result.score:.0%})", font, room)
    return [*((line, MUTED) for line in asked), *((line, INK) for line in said)]


def _cut(rows: list[_Row], lines: int, font: Font, room: float) -> list[_Row]:
    """The last ``lines`` rows: a question gives way to its answer; a longer text ends in an ellipsis."""
    if len(rows) <= lines:
        return rows
    said = [row for row in rows if row[1] == INK]
    if len(said) <= lines:
        return rows[-lines:]
    last = " ".join(text for text, _ in said[lines - 1 :])
    return [*said[: lines - 1], (shorten(last, font, room), INK)]


def _with_rows(picture: Image.Image, rows: list[_Row], font: Font, text_size: int, lines: int) -> Image.Image:
    margin, line_height = text_size, round(_LINE_HEIGHT * text_size)
    height = picture.height + lines * line_height + 2 * (margin // 2)
    canvas = Image.new("RGB", (picture.width, height), WHITE)
    canvas.paste(picture)
    pen = ImageDraw.Draw(canvas)
    for number, (text, color) in enumerate(rows):
        middle = picture.height + margin // 2 + (number + 0.5) * line_height
        pen.text((margin, middle), text, fill=color, font=font, anchor="lm")
    return canvas
