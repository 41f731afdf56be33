# SPDX-License-Identifier: MIT
"""Boxes, masks and names of the objects in a picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from intern25.data.distinct_colors import Color
from intern25.drawing.canvas import Scale, enlarged, scale_of
from intern25.drawing.captions import MOST_TEXT, share_of_texts, write_texts
from intern25.drawing.colors import class_color
from intern25.drawing.fonts import Font, choose_font, shorten
from intern25.drawing.labels import Rectangle
from intern25.drawing.legend import with_legend
from intern25.drawing.masks import paint_mask

if TYPE_CHECKING:
    from intern25.results.detections import Detections
    from intern25.results.language import Language

# Under each line a darker, wider one: seen on any background.
_SHADOW_OPACITY = 0.35


def draw_detections(
    result: Detections,
    *,
    language: Language = "en",
    font: str | os.PathLike[str] | None = None,
    palette: Sequence[Color] | None = None,
    legend: bool | None = None,
) -> Image.Image:
    """Draw the objects onto the picture; small pictures are enlarged so that the names can be read.

    Args:
        result: What to draw; every object it holds is drawn.
        language: Language of the names; English when no font with Chinese is found.
        font: Font file, or None for the system's.
        palette: Colour of each class number, reused from the start when there are more classes; None makes
            them.
        legend: Name the colours below the picture; None does so when the names find no room at the boxes.

    Returns:
        A new RGB picture.

    Raises:
        ValueError: ``result`` holds no picture.
        OSError: ``font`` cannot be read.
    """
    if result.image is None:
        raise ValueError("this result holds no picture to draw; it was made without one, or read from JSON")
    scale = scale_of(result.image.width, result.image.height)
    text_font, language = choose_font(language, font, scale.text)
    colors = [class_color(label, palette) for label in result.labels.tolist()]
    canvas = enlarged(result.image, scale)
    if result.masks is not None:
        # Large ones first: a small object on a large one stays visible.
        for row in np.argsort(-result.masks.sum(axis=(1, 2)), kind="stable"):
            paint_mask(canvas, result.masks[row], colors[row], scale)
    boxes = [_on_canvas(box, scale, canvas.size) for box in result.boxes.tolist()]
    _draw_boxes(canvas, boxes, colors, scale.line if result.masks is None else max(1, scale.line // 2))
    texts = _texts(result, language, text_font, canvas.width)
    if legend is not False and share_of_texts(texts, text_font, canvas.size) > MOST_TEXT:
        # The legend names the classes then; scores stay at the boxes.
        texts, legend = [f"{score:.0%}" for score in result.scores.tolist()], True
    has_all_names = write_texts(canvas, boxes, colors, texts, text_font)
    if legend or (legend is None and not has_all_names):
        canvas = with_legend(canvas, _entries(result, colors, language), text_font, scale.text)
    return canvas


def _on_canvas(box: Sequence[float], scale: Scale, canvas: tuple[int, int]) -> Rectangle:
    """The box in pixels of the drawing, its sides in order and inside."""
    x1, y1, x2, y2 = (value * scale.factor for value in box)
    left, top = min(max(x1, 0.0), canvas[0] - 1.0), min(max(y1, 0.0), canvas[1] - 1.0)
    return left, top, min(max(x2 - 1.0, left), canvas[0] - 1.0), min(max(y2 - 1.0, top), canvas[1] - 1.0)


def _draw_boxes(canvas: Image.Image, boxes: Sequence[Rectangle], colors: Sequence[Color], line: int) -> None:
    shadow = Image.new("L", canvas.size)
    pen = ImageDraw.Draw(shadow)
    edge = max(1, round(line / 3))
    for left, top, right, bottom in boxes:
        outer = (left - edge, top - edge, right + edge, bottom + edge)
        pen.rectangle(outer, outline=round(255 * _SHADOW_OPACITY), width=line + 2 * edge)
    canvas.paste((0, 0, 0), (0, 0), shadow)
    pen = ImageDraw.Draw(canvas)
    # The best is drawn last, on top.
    for box, color in zip(reversed(boxes), reversed(colors), strict=True):
        pen.rectangle(box, outline=color, width=line)


def _texts(result: Detections, language: Language, font: Font, width: int) -> list[str]:
    named = zip(result.names(language), result.scores.tolist(), strict=True)
    return [shorten(f"{name} {score:.0%}", font, 0.6 * width) for name, score in named]


def _entries(result: Detections, colors: Sequence[Color], language: Language) -> list[tuple[Color, str, str]]:
    """One row a class, the most frequent first."""
    counts = Counter(zip(colors, result.names(language), strict=True))
    return [(color, name, f"x {count}") for (color, name), count in counts.most_common()]
