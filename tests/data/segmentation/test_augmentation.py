"""Pictures and masks move together, crops keep several classes, draws follow from the seed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from intern25.data.preprocessing import Preprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation

ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def made(height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """A picture whose left part is black and right part white, and its mask of 0 and 1."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, width // 3 :] = 1
    return Image.fromarray(np.repeat(mask[:, :, None] * 255, 3, axis=2)), mask


@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 2**40))
@settings(max_examples=80, deadline=None)
def test_the_mask_follows_the_picture(height: int, width: int, seed: int) -> None:
    augmentation = SegmentationAugmentation(
        crop=(48, 48),
        long_side=96,
        short_side=48,
        vertical_flip=0.5,
        turn=0.5,
        photometric=0.0,
        mean=ZERO,
        std=ONE,
    )
    image, mask = augmentation(*made(height, width), seed)
    assert image.shape == (3, 48, 48)
    assert mask.shape == (48, 48)
    assert mask.dtype == torch.int64
    assert set(mask.unique().tolist()) <= {0, 1, 255}
    inside = mask != 255
    assert not image[:, ~inside].any()  # padding
    # Beside the edge the picture is blurred by resizing and the mask is not.
    wrong = ((image[0] > 0.5) != (mask == 1)) & inside
    assert wrong.float().sum() <= 0.03 * inside.sum() + 48


def test_without_chance_it_is_resize_and_normalise() -> None:
    picture, mask = made(32, 32)
    augmentation = SegmentationAugmentation(
        crop=(40, 32), long_side=32, short_side=32, scale=(1.0, 1.0), flip=0.0, photometric=0.0
    )
    image, labels = augmentation(picture, mask, 1)
    torch.testing.assert_close(image[:, :32], Preprocessing(32)(picture))
    np.testing.assert_array_equal(labels[:32].numpy(), mask)
    assert not image[:, 32:].any()
    assert (labels[32:] == 255).all()


def test_crops_hold_more_than_one_class() -> None:
    picture, mask = made(60, 240)  # the edge is at a third
    settings_ = {
        "crop": (40, 40),
        "long_side": 240,
        "short_side": 60,
        "scale": (1.0, 1.0),
        "photometric": 0.0,
    }
    chosen = SegmentationAugmentation(**settings_)  # type: ignore[arg-type]
    free = SegmentationAugmentation(**settings_, max_class_share=1.0)  # type: ignore[arg-type]

    def mixed(augmentation: SegmentationAugmentation) -> float:
        return float(np.mean([len(augmentation(picture, mask, seed)[1].unique()) == 2 for seed in range(80)]))

    # A crop shows a quarter to three quarters of both with probability 20 / 200; ten tries find one in 65 %.
    assert mixed(chosen) > 0.5
    assert mixed(free) > 0.05


def test_draws_follow_from_the_seed() -> None:
    picture, mask = made(50, 70)
    augmentation = SegmentationAugmentation(crop=(32, 48), long_side=96, short_side=48, turn=0.5)
    before = torch.get_rng_state(), random.getstate()
    runs = [[augmentation(picture, mask, seed) for seed in range(8)] for _ in range(2)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    for (image, labels), (again, same) in zip(*runs, strict=True):
        assert torch.equal(image, again)
        assert torch.equal(labels, same)
    assert len({image.sum().item() for image, _ in runs[0]}) == 8


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"crop": (0, 5)}, r"crop=\(0, 5\) must be \(height, width\)"),
        ({"short_side": 0}, "short_side=0 must be 1 or more"),
        ({"scale": (2.0, 0.5)}, "two scales above 0"),
        ({"flip": 2.0}, r"flip=2.0 must lie in \[0, 1\]"),
        ({"max_class_share": -1.0}, "max_class_share"),
    ],
)
def test_wrong_settings_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationAugmentation(**settings_)  # type: ignore[arg-type]
