# SPDX-License-Identifier: MIT
"""The text in a picture, or in a part of it that two clicks frame."""

from __future__ import annotations

from PIL import Image, ImageDraw

from intern25.demo.asking import Said, said
from intern25.demo.inputs import opened
from intern25.demo.texts import Texts
from intern25.drawing.colors import INK
from intern25.predictors import GeneralistPredictor
from intern25.results.text import Box

Point = tuple[int, int]
"""Column and row of a pixel."""
Corners = tuple[Point, ...]
"""No, one or both of the clicked corners."""

_MARK = (255, 196, 0)


def clicked(corners: Corners, point: Point) -> Corners:
    """Return the corners after one more click; after two a new part begins.

    Example:
        >>> clicked(((5, 9),), (2, 3))
        ((5, 9), (2, 3))
        >>> clicked(((5, 9), (2, 3)), (7, 7))
        ((7, 7),)
    """
    return (point,) if len(corners) >= 2 else (*corners, point)


def part_of(corners: Corners) -> Box | None:
    """Return left, top, right, bottom of the part, both clicked pixels in it; None until there are two.

    Example:
        >>> part_of(((5, 9), (2, 3)))
        (2, 3, 6, 10)
    """
    if len(corners) < 2:
        return None
    columns, rows = zip(*corners, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def marked(picture: Image.Image, corners: Corners) -> Image.Image:
    """Return a copy of the picture with the clicked point or the part on it."""
    drawn = picture.copy()
    pen, width = ImageDraw.Draw(drawn), max(2, round(max(picture.size) / 250))
    part = part_of(corners)
    if part is not None:
        left, top, right, bottom = part
        frame = (left, top, right - 1, bottom - 1)
        # A dark edge around it is seen on any background.
        pen.rectangle((left - 1, top - 1, right, bottom), outline=INK, width=width + 2)
        pen.rectangle(frame, outline=_MARK, width=width)
    elif corners:
        (column, row), reach = corners[0], 3 * width
        pen.ellipse((column - reach, row - reach, column + reach, row + reach), fill=_MARK, outline=INK)
    return drawn


def read(predictor: GeneralistPredictor, path: str | None, corners: Corners, texts: Texts) -> Said:
    """Read a picture, or the part between two corners, as one line.

    Args:
        predictor: The model.
        path: The uploaded file.
        corners: Clicked pixels of the picture as :func:`intern25.demo.inputs.opened` gives it.
        texts: Words of the page.

    Raises:
        ValueError: There is no picture, or it cannot be read.
    """
    picture, part = opened(path, texts), part_of(corners)
    result = predictor.read(picture) if part is None else predictor.read(picture, [part])[0]
    shown = said(result, texts)
    return shown if shown.text else Said(texts.nothing_read, shown.certainty)
