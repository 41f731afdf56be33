# SPDX-License-Identifier: MIT
"""From a picture to the tensor a model takes: the official evaluation transform, as plain data.

What is special: the short side is resized to exactly the model's size (no 0.875 ratio) with Pillow's
antialiased bicubic filter, so the numbers of the published models come back.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

ThreeFloats = tuple[float, float, float]

IMAGENET_MEAN: ThreeFloats = (0.485, 0.456, 0.406)
IMAGENET_STD: ThreeFloats = (0.229, 0.224, 0.225)

# Names of PIL.Image.Resampling; the numbers are fixed by Pillow's public API.
_RESAMPLING = {"bilinear": 2, "bicubic": 3, "lanczos": 1}
# A picture longer than this many times its short side is trimmed before resizing: the centre crop
# drops the rest anyway, and the resized strip could be gigabytes.
_MAX_ASPECT = 16


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes a model's input.

    Convention:
        - input: Pillow image of any mode; ``read_image`` gives an upright RGB one.
        - output: float32, RGB, ``(3, image_size, image_size)``, ``(value / 255 - mean) / std``.

    Args:
        image_size: Side of the square input, pixels.
        crop: ``"center"`` resizes the short side to ``image_size`` and cuts the centre square;
            ``"squash"`` resizes both sides to ``image_size``, so nothing is cut and shapes are distorted.
        interpolation: Filter of the resize, always with antialiasing.
        mean: Per-channel mean of values in 0..1, RGB.
        std: Per-channel standard deviation, RGB.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> from PIL import Image
        >>> Preprocessing(224)(Image.new("RGB", (640, 480))).shape
        torch.Size([3, 224, 224])

    Source:
        OpenGVLab/InternImage classification/dataset/build.py (evaluation branch); checked against
        torchvision's Resize, CenterCrop, ToTensor, Normalize.
    """

    image_size: int
    crop: Literal["center", "squash"] = "center"
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    mean: ThreeFloats = IMAGENET_MEAN
    std: ThreeFloats = IMAGENET_STD

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            # JSON has no tuples: lists come back from a saved file.
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.image_size, int) or self.image_size < 1:
            raise ValueError(f"image_size={self.image_size!r} must be a positive number of pixels")
        if self.crop not in ("center", "squash"):
            raise ValueError(f"crop={self.crop!r} must be 'center' or 'squash'")
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f"interpolation={self.interpolation!r} must be one of {', '.join(_RESAMPLING)}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean={self.mean} and std={self.std} need three numbers each, std above 0")

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the normalised ``(3, image_size, image_size)`` float32 tensor of ``image``."""
        pixels = np.asarray(self.crop_image(image), dtype=np.float32)
        # Same order of operations as ToTensor and Normalize: equal to the last bit.
        normalised = (torch.from_numpy(pixels) / 255.0 - torch.tensor(self.mean)) / torch.tensor(self.std)
        return normalised.permute(2, 0, 1).contiguous()

    def crop_image(self, image: Image.Image) -> Image.Image:
        """Return what the model sees: the resized and cut RGB picture, ``image_size`` on each side."""
        size = self.image_size
        image = image.convert("RGB")
        if self.crop == "squash":
            return image.resize((size, size), _RESAMPLING[self.interpolation])
        image = _trim_long_side(image)
        width, height = _short_side_size(image.size, size)
        image = image.resize((width, height), _RESAMPLING[self.interpolation])
        left, top = round((width - size) / 2), round((height - size) / 2)
        return image.crop((left, top, left + size, top + size))

    def to_json(self) -> str:
        """Return the settings as one JSON object; :meth:`from_json` takes it back unchanged."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: ``text`` is not such an object.
        """
        try:
            values = json.loads(text)
            return cls(**values)
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"not a preprocessing description: {text[:200]!r} ({error})") from error


def _short_side_size(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Size with the short side ``short``; the long side is rounded down, as torchvision does."""
    width, height = size
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def _trim_long_side(image: Image.Image) -> Image.Image:
    """Cut the middle out of an extremely long picture; others come back as they are."""
    limit = _MAX_ASPECT * min(image.size)
    if max(image.size) <= limit:
        return image
    width, height = (min(side, limit) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
