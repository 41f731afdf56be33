# SPDX-License-Identifier: MIT
"""Masks on a picture: a soft fill and a crisp outline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intern25.data.distinct_colors import Color
    from intern25.drawing.canvas import Scale

# Of a small mask; one that covers the picture is painted thinner, so that the picture stays visible.
_FILL_OPACITY = 0.5
_THINNER = 0.25
_FULL_ONLY = [0] * 255 + [255]


def paint_mask(
    picture: Image.Image,
    mask: NDArray[np.bool_],
    color: Color,
    scale: Scale,
    *,
    line_color: Color | None = None,
    line_width: float = 0.7,
) -> None:
    """Paint ``mask`` ``(H, W)``, in pixels before enlarging, onto ``picture``.

    Only the part of the picture that the mask covers is touched: a hundred small masks cost little.

    Args:
        picture: What to paint on.
        mask: Where to paint.
        color: Colour of the fill.
        scale: How large things are drawn.
        line_color: Colour of the outline; None for that of the fill.
        line_width: Width of the outline, as a share of that of the other lines.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    # A frame of empty pixels closes the outline where the mask ends with the picture.
    part = np.pad(mask[top:bottom, left:right], 1).astype(np.uint8) * 255
    shape = _enlarged(Image.fromarray(part), scale.factor)
    # Where the mean around a pixel is full, all around it is mask: an erosion whose cost knows no radius.
    inside = shape.filter(ImageFilter.BoxBlur(max(1, round(line_width * scale.line)))).point(_FULL_ONLY)
    outline = ImageChops.subtract(shape, inside).filter(ImageFilter.GaussianBlur(0.5))
    strength = _FILL_OPACITY - _THINNER * part.size / mask.size
    fill = shape.point([round(strength * value) for value in range(256)])
    corner = int(left - 1) * scale.factor, int(top - 1) * scale.factor
    _blend(picture, fill, color, corner)
    _blend(picture, outline, line_color or color, corner)


def _enlarged(mask: Image.Image, factor: int) -> Image.Image:
    if factor == 1:
        return mask
    size = mask.width * factor, mask.height * factor
    smooth = mask.resize(size, Image.Resampling.BICUBIC)
    return smooth.point([255 if value > 127 else 0 for value in range(256)])


def _blend(picture: Image.Image, opacity: Image.Image, color: Color, corner: tuple[int, int]) -> None:
    """Paste ``color`` with ``opacity`` at ``corner``, which may lie a little outside."""
    picture.paste(Image.new("RGB", opacity.size, color), corner, opacity)
