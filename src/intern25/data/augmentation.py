# SPDX-License-Identifier: MIT
"""Training transforms: the official one through timm, and a light one of few operations for small data.

A transform takes an image and a seed, and draws everything from that seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info

from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, ThreeFloats
from intern25.data.seeding import derive_seed, seed_cpu, seeded_cpu

AugmentationName = Literal["official", "light", "none"]
Transform = Callable[[Image.Image, int], Tensor]
"""From an upright RGB image and a seed to a normalised ``(3, size, size)`` float32 tensor."""

OFFICIAL_RANDAUGMENT = "rand-m9-mstd0.5-inc1"
MAX_ASPECT = 4 / 3
LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How a training image is cropped and disturbed."""

    kind: AugmentationName = "official"
    """``official``: random resized crop, flip, RandAugment, random erasing; ``light``: the same with colour
    jitter for RandAugment; ``none``: resize to the square only."""
    min_scale: float = 0.08
    """Smallest area of the random crop, as a share of the image."""
    color_jitter: float = 0.4
    """Brightness, contrast and saturation jitter of the light transform (RandAugment has its own)."""
    erase: float = 0.25
    """Probability of random erasing with pixel noise."""
    flip: float = 0.5
    """Probability of the horizontal flip; 0 for texts, signs and digits."""
    mean: ThreeFloats = IMAGENET_MEAN
    """Per-channel mean of the normalisation."""
    std: ThreeFloats = IMAGENET_STD
    """Per-channel standard deviation of the normalisation."""

    def __post_init__(self) -> None:
        if self.kind not in ("official", "light", "none"):
            raise ValueError(f"augmentation {self.kind!r} must be 'official', 'light' or 'none'")
        if not 0.0 < self.min_scale <= 1.0:
            raise ValueError(f"min_scale={self.min_scale} must lie in (0, 1]")

    def build(self, image_size: int) -> Transform:
        """Return the transform to ``image_size``.

        Raises:
            ImportError: The official transform needs timm, which is not installed.
        """
        if self.kind == "official":
            return OfficialTransform(image_size, self)
        if self.kind == "light":
            return LightTransform(image_size, self)
        plain = Preprocessing(image_size, crop="squash", mean=self.mean, std=self.std)
        return lambda image, _seed: plain(image)

    def minimum_side(self, image_size: int) -> int:
        """Side down to which a JPEG may be shrunk while decoding; crops keep about ``image_size`` pixels."""
        return int(2 * image_size / max(self.min_scale, 0.25) ** 0.5)


class OfficialTransform:
    """timm's training transform with the official settings, drawn from one seed."""

    def __init__(self, image_size: int, settings: Augmentation) -> None:
        try:
            from timm.data.transforms_factory import create_transform
        except ImportError as error:
            raise ImportError("training needs the training extra: pip install 'intern25[train]'") from error
        self._transform: Any = create_transform(
            input_size=image_size,
            is_training=True,
            color_jitter=settings.color_jitter,
            auto_augment=OFFICIAL_RANDAUGMENT,
            re_prob=settings.erase,
            re_mode="pixel",
            re_count=1,
            interpolation="bicubic",
            hflip=settings.flip,
            scale=(settings.min_scale, 1.0),
            mean=settings.mean,
            std=settings.std,
        )
        _keep_one_bit(self._transform)

    def __call__(self, image: Image.Image, seed: int) -> Tensor:
        """Return the normalised ``(3, size, size)`` tensor."""
        if get_worker_info() is not None:
            seed_cpu(seed)
            return torch.as_tensor(self._transform(image))
        # In the training process itself: the model's own draws must not depend on the data.
        with seeded_cpu(seed):
            return torch.as_tensor(self._transform(image))


def _keep_one_bit(transform: Any) -> None:
    """Let posterize keep at least one bit: Pillow 13 refuses the 0 that magnitude 10 asks for."""
    for step in transform.transforms:
        for operation in getattr(step, "ops", ()):
            if operation.name == "PosterizeIncreasing":
                bits = operation.level_fn
                operation.level_fn = lambda level, hparams, bits=bits: (max(1, bits(level, hparams)[0]),)


class LightTransform:
    """Random resized crop, flip, colour jitter and random erasing.

    Brightness, contrast, saturation and normalisation are affine in the pixel, so they are one 3x3 product;
    values pushed beyond white or black are not clipped.
    """

    def __init__(self, image_size: int, settings: Augmentation) -> None:
        self.image_size = image_size
        self.settings = settings
        self._mean = np.array(settings.mean, dtype=np.float32)
        self._inverse_std = 1.0 / np.array(settings.std, dtype=np.float32)

    def __call__(self, image: Image.Image, seed: int) -> Tensor:
        """Return the normalised ``(3, size, size)`` tensor."""
        draw = random.Random(seed)
        size = self.image_size
        box = random_crop_box(image.size, self.settings.min_scale, draw)
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
        if draw.random() < self.settings.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = np.asarray(image, dtype=np.float32).reshape(-1, 3)
        matrix, bias = self._color_map(pixels, draw)
        tensor = torch.from_numpy((matrix @ pixels.T + bias[:, None]).reshape(3, size, size))
        if draw.random() < self.settings.erase:
            _erase(tensor, draw)
        return tensor

    def _color_map(self, pixels: NDArray[np.float32], draw: random.Random) -> tuple[NDArray[np.float32], ...]:
        """Matrix and bias of jitter and normalisation, for pixels in 0..255."""
        strength = self.settings.color_jitter
        brightness, contrast, saturation = (1 + draw.uniform(-strength, strength) for _ in range(3))
        # A product sums the columns several times faster than ``mean(axis=0)``.
        means = np.ones(len(pixels), dtype=np.float32) @ pixels / len(pixels)
        grey = float(LUMA @ means) * brightness
        jitter = (
            contrast * brightness * (saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * LUMA[None])
        )
        scale = self._inverse_std[:, None] / 255.0
        bias = ((1 - contrast) * grey / 255.0 - self._mean) * self._inverse_std
        return (jitter * scale).astype(np.float32), bias.astype(np.float32)


def random_crop_box(
    size: tuple[int, int], min_scale: float, draw: random.Random
) -> tuple[float, float, float, float]:
    """Draw a box of random area and aspect, as RandomResizedCrop does.

    Args:
        size: (width, height) of the image.
        min_scale: Smallest area, as a share of the image.
        draw: Source of the draws.

    Returns:
        ``(left, top, right, bottom)``; the largest centred box of allowed aspect where ten draws do not fit.
    """
    width, height = size
    bound = math.log(MAX_ASPECT)
    for _ in range(10):
        area = width * height * draw.uniform(min_scale, 1.0)
        aspect = math.exp(draw.uniform(-bound, bound))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = draw.uniform(0, width - w), draw.uniform(0, height - h)
            return left, top, left + w, top + h
    w, h = min(width, height * MAX_ASPECT), min(height, width * MAX_ASPECT)
    return (width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2


def _erase(image: Tensor, draw: random.Random) -> None:
    """Fill a random box of 2 to 33 % of the area with noise, in place."""
    height, width = image.shape[-2:]
    for _ in range(10):
        area = height * width * draw.uniform(0.02, 1 / 3)
        aspect = math.exp(draw.uniform(math.log(0.3), math.log(1 / 0.3)))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = draw.randint(0, height - h), draw.randint(0, width - w)
            generator = torch.Generator().manual_seed(derive_seed(draw.getrandbits(32)))
            image[:, top : top + h, left : left + w] = torch.randn((3, h, w), generator=generator)
            return
