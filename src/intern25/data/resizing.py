# SPDX-License-Identifier: MIT
"""From pictures to the inputs of detectors and segmenters: the official test transforms, as plain data.

What is special: bilinear resizing without antialiasing, with half-pixel centres and rounding to whole
levels, as the training of the published models saw it; detectors are padded to a multiple of 32 after the
normalisation, segmenters are resized to one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ThreeFloats

if TYPE_CHECKING:
    from PIL import Image

Size = tuple[int, int]
"""Height and width, pixels."""

STRIDE = 32
"""Inputs are multiples of the backbone's last stride."""


def keep_ratio_size(size: Size, *, long_side: int, short_side: int) -> Size:
    r"""Return the size of a picture that fills ``(long_side, short_side)`` and keeps its shape.

    $$ f = \min(\mathrm{long}/\max(h, w), \mathrm{short}/\min(h, w)), \quad
       h' = \lfloor f h + 0.5 \rfloor, \quad w' = \lfloor f w + 0.5 \rfloor $$

    Example:
        >>> keep_ratio_size((480, 640), long_side=1333, short_side=800)
        (800, 1067)
    """
    factor = min(long_side / max(size), short_side / min(size))
    height, width = (max(1, int(side * factor + 0.5)) for side in size)
    return height, width


def next_multiple(size: Size, multiple: int = STRIDE) -> Size:
    """Return ``size`` with both sides rounded up to a multiple of ``multiple``."""
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width


def resize_bilinear(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize ``(H, W, 3)`` pixels without antialiasing; half-pixel centres, rounded to whole levels."""
    if pixels.shape[:2] == size:
        return pixels
    values = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    resized = F.interpolate(values, size=size, mode="bilinear", align_corners=False)[0]
    return resized.round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def normalise(pixels: NDArray[np.uint8], mean: ThreeFloats, std: ThreeFloats) -> Tensor:
    """Return ``(value / 255 - mean) / std`` of ``(H, W, 3)`` pixels as ``(3, H, W)``, float32."""
    # Planes first: with the three channels innermost every operation would be several times slower.
    # Pillow's arrays are read-only, which torch warns about.
    values = torch.from_numpy(np.require(pixels, requirements="W")).permute(2, 0, 1).contiguous().float()
    means, deviations = (torch.tensor(numbers)[:, None, None] for numbers in (mean, std))
    return values.div_(255.0).sub_(means).div_(deviations)


@dataclass(frozen=True, slots=True)
class DetectionInputs:
    """A batch for a detector: ``model(images, image_sizes, original_sizes)``."""

    images: Tensor
    """Normalised, padded with zeros at the right and the bottom, ``(N, 3, H, W)``."""
    image_sizes: tuple[Size, ...]
    """Sizes after resizing, before padding."""
    original_sizes: tuple[Size, ...]
    """Sizes of the pictures; boxes come back in their pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPreprocessing:
    """How pictures become a detector's input.

    Convention:
        - input: Pillow images of any mode and size; ``read_image`` gives upright RGB ones.
        - output: float32, RGB, ``(N, 3, H, W)`` with sides that are multiples of 32.

    Args:
        long_side: Upper bound of the resized long side, pixels.
        short_side: Upper bound of the resized short side, pixels.
        mean: Per-channel mean of values in 0..1, RGB.
        std: Per-channel standard deviation, RGB.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> from PIL import Image
        >>> inputs = DetectionPreprocessing()([Image.new("RGB", (640, 480))])
        >>> inputs.images.shape, inputs.image_sizes
        (torch.Size([1, 3, 800, 1088]), ((800, 1067),))

    Source:
        OpenGVLab/InternImage, detection/configs/_base_/datasets (test pipelines).
    """

    long_side: int = 1333
    short_side: int = 800
    mean: ThreeFloats = IMAGENET_MEAN
    std: ThreeFloats = IMAGENET_STD

    def __post_init__(self) -> None:
        _check_sides(self.long_side, self.short_side)
        _check_statistics(self)

    def __call__(self, images: Sequence[Image.Image]) -> DetectionInputs:
        """Return the batch of ``images``, padded to the largest of them.

        Raises:
            ValueError: There are no pictures.
        """
        if not images:
            raise ValueError("a batch needs at least one picture")
        resized = [self.resize(image) for image in images]
        sizes = tuple((int(image.shape[1]), int(image.shape[2])) for image in resized)
        height, width = next_multiple((max(size[0] for size in sizes), max(size[1] for size in sizes)))
        padded = [F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in resized]
        return DetectionInputs(torch.stack(padded), sizes, tuple((i.height, i.width) for i in images))

    def resize(self, image: Image.Image) -> Tensor:
        """Return the resized and normalised ``(3, h, w)`` tensor of ``image``, not padded."""
        size = self.resized_size((image.height, image.width))
        return normalise(resize_bilinear(np.asarray(image.convert("RGB")), size), self.mean, self.std)

    def resized_size(self, size: Size) -> Size:
        """Return the size that a picture of ``size`` is resized to."""
        return keep_ratio_size(size, long_side=self.long_side, short_side=self.short_side)

    def input_size(self, size: Size) -> Size:
        """Return the padded size of a picture of ``size`` that is alone in its batch."""
        return next_multiple(self.resized_size(size))

    def to_json(self) -> str:
        """Return the settings as one JSON object; :meth:`from_json` takes it back unchanged."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> DetectionPreprocessing:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: ``text`` is not such an object.
        """
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"not a preprocessing of a detector: {text[:200]!r} ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationPreprocessing:
    """How a picture becomes a segmenter's input, and how the segmenter is to be run on it.

    Convention:
        - input: Pillow image of any mode and size; ``read_image`` gives an upright RGB one.
        - output: float32, RGB, ``(3, H, W)``; the picture is not padded.

    Args:
        long_side: Upper bound of the resized long side, pixels.
        short_side: Upper bound of the resized short side, pixels.
        multiple: Sides are then resized up to its next multiple, each by its own factor; None leaves them.
        mode: ``"whole"`` picture at once, or a ``"slide"`` of windows whose logits are averaged.
        crop: Height and width of a window.
        stride: Vertical and horizontal distance of windows.
        mean: Per-channel mean of values in 0..1, RGB.
        std: Per-channel standard deviation, RGB.

    Raises:
        ValueError: A value is out of range, or windows are asked for without their size and distance.

    Example:
        >>> from PIL import Image
        >>> SegmentationPreprocessing(long_side=2048, short_side=512)(Image.new("RGB", (640, 480))).shape
        torch.Size([3, 512, 704])

    Source:
        OpenGVLab/InternImage, segmentation/configs/_base_/datasets (test pipelines).
    """

    long_side: int
    short_side: int
    multiple: int | None = STRIDE
    mode: Literal["whole", "slide"] = "whole"
    crop: Size | None = None
    stride: Size | None = None
    mean: ThreeFloats = IMAGENET_MEAN
    std: ThreeFloats = IMAGENET_STD

    def __post_init__(self) -> None:
        _check_sides(self.long_side, self.short_side)
        _check_statistics(self)
        for name in ("crop", "stride"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        if self.multiple is not None and self.multiple < 1:
            raise ValueError(f"multiple={self.multiple} must be 1 or more, or None")
        if self.mode not in ("whole", "slide"):
            raise ValueError(f"mode={self.mode!r} must be 'whole' or 'slide'")
        if self.mode == "slide" and not _is_window(self.crop, self.stride):
            raise ValueError(
                f"crop={self.crop} and stride={self.stride} must be (height, width) pairs, the stride at "
                "most the crop, so that windows leave no gaps"
            )

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the resized and normalised ``(3, H, W)`` tensor of ``image``."""
        size = (image.height, image.width)
        pixels = resize_bilinear(np.asarray(image.convert("RGB")), self.resized_size(size))
        return normalise(resize_bilinear(pixels, self.input_size(size)), self.mean, self.std)

    def resized_size(self, size: Size) -> Size:
        """Return the size that keeps the shape of a picture of ``size``."""
        return keep_ratio_size(size, long_side=self.long_side, short_side=self.short_side)

    def input_size(self, size: Size) -> Size:
        """Return the size of the input made from a picture of ``size``."""
        resized = self.resized_size(size)
        return resized if self.multiple is None else next_multiple(resized, self.multiple)

    def to_json(self) -> str:
        """Return the settings as one JSON object; :meth:`from_json` takes it back unchanged."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SegmentationPreprocessing:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: ``text`` is not such an object.
        """
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"not a preprocessing of a segmenter: {text[:200]!r} ({error})") from error


def _check_sides(long_side: int, short_side: int) -> None:
    if not 1 <= short_side <= long_side:
        raise ValueError(f"short_side={short_side} must be 1 or more and at most long_side={long_side}")


def _check_statistics(preprocessing: DetectionPreprocessing | SegmentationPreprocessing) -> None:
    """Make tuples of what JSON gives as lists, and check mean and std."""
    mean, std = tuple(preprocessing.mean), tuple(preprocessing.std)
    object.__setattr__(preprocessing, "mean", mean)
    object.__setattr__(preprocessing, "std", std)
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(f"mean={mean} and std={std} need three numbers each, std above 0")


def _is_window(crop: Size | None, stride: Size | None) -> bool:
    if crop is None or stride is None or len(crop) != 2 or len(stride) != 2:
        return False
    return all(0 < step <= side for step, side in zip(stride, crop, strict=True))
