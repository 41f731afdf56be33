# SPDX-License-Identifier: MIT
"""The classes of a picture's pixels as colours over it, with fine lines between them and a legend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from intern25.data.distinct_colors import Color
from intern25.drawing.canvas import enlarged, scale_of
from intern25.drawing.fonts import choose_font
from intern25.drawing.legend import with_legend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intern25.results.language import Language
    from intern25.results.semantic_map import SemanticMap

_LINE_OPACITY = 0.85


def draw_semantic_map(
    result: SemanticMap,
    *,
    language: Language = "en",
    font: str | os.PathLike[str] | None = None,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """Draw the classes over the picture; small pictures are enlarged.

    Args:
        result: What to draw.
        language: Language of the legend; English when no font with Chinese is found.
        font: Font file, or None for the system's.
        opacity: Strength of the colours, 0 to 1.
        legend: Name the colours below the picture, the largest area first.

    Returns:
        A new RGB picture.

    Raises:
        ValueError: ``result`` holds no picture, or ``opacity`` is outside 0 to 1.
        OSError: ``font`` cannot be read.
    """
    if result.image is None:
        raise ValueError("this result holds no picture to draw; it was made without one, or read from JSON")
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity={opacity} must be from 0 to 1")
    scale = scale_of(result.image.width, result.image.height)
    text_font, language = choose_font(language, font, scale.text)
    labels = result.labels.repeat(scale.factor, axis=0).repeat(scale.factor, axis=1)
    canvas = enlarged(result.image, scale)
    table, known = _table(result.palette), labels < len(result.palette)
    colors = Image.fromarray(table[np.where(known, labels, 0)])
    canvas.paste(colors, (0, 0), Image.fromarray((known * round(255 * opacity)).astype(np.uint8)))
    if opacity:
        lines = _borders(labels, max(1, scale.line // 2)) & known
        dark = Image.fromarray((table * 0.55).astype(np.uint8)[np.where(known, labels, 0)])
        canvas.paste(dark, (0, 0), Image.fromarray((lines * round(255 * _LINE_OPACITY)).astype(np.uint8)))
    if not legend:
        return canvas
    return with_legend(canvas, _entries(result, language), text_font, scale.text)


def _table(palette: tuple[Color, ...]) -> NDArray[np.uint8]:
    return np.array(palette, dtype=np.uint8).reshape(-1, 3)


def _borders(labels: NDArray[np.generic], width: int) -> NDArray[np.bool_]:
    """Pixels within ``width`` of another class, to the right or below."""
    lines = np.zeros(labels.shape, dtype=bool)
    for step in range(1, width + 1):
        lines[step:] |= labels[step:] != labels[:-step]
        lines[:, step:] |= labels[:, step:] != labels[:, :-step]
    return lines


def _entries(result: SemanticMap, language: Language) -> list[tuple[Color, str, str]]:
    names = result.names(language)
    counts = np.bincount(result.labels.ravel(), minlength=len(names))
    return [
        (result.palette[label], names[label], f"{counts[label] / result.labels.size:.1%}")
        for label in result.present
    ]
