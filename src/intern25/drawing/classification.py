# SPDX-License-Identifier: MIT
"""A picture beside the bar chart of its most likely classes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from intern25.drawing.fonts import Font, choose_font, shorten

if TYPE_CHECKING:
    from intern25.results import Classification, Language

_PICTURE_ROOM = (640, 360)
_PANEL_WIDTH = 380
_MARGIN = 20
_ROW_HEIGHT = 64
_BAR_HEIGHT = 12
_TEXT_SIZE = 19

_BACKGROUND = (255, 255, 255)
_TEXT = (31, 35, 40)
_MUTED = (101, 109, 118)
_TRACK = (234, 238, 242)
_BEST = (9, 105, 218)
_OTHERS = (150, 190, 235)


def draw_classification(
    result: Classification, *, language: Language = "en", font: str | os.PathLike[str] | None = None
) -> Image.Image:
    """Draw the picture on the left and one bar for each class on the right.

    Args:
        result: What to draw; every class it holds becomes a bar.
        language: Language of the names; English when no font with Chinese is found.
        font: Font file, or None for the system's.

    Returns:
        A new RGB picture.

    Raises:
        ValueError: ``result`` holds no picture.
        OSError: ``font`` cannot be read.
    """
    if result.image is None:
        raise ValueError("this result holds no picture to draw; it was made without one, or read from JSON")
    text_font, language = choose_font(language, font, _TEXT_SIZE)
    names = result.names(language)
    picture = _fit(result.image)
    height = max(picture.height, _ROW_HEIGHT * len(result)) + 2 * _MARGIN
    panel_left = picture.width + 2 * _MARGIN
    canvas = Image.new("RGB", (panel_left + _PANEL_WIDTH + _MARGIN, height), _BACKGROUND)
    canvas.paste(picture, (_MARGIN, (height - picture.height) // 2))
    top = (height - _ROW_HEIGHT * len(result)) // 2
    pen = ImageDraw.Draw(canvas)
    for row, (name, score) in enumerate(zip(names, result.scores.tolist(), strict=True)):
        _draw_bar(pen, (panel_left, top + row * _ROW_HEIGHT), name, score, text_font, is_best=row == 0)
    return canvas


def _draw_bar(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, score: float, font: Font, *, is_best: bool
) -> None:
    left, top = corner
    right = left + _PANEL_WIDTH
    percent = f"{score:.1%}"
    percent_width = pen.textlength(percent, font=font)
    baseline = top + 30
    room = _PANEL_WIDTH - percent_width - _MARGIN
    pen.text((left, baseline), shorten(name, font, room), fill=_TEXT, font=font, anchor="ls")
    pen.text((right, baseline), percent, fill=_TEXT if is_best else _MUTED, font=font, anchor="rs")
    bar_top = baseline + 9
    pen.rounded_rectangle((left, bar_top, right, bar_top + _BAR_HEIGHT), _BAR_HEIGHT // 2, fill=_TRACK)
    # Never narrower than the rounding: a bar of 0.1 % stays visible.
    width = max(_BAR_HEIGHT, round(_PANEL_WIDTH * min(max(score, 0.0), 1.0)))
    color = _BEST if is_best else _OTHERS
    pen.rounded_rectangle((left, bar_top, left + width, bar_top + _BAR_HEIGHT), _BAR_HEIGHT // 2, fill=color)


def _fit(image: Image.Image) -> Image.Image:
    """Scale to the room for the picture, keeping its shape."""
    scale = min(_PICTURE_ROOM[0] / image.width, _PICTURE_ROOM[1] / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
