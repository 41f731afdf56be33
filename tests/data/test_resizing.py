# SPDX-License-Identifier: MIT
"""Inputs of detectors and segmenters against OpenCV's resizing and the official formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from intern25.data.resizing import (
    DetectionPreprocessing,
    SegmentationPreprocessing,
    keep_ratio_size,
    next_multiple,
    resize_bilinear,
)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scalar_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Half-pixel centres, edges repeated, float64, one pixel at a time."""
    height, width = pixels.shape[:2]
    result = np.zeros((*size, 3))
    for row in range(size[0]):
        for column in range(size[1]):
            y = min(max((row + 0.5) * height / size[0] - 0.5, 0.0), height - 1.0)
            x = min(max((column + 0.5) * width / size[1] - 0.5, 0.0), width - 1.0)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            dy, dx = y - top, x - left
            upper = pixels[top, left] * (1 - dx) + pixels[top, right] * dx
            lower = pixels[bottom, left] * (1 - dx) + pixels[bottom, right] * dx
            result[row, column] = upper * (1 - dy) + lower * dy
    return result


@pytest.mark.parametrize("size", [(9, 14), (23, 31), (5, 40), (1, 1), (10, 13)])
def test_bilinear_equals_the_formula(size: tuple[int, int]) -> None:
    pixels = noise(10, 13)
    exact = scalar_bilinear(pixels, size)
    # Rounding to whole levels, and float32 on either side of a half.
    assert np.abs(resize_bilinear(pixels, size) - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("size", [(20, 31), (77, 93), (40, 33)])
def test_bilinear_equals_opencv(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = noise(37, 52)
    theirs = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    # OpenCV works with weights of 11 bits: one level of difference now and then.
    assert np.abs(resize_bilinear(pixels, size).astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(
    ("size", "sides", "expected"),
    [
        ((480, 640), (1333, 800), (800, 1067)),
        ((427, 640), (1333, 800), (800, 1199)),
        ((640, 427), (1333, 800), (1199, 800)),
        ((300, 1000), (1333, 800), (400, 1333)),
        ((512, 683), (2048, 512), (512, 683)),
        ((1024, 2048), (2048, 1024), (1024, 2048)),
        ((1, 5000), (1333, 800), (1, 1333)),
    ],
)
def test_sizes_of_the_official_formula(
    size: tuple[int, int], sides: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert keep_ratio_size(size, long_side=sides[0], short_side=sides[1]) == expected


def test_a_detection_batch_is_normalised_then_padded_with_zeros() -> None:
    preprocessing = DetectionPreprocessing(long_side=96, short_side=60)
    images = [Image.fromarray(noise(50, 70)), Image.fromarray(noise(70, 40))]
    batch = preprocessing(images)
    assert batch.image_sizes == ((60, 84), (96, 55))
    assert batch.original_sizes == ((50, 70), (70, 40))
    assert batch.images.shape == (2, 3, 96, 96)
    resized = resize_bilinear(noise(50, 70), (60, 84))
    expected = (resized / 255.0 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    # float32 of values up to 2.6.
    assert np.allclose(batch.images[0, :, :60, :84], expected.transpose(2, 0, 1), atol=1e-6)
    assert not batch.images[0, :, 60:].any()
    assert not batch.images[0, :, :, 84:].any()
    assert not batch.images[1, :, :, 55:].any()


def test_an_empty_detection_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        DetectionPreprocessing()([])


def test_segmentation_is_resized_twice_and_not_padded() -> None:
    preprocessing = SegmentationPreprocessing(long_side=128, short_side=50)
    pixels = noise(60, 90)
    output = preprocessing(Image.fromarray(pixels))
    assert preprocessing.resized_size((60, 90)) == (50, 75)
    assert output.shape == (3, 64, 96)
    twice = resize_bilinear(resize_bilinear(pixels, (50, 75)), (64, 96))
    expected = (twice / 255.0 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    assert np.allclose(output, expected.transpose(2, 0, 1), atol=1e-6)
    exact = SegmentationPreprocessing(long_side=128, short_side=50, multiple=None)
    assert exact(Image.fromarray(pixels)).shape == (3, 50, 75)
    assert torch.isfinite(output).all()


@pytest.mark.parametrize(
    "preprocessing",
    [
        DetectionPreprocessing(long_side=2000, short_side=1000),
        SegmentationPreprocessing(long_side=2048, short_side=1024, multiple=None),
        SegmentationPreprocessing(
            long_side=9, short_side=9, mode="slide", crop=(512, 640), stride=(384, 320), mean=(0, 0, 0)
        ),
    ],
)
def test_json_reads_back(preprocessing: DetectionPreprocessing | SegmentationPreprocessing) -> None:
    assert type(preprocessing).from_json(preprocessing.to_json()) == preprocessing
    with pytest.raises(ValueError, match="not a preprocessing"):
        type(preprocessing).from_json('{"image_size": 224}')


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"short_side": 0}, "short_side=0"),
        ({"short_side": 900, "long_side": 800}, "at most long_side=800"),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
        ({"mode": "windows"}, "'whole' or 'slide'"),
        ({"mode": "slide"}, "crop=None and stride=None"),
        ({"mode": "slide", "crop": (64, 64), "stride": (65, 64)}, "no gaps"),
        ({"multiple": 0}, "multiple=0"),
    ],
)
def test_wrong_settings(arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        SegmentationPreprocessing(**{"long_side": 800, "short_side": 400, **arguments})  # type: ignore[arg-type]


def test_multiples() -> None:
    assert next_multiple((1, 64)) == (32, 64)
    assert next_multiple((65, 97), 8) == (72, 104)
