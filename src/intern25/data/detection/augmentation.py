# SPDX-License-Identifier: MIT
"""Training transforms of detectors: the official ones, large-scale jitter, and options for small data.

Everything is drawn from one seed. Sizes follow from ``short_side`` in the proportions of the official
recipes, so the same recipe serves 800 pixels on a server and 256 on a laptop.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import Tensor

from intern25.data.detection.annotations import Size
from intern25.data.detection.sample import (
    DetectionSample,
    clipped,
    crop,
    flip_horizontal,
    flip_vertical,
    mosaic,
    resize,
    turn_left,
    with_boxes_of_masks,
    without_small,
)
from intern25.data.photometric import distort
from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ThreeFloats
from intern25.data.resizing import keep_ratio_size, normalise
from intern25.detection.targets import DetectionTarget

DetectionAugmentationName = Literal[
    "single_scale", "multi_scale", "scale_range", "large_scale_jitter", "none"
]

# Shares of the short side: 480 to 800 in steps of 32, crops of 384 to 600 from short sides 400, 500, 600.
_STEPS = 10
_CROP_SHORT_SIDES = (0.5, 0.625, 0.75)
_CROP_RANGE = (0.48, 0.75)
_MOSAIC_CENTRE = (0.35, 0.65)


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionAugmentation:
    """How a training picture is resized, cut and disturbed together with its objects."""

    kind: DetectionAugmentationName = "single_scale"
    """``single_scale``: the official 1x recipe, resize and flip; ``multi_scale``: the official 3x recipe, a
    random size, or resize, crop, resize; ``scale_range``: that of DINO H and G, any size in a range;
    ``large_scale_jitter``: random scale and crop; ``none``: resize."""
    short_side: int = 800
    """Largest short side, pixels."""
    long_side: int = 1333
    """Limit of the long side, pixels."""
    min_scale: float = 0.6
    """Smallest of the 11 short sides of ``multi_scale``, or of ``scale_range``; a share of ``short_side``."""
    jitter: tuple[float, float] = (0.1, 2.0)
    """Range of the scale of ``large_scale_jitter``, relative to the picture that just fits ``short_side``."""
    flip: float = 0.5
    """Probability of the horizontal flip; 0 for texts, signs and digits."""
    vertical_flip: float = 0.0
    """Probability of the vertical flip; for pictures without an upright position, such as microscopy."""
    turn: float = 0.0
    """Probability of a turn by 90, 180 or 270 degrees; likewise."""
    photometric: float = 0.0
    """Probability of photometric distortion."""
    mosaic: float = 0.0
    """Probability of putting the picture together with three others."""
    minimum_box: float = 1.0
    """Objects with a shorter side, in pixels of the input, are dropped."""
    mean: ThreeFloats = IMAGENET_MEAN
    """Per-channel mean of the normalisation."""
    std: ThreeFloats = IMAGENET_STD
    """Per-channel standard deviation of the normalisation."""

    def __post_init__(self) -> None:
        kinds = get_args(DetectionAugmentationName)
        if self.kind not in kinds:
            raise ValueError(f"augmentation {self.kind!r} must be one of {', '.join(kinds)}")
        if not 1 <= self.short_side <= self.long_side:
            raise ValueError(
                f"short_side={self.short_side} must be 1 or more and at most long_side={self.long_side}"
            )
        if not 0.0 < self.min_scale <= 1.0:
            raise ValueError(f"min_scale={self.min_scale} must lie in (0, 1]")
        for name in ("flip", "vertical_flip", "turn", "photometric", "mosaic"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} is a probability and must lie in [0, 1]")
        if not 0.0 < self.jitter[0] <= self.jitter[1]:
            raise ValueError(f"jitter={self.jitter} must be two scales above 0, the smaller first")

    def __call__(
        self,
        sample: DetectionSample,
        seed: int,
        other: Callable[[random.Random], DetectionSample] | None = None,
    ) -> tuple[Tensor, DetectionTarget]:
        """Transform one sample.

        Args:
            sample: Picture and objects.
            seed: Decides every draw.
            other: Gives another sample of the data set, for mosaics.

        Returns:
            Normalised picture ``(3, h, w)`` and its target, in pixels of that picture.
        """
        draw = random.Random(seed)
        if other is not None and draw.random() < self.mosaic:
            sample = self._mosaic(sample, draw, other)
        if self.kind != "none":
            sample = self._turned(sample, draw)
        sample = without_small(self._sized(sample, draw), self.minimum_box)
        if self.kind != "none" and draw.random() < self.photometric:
            sample = replace(sample, image=distort(sample.image, draw))
        image = normalise(sample.image.permute(1, 2, 0).contiguous().numpy(), self.mean, self.std)
        return image, DetectionTarget(
            boxes=sample.boxes,
            labels=sample.labels,
            masks=sample.masks,
            ignored=clipped(sample.ignored, sample.size) if len(sample.ignored) else None,
        )

    def _turned(self, sample: DetectionSample, draw: random.Random) -> DetectionSample:
        """Flips and turns."""
        if draw.random() < self.flip:
            sample = flip_horizontal(sample)
        if draw.random() < self.vertical_flip:
            sample = flip_vertical(sample)
        if draw.random() < self.turn:
            for _ in range(draw.randint(1, 3)):
                sample = turn_left(sample)
        return sample

    def _sized(self, sample: DetectionSample, draw: random.Random) -> DetectionSample:
        if self.kind == "multi_scale":
            return self._multi_scale(sample, draw)
        if self.kind == "scale_range":
            return self._fit(sample, draw.randint(round(self.short_side * self.min_scale), self.short_side))
        if self.kind == "large_scale_jitter":
            return self._jitter(sample, draw)
        return self._fit(sample, self.short_side)

    def _fit(self, sample: DetectionSample, short_side: int) -> DetectionSample:
        return resize(sample, keep_ratio_size(sample.size, long_side=self.long_side, short_side=short_side))

    def _multi_scale(self, sample: DetectionSample, draw: random.Random) -> DetectionSample:
        """A random short side, or one after resizing and cropping."""
        if draw.random() < 0.5:
            sample = self._fit(sample, round(self.short_side * draw.choice(_CROP_SHORT_SIDES)))
            low, high = (round(self.short_side * share) for share in _CROP_RANGE)
            sample = with_boxes_of_masks(_random_crop(sample, _crop_size(sample.size, low, high, draw), draw))
        step = draw.randint(0, _STEPS) / _STEPS
        return self._fit(sample, round(self.short_side * (self.min_scale + (1 - self.min_scale) * step)))

    def _jitter(self, sample: DetectionSample, draw: random.Random) -> DetectionSample:
        """A random scale, cut to at most the square of ``short_side``."""
        scale, canvas = draw.uniform(*self.jitter), self.short_side
        fitting = keep_ratio_size(sample.size, long_side=canvas, short_side=canvas)
        sample = resize(sample, (max(1, round(fitting[0] * scale)), max(1, round(fitting[1] * scale))))
        return _random_crop(sample, (min(canvas, sample.size[0]), min(canvas, sample.size[1])), draw)

    def _mosaic(
        self, sample: DetectionSample, draw: random.Random, other: Callable[[random.Random], DetectionSample]
    ) -> DetectionSample:
        samples = [sample, *(other(draw) for _ in range(3))]
        draw.shuffle(samples)
        height, width = sample.size
        centre = (round(height * draw.uniform(*_MOSAIC_CENTRE)), round(width * draw.uniform(*_MOSAIC_CENTRE)))
        if min(height, width) < 8:
            return sample
        return mosaic(samples, sample.size, centre, [draw.random() for _ in range(4)])


def _crop_size(size: Size, low: int, high: int, draw: random.Random) -> Size:
    """(height, width) of a crop, each side drawn from ``low`` to ``high`` within the picture."""
    height, width = (draw.randint(min(side, low), min(side, high)) for side in size)
    return height, width


def _random_crop(sample: DetectionSample, size: Size, draw: random.Random) -> DetectionSample:
    top, left = (draw.randint(0, whole - part) for whole, part in zip(sample.size, size, strict=True))
    return crop(sample, top, left, *size)
