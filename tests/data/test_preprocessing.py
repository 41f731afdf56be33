# SPDX-License-Identifier: MIT
"""Preprocessing against torchvision's transforms, which the official evaluation uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

SIZES = [(300, 200), (225, 224), (101, 333), (50, 50), (224, 224), (7, 9)]


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def official(image: Image.Image, size: int) -> torch.Tensor:
    steps = [
        transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
    result: torch.Tensor = transforms.Compose(steps)(image)
    return result


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("size", [224, 97])
def test_equals_the_official_transform_bit_for_bit(width: int, height: int, size: int) -> None:
    image = noise(width, height)
    assert torch.equal(Preprocessing(size)(image), official(image, size))


def test_squash_keeps_the_whole_picture() -> None:
    image = Image.new("RGB", (90, 30), (255, 0, 0))
    image.paste((0, 0, 255), (60, 0, 90, 30))
    seen = np.asarray(Preprocessing(30, crop="squash").crop_image(image))
    assert tuple(seen[15, 2]) == (255, 0, 0)
    assert tuple(seen[15, 27]) == (0, 0, 255)


def test_a_strip_is_cut_before_it_is_enlarged() -> None:
    # Resized whole, this strip would be 224 x 2,240,000 pixels: 1.5 GB.
    strip = Image.new("RGB", (100_000, 10), (255, 0, 0))
    strip.paste((0, 255, 0), (49_900, 0, 50_100, 10))
    seen = np.asarray(Preprocessing(224).crop_image(strip))
    assert seen.shape == (224, 224, 3)
    assert (seen == (0, 255, 0)).all()


def test_json_round_trip() -> None:
    preprocessing = Preprocessing(96, crop="squash", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 22.4}, "22.4"),
        ({"crop": "middle"}, "'middle'"),
        ({"interpolation": "nearest"}, "'nearest'"),
        ({"std": (1.0, 0.0, 1.0)}, "0.0"),
        ({"mean": (1.0, 0.0)}, "three numbers"),
    ],
)
def test_wrong_settings_are_shown(changes: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        Preprocessing(**{"image_size": 224, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", '{"size": 3}', '{"image_size": "big"}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a preprocessing description|image_size"):
        Preprocessing.from_json(text)
