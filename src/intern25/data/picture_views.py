# SPDX-License-Identifier: MIT
"""A picture as a model of many tasks sees it: squashed to one size, and in training cropped and disturbed."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from intern25.data.augmentation import LUMA, random_crop_box
from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD

Size = tuple[int, int]
"""(height, width) in pixels."""
_BLURRED = 1 / 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureView:
    """How a picture becomes pixels of one size.

    Convention:
        - nothing is cut in evaluation: both sides are resized, so shapes are distorted as ``size`` asks.
        - positions in the model are shares of the longer side of what it sees, not of the file.
    """

    size: Size
    """(height, width) of the result."""
    min_scale: float = 1.0
    """Smallest area of the random crop, as a share of the picture; 1 = no crop."""
    flip: float = 0.0
    """Probability of the horizontal flip; 0 where left and right or letters matter."""
    jitter: float = 0.0
    """Brightness, contrast and saturation are multiplied by 1 plus or minus at most this."""
    shift: float = 0.0
    """Largest random move of each border, as a share of the side; what lies outside repeats the border."""
    grey: float = 0.0
    """Probability of losing all colour."""
    turn: float = 0.0
    """Largest random turn to either side, in degrees; what lies outside is black."""
    blur: float = 0.0
    """Probability of losing detail: shrunk to between a third and all of its size, and enlarged again."""

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 32:
            raise ValueError(f"size={self.size} must be (height, width), each 32 pixels or more")
        if not 0.0 < self.min_scale <= 1.0:
            raise ValueError(f"min_scale={self.min_scale} must lie in (0, 1]")
        for name in ("flip", "jitter", "shift", "grey", "blur"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")
        if not 0.0 <= self.turn <= 180.0:
            raise ValueError(f"turn={self.turn} must lie in [0, 180] degrees")

    def plain(self, image: NDArray[np.uint8]) -> Tensor:
        """Resize an RGB picture ``(H, W, 3)`` to ``(3, *size)`` uint8, nothing random."""
        height, width = self.size
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return _channels_first(np.asarray(small))

    def __call__(self, image: NDArray[np.uint8], seed: int) -> Tensor:
        """Crop, move, flip and disturb, everything drawn from ``seed``; ``(3, *size)`` uint8."""
        draw = random.Random(seed)
        height, width = self.size
        picture = Image.fromarray(image)
        box = (0.0, 0.0, float(picture.width), float(picture.height))
        if self.min_scale < 1:
            box = random_crop_box(picture.size, self.min_scale, draw)
        if self.shift > 0:
            picture, box = _moved(image, box, self.shift, draw)
        if self.turn > 0:
            center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            angle = draw.uniform(-self.turn, self.turn)
            picture = picture.rotate(angle, Image.Resampling.BILINEAR, center=center)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
        if self.blur > 0 and draw.random() < self.blur:
            share = draw.uniform(_BLURRED, 1.0)
            few = (max(1, round(width * share)), max(1, round(height * share)))
            picture = picture.resize(few, Image.Resampling.BILINEAR)
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        if draw.random() < self.flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = np.asarray(picture)
        if self.jitter > 0 or self.grey > 0:
            pixels = self._disturbed(pixels, draw)
        return _channels_first(pixels)

    def _disturbed(self, pixels: NDArray[np.uint8], draw: random.Random) -> NDArray[np.uint8]:
        brightness, contrast, saturation = (1 + draw.uniform(-self.jitter, self.jitter) for _ in range(3))
        if draw.random() < self.grey:
            saturation = 0.0
        flat = pixels.reshape(-1, 3).astype(np.float32)
        mean = float(LUMA @ (np.ones(len(flat), dtype=np.float32) @ flat / len(flat)))
        mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * LUMA[None]
        matrix = (contrast * brightness * mix).astype(np.float32)
        moved = flat @ matrix.T + np.float32((1 - contrast) * brightness * mean)
        disturbed: NDArray[np.uint8] = moved.clip(0, 255).astype(np.uint8).reshape(pixels.shape)
        return disturbed


def normalised(images: Tensor) -> Tensor:
    """Normalise ``(N, 3, H, W)`` uint8 pictures as the image encoder expects them."""
    mean = torch.tensor(IMAGENET_MEAN, device=images.device)[:, None, None] * 255.0
    std = torch.tensor(IMAGENET_STD, device=images.device)[:, None, None] * 255.0
    return (images.float() - mean) / std


def _moved(
    image: NDArray[np.uint8], box: tuple[float, float, float, float], share: float, draw: random.Random
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Move each border of the box, on a picture whose border is repeated as far as it can go."""
    width, height = box[2] - box[0], box[3] - box[1]
    margin = (int(np.ceil(height * share)), int(np.ceil(width * share)))
    padded = np.pad(image, ((margin[0], margin[0]), (margin[1], margin[1]), (0, 0)), mode="edge")
    left, right = (draw.uniform(-share, share) * width for _ in range(2))
    top, bottom = (draw.uniform(-share, share) * height for _ in range(2))
    moved = (
        box[0] + margin[1] + left,
        box[1] + margin[0] + top,
        max(box[2] + margin[1] + right, box[0] + margin[1] + left + 1),
        max(box[3] + margin[0] + bottom, box[1] + margin[0] + top + 1),
    )
    limits = (float(padded.shape[1]), float(padded.shape[0])) * 2
    inside = tuple(min(max(value, 0.0), limit) for value, limit in zip(moved, limits, strict=True))
    return Image.fromarray(padded), (inside[0], inside[1], inside[2], inside[3])


def _channels_first(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
