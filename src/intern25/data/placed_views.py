# SPDX-License-Identifier: MIT
"""Views of a picture that remember where they were cut, so that one view can be placed in another."""

# N views, L cells of a map

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from intern25.data.augmentation import random_crop_box
from intern25.data.picture_views import PictureView, Size


class PlacedView(NamedTuple):
    """A view and its place."""

    pixels: Tensor
    """``(3, H, W)`` uint8."""
    place: tuple[float, float, float, float, float]
    """x0, y0, x1, y1 in pixels of the picture, and 1 where the view is mirrored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedViews:
    """Random crops, mirrored and disturbed; see :class:`intern25.data.picture_views.PictureView`."""

    size: Size
    """(height, width) of a view."""
    min_scale: float = 0.35
    """Smallest area of the crop, as a share of the picture."""
    flip: float = 0.5
    """Probability of the horizontal flip."""
    jitter: float = 0.4
    """Most change of brightness, contrast and saturation."""
    grey: float = 0.2
    """Probability of losing all colour."""

    def __post_init__(self) -> None:
        self._colors()
        if not (0.0 < self.min_scale <= 1.0 and 0.0 <= self.flip <= 1.0):
            raise ValueError(f"min_scale={self.min_scale} and flip={self.flip} must be shares from 0 to 1")

    def _colors(self) -> PictureView:
        return PictureView(size=self.size, jitter=self.jitter, grey=self.grey)

    def __call__(self, image: NDArray[np.uint8], seed: int) -> PlacedView:
        """Cut a view out of an RGB picture ``(H, W, 3)``, everything drawn from ``seed``."""
        draw = random.Random(seed)
        height, width = self.size
        picture = Image.fromarray(image)
        box = (0.0, 0.0, float(picture.width), float(picture.height))
        if self.min_scale < 1:
            x0, y0, x1, y1 = random_crop_box(picture.size, self.min_scale, draw)
            box = (float(x0), float(y0), float(x1), float(y1))
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
        mirrored = draw.random() < self.flip
        if mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = self._colors()(np.asarray(picture), draw.getrandbits(62))
        return PlacedView(pixels, (*box, float(mirrored)))


def placed_in(boxes: Tensor, views: Tensor, frames: Tensor) -> Tensor:
    """Boxes of views as boxes of other views of the same pictures.

    Args:
        boxes: ``(L, 4)`` centre x, centre y, width, height in shares of each view.
        views: ``(N, 5)`` places of the views.
        frames: ``(N, 5)`` places of those to measure in, from their top left corners.

    Returns:
        ``(N, L, 4)``, in shares of the frames; below 0 or above 1 outside of them.
    """
    size, frame = views[:, 2:4] - views[:, :2], frames[:, 2:4] - frames[:, :2]
    centers = _mirrored(boxes[None, :, :2].expand(len(views), -1, -1), views)
    in_picture = views[:, None, :2] + centers * size[:, None]
    inside = _mirrored((in_picture - frames[:, None, :2]) / frame[:, None], frames)
    sides = boxes[None, :, 2:] * (size / frame)[:, None]
    return torch.cat((inside, sides), dim=-1)


def _mirrored(centers: Tensor, views: Tensor) -> Tensor:
    """``(N, L, 2)`` centres, mirrored where the view is."""
    flipped = views[:, None, 4] > 0
    x = torch.where(flipped, 1 - centers[..., 0], centers[..., 0])
    return torch.stack((x, centers[..., 1]), dim=-1)


def places_tensor(views: Sequence[PlacedView]) -> Tensor:
    """``(N, 5)`` places."""
    return torch.tensor([view.place for view in views], dtype=torch.float32)
