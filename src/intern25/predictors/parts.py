# SPDX-License-Identifier: MIT
"""Parts of pictures that are looked at on their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.results import Detections
from intern25.results.text import Box

Boxes = Detections | NDArray[Any] | Sequence[Sequence[float]]
"""Left, top, right, bottom of each part, ``(K, 4)``, or found objects."""


def box_list(boxes: Boxes) -> list[Box]:
    """Return the boxes as tuples.

    Raises:
        ValueError: They are not ``(K, 4)``, or not finite.
    """
    values = boxes.boxes if isinstance(boxes, Detections) else np.asarray(boxes, dtype=np.float64)
    if values.size == 0:
        return []
    if values.ndim != 2 or values.shape[1] != 4:
        raise ValueError(
            f"boxes of shape {values.shape} must be (K, 4): left, top, right, bottom of each part, in a list "
            "also where there is one"
        )
    if not np.isfinite(values).all():
        raise ValueError("boxes must be finite numbers, there is NaN or infinity among them")
    return [(left, top, right, bottom) for left, top, right, bottom in values.tolist()]


def cut_out(picture: Image.Image, box: Box) -> Image.Image:
    """Return the pixels that ``box`` touches.

    Raises:
        ValueError: It touches none.
    """
    left, top, right, bottom = box
    inside = (
        max(0, int(np.floor(left))),
        max(0, int(np.floor(top))),
        min(picture.width, int(np.ceil(right))),
        min(picture.height, int(np.ceil(bottom))),
    )
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(
            f"the box {box} holds no pixel of a picture of {picture.width} x {picture.height}; boxes are "
            "left, top, right, bottom in pixels"
        )
    return picture.crop(inside)
