# SPDX-License-Identifier: MIT
"""Training transforms of segmenters: the official one, and options for small data.

Random resize, a crop that no class fills, flip, photometric distortion; everything is drawn from one seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from intern25.data.photometric import distort
from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ThreeFloats
from intern25.data.resizing import keep_ratio_size, normalise
from intern25.data.segmentation.batch import IGNORED, Size

_CROP_TRIES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationAugmentation:
    """How a training picture and its mask become one crop of fixed size."""

    crop: Size = (512, 512)
    """(height, width) of the crop; smaller pictures are padded, with 255 in the mask."""
    long_side: int = 2048
    """Limit of the long side at scale 1, pixels."""
    short_side: int = 512
    """Limit of the short side at scale 1, pixels."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale."""
    max_class_share: float = 0.75
    """A crop is drawn again, up to ten times, where one class fills more of it; 1 = never."""
    flip: float = 0.5
    """Probability of the horizontal flip."""
    vertical_flip: float = 0.0
    """Probability of the vertical flip; for pictures without an upright position."""
    turn: float = 0.0
    """Probability of a turn by 90, 180 or 270 degrees; likewise."""
    photometric: float = 1.0
    """Probability of photometric distortion, of which each part then happens with probability 0.5."""
    mean: ThreeFloats = IMAGENET_MEAN
    """Per-channel mean of the normalisation."""
    std: ThreeFloats = IMAGENET_STD
    """Per-channel standard deviation of the normalisation."""

    def __post_init__(self) -> None:
        if len(self.crop) != 2 or min(self.crop) < 1:
            raise ValueError(f"crop={self.crop} must be (height, width), each 1 or more")
        if not 1 <= self.short_side <= self.long_side:
            raise ValueError(
                f"short_side={self.short_side} must be 1 or more and at most long_side={self.long_side}"
            )
        if not 0.0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale={self.scale} must be two scales above 0, the smaller first")
        for name in ("max_class_share", "flip", "vertical_flip", "turn", "photometric"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")

    def __call__(self, image: Image.Image, mask: NDArray[np.uint8], seed: int) -> tuple[Tensor, Tensor]:
        """Transform one picture.

        Args:
            image: RGB picture.
            mask: Class of each pixel, ``(H, W)``, 255 = ignored.
            seed: Decides every draw.

        Returns:
            Normalised picture ``(3, *crop)`` float32 and mask ``crop`` int64.
        """
        draw = random.Random(seed)
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1)
        labels = torch.from_numpy(np.ascontiguousarray(mask))[None]
        pixels, labels = self._resized(pixels, labels, draw)
        top, left, height, width = self._window(labels, draw)
        pixels, labels = (TF.crop(x, top, left, height, width) for x in (pixels, labels))
        pixels, labels = self._flipped(pixels, labels, draw)
        if draw.random() < self.photometric:
            pixels = distort(pixels, draw)
        normalised = normalise(pixels.permute(1, 2, 0).contiguous().numpy(), self.mean, self.std)
        return _fill(normalised, self.crop, 0.0), _fill(labels, self.crop, IGNORED)[0].long()

    def _resized(self, pixels: Tensor, labels: Tensor, draw: random.Random) -> tuple[Tensor, Tensor]:
        scale = draw.uniform(*self.scale)
        size = keep_ratio_size(
            (pixels.shape[1], pixels.shape[2]),
            long_side=max(1, int(self.long_side * scale)),
            short_side=max(1, int(self.short_side * scale)),
        )
        nearest = InterpolationMode.NEAREST_EXACT
        return (
            TF.resize(pixels, list(size), antialias=False),
            TF.resize(labels, list(size), interpolation=nearest, antialias=False),
        )

    def _window(self, labels: Tensor, draw: random.Random) -> tuple[int, int, int, int]:
        """Top, left, height and width of a crop in which no class has too large a share."""
        sides = (labels.shape[1], labels.shape[2])
        height, width = (min(side, limit) for side, limit in zip(sides, self.crop, strict=True))
        for _ in range(_CROP_TRIES):
            top, left = draw.randint(0, sides[0] - height), draw.randint(0, sides[1] - width)
            window = labels[0, top : top + height, left : left + width]
            counts = torch.bincount(window.flatten(), minlength=IGNORED + 1)[:IGNORED]
            if (counts > 0).sum() > 1 and counts.max() < self.max_class_share * counts.sum():
                break
        return top, left, height, width

    def _flipped(self, pixels: Tensor, labels: Tensor, draw: random.Random) -> tuple[Tensor, Tensor]:
        if draw.random() < self.flip:
            pixels, labels = pixels.flip(2), labels.flip(2)
        if draw.random() < self.vertical_flip:
            pixels, labels = pixels.flip(1), labels.flip(1)
        if draw.random() < self.turn:
            # A crop that is not square turns by half only, else it would no longer fit.
            turns = draw.randint(1, 3) if self.crop[0] == self.crop[1] else 2
            pixels, labels = pixels.rot90(turns, (1, 2)), labels.rot90(turns, (1, 2))
        return pixels, labels


def _fill(values: Tensor, size: Size, padding: float) -> Tensor:
    """Pad ``(C, h, w)`` to ``size`` at the right and the bottom."""
    return F.pad(values, (0, size[1] - values.shape[2], 0, size[0] - values.shape[1]), value=padding)
