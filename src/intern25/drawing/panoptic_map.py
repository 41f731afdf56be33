# SPDX-License-Identifier: MIT
"""Things and stuff over a picture: a shade for each thing, outlines, and a name in the middle of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from intern25.data.distinct_colors import Color
from intern25.drawing.canvas import enlarged, scale_of
from intern25.drawing.captions import MOST_TEXT, share_of_texts, write_texts
from intern25.drawing.colors import shade, tint
from intern25.drawing.fonts import choose_font, shorten
from intern25.drawing.inner_points import inner_point
from intern25.drawing.labels import Rectangle
from intern25.drawing.legend import Entry, with_legend
from intern25.drawing.masks import paint_mask

if TYPE_CHECKING:
    from PIL import Image

    from intern25.results.language import Language
    from intern25.results.panoptic_map import PanopticMap

# Things have an outline so much nearer to white, stuff one of its own colour.
_LINE_TINT = 0.55


def draw_panoptic_map(
    result: PanopticMap,
    *,
    language: Language = "en",
    font: str | os.PathLike[str] | None = None,
    legend: bool | None = None,
) -> Image.Image:
    """Draw the segments over the picture; small pictures are enlarged so that the names can be read.

    Args:
        result: What to draw.
        language: Language of the names; English when no font with Chinese is found.
        font: Font file, or None for the system's.
        legend: Name the colours below the picture; None does so when the names find no room on it.

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
    canvas = enlarged(result.image, scale)
    colors, areas = _colors(result), result.areas
    # Things over stuff, small ones over large ones: the lines around them are whole.
    rows = [int(row) for row in np.lexsort((-areas, result.is_thing)) if areas[row]]
    centers = {}
    for row in rows:
        mask = result.ids == row + 1
        if result.is_thing[row]:
            line = tint(colors[row], _LINE_TINT)
            paint_mask(canvas, mask, colors[row], scale, line_color=line, line_width=1.0)
        else:
            paint_mask(canvas, mask, colors[row], scale)
        x, y = inner_point(mask)
        centers[row] = (x * scale.factor, y * scale.factor)
    boxes: list[Rectangle] = [tuple(scale.factor * side for side in box) for box in result.boxes.tolist()]
    names = result.names(language)
    # Small segments choose first: large ones have more room.
    rows.sort(key=lambda row: int(areas[row]))
    texts = [shorten(_text(result, row, names), text_font, 0.6 * canvas.width) for row in rows]
    has_all_names = share_of_texts(texts, text_font, canvas.size) <= MOST_TEXT and write_texts(
        canvas,
        [boxes[row] for row in rows],
        [colors[row] for row in rows],
        texts,
        text_font,
        centers=[centers[row] for row in rows],
    )
    if legend or (legend is None and not has_all_names):
        canvas = with_legend(canvas, _entries(result, names), text_font, scale.text)
    return canvas


def _colors(result: PanopticMap) -> list[Color]:
    """Colour of each segment: that of its class, turned a little for each further thing of the class."""
    earlier: Counter[int] = Counter()
    colors = []
    for label in result.labels.tolist():
        colors.append(shade(result.palette[label], earlier[label]))
        earlier[label] += 1
    return colors


def _text(result: PanopticMap, row: int, names: Sequence[str]) -> str:
    return f"{names[row]} {result.scores[row]:.0%}" if result.is_thing[row] else names[row]


def _entries(result: PanopticMap, names: Sequence[str]) -> list[Entry]:
    """One row a class, the largest area first: how many things, or which share of the picture."""
    areas = result.areas
    by_class: dict[int, list[int]] = {}
    for row in np.argsort(-areas, kind="stable"):
        by_class.setdefault(int(result.labels[row]), []).append(int(row))
    return [
        (
            result.palette[label],
            names[rows[0]],
            f"x {len(rows)}" if result.is_thing[rows[0]] else f"{areas[rows].sum() / result.ids.size:.1%}",
        )
        for label, rows in by_class.items()
    ]
