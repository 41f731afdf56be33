# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from intern25.data.multimodal.joined import JoinedPictures
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.picture_views import PictureView, normalised
from intern25.data.stores import MemoryStore


def picture(height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    image = picture()
    for view in (PictureView(size=(48, 64)).plain(image), PictureView(size=(48, 64))(image, 3)):
        assert torch.equal(view, torch.from_numpy(image).permute(2, 0, 1))


def test_pictures_are_normalised_by_channel() -> None:
    pixels = picture(3, 4)
    found = normalised(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for row, column, channel in np.ndindex(3, 4, 3):
        expected = (float(pixels[row, column, channel]) / 255 - mean[channel]) / std[channel]
        assert float(found[0, channel, row, column]) == pytest.approx(expected, abs=1e-5)


def test_a_flip_mirrors_and_a_seed_repeats() -> None:
    image = picture()
    flipped = PictureView(size=(48, 64), flip=1.0)(image, 3)
    assert torch.equal(flipped, torch.from_numpy(image[:, ::-1].copy()).permute(2, 0, 1))
    view = PictureView(size=(40, 40), min_scale=0.3, flip=0.5, jitter=0.4, shift=0.1, grey=0.3)
    assert torch.equal(view(image, 5), view(image, 5))
    assert not torch.equal(view(image, 5), view(image, 6))


def test_grey_pictures_have_no_colour() -> None:
    channels = PictureView(size=(48, 64), grey=1.0)(picture(), 0).int()
    assert int((channels.amax(0) - channels.amin(0)).max()) <= 1


def test_a_uniform_picture_stays_uniform_however_it_is_moved() -> None:
    image = np.full((20, 90, 3), 77, dtype=np.uint8)
    moved = PictureView(size=(48, 192), shift=0.5, min_scale=0.5)(image, 1)
    assert bool((moved == 77).all())


def test_a_turn_is_about_the_middle_of_what_is_seen() -> None:
    image = np.zeros((65, 65, 3), dtype=np.uint8)
    image[24:41, 24:41] = 200
    image[32, 4:61] = 200  # a line through the middle of a square
    turned = PictureView(size=(65, 65), turn=90.0)(image, 2)[0].numpy()
    plain = PictureView(size=(65, 65)).plain(image)[0].numpy()
    assert not np.array_equal(turned, plain)
    assert turned[30:35, 30:35].min() == 200
    assert float(turned.sum()) == pytest.approx(float(plain.sum()), rel=0.02)


def test_a_blur_keeps_the_mean_and_takes_the_detail() -> None:
    image = picture()
    blurred = PictureView(size=(48, 64), blur=1.0)(image, 1).float()
    plain = PictureView(size=(48, 64)).plain(image).float()
    assert float(blurred.mean()) == pytest.approx(float(plain.mean()), abs=2.0)
    assert float(blurred.std()) < 0.8 * float(plain.std())


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6))
def test_any_picture_fills_the_size(height: int, width: int, seed: int) -> None:
    view = PictureView(
        size=(32, 48), min_scale=0.2, jitter=1.0, shift=0.9, flip=0.5, grey=0.5, turn=180.0, blur=0.5
    )
    result = view(picture(height, width), seed)
    assert result.shape == (3, 32, 48)
    assert result.dtype == torch.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (16, 64)}, "32 pixels or more"),
        ({"min_scale": 0.0}, "min_scale"),
        ({"flip": 2.0}, "flip=2.0"),
    ],
)
def test_bad_settings(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PictureView(**{"size": (32, 32), **change})  # type: ignore[arg-type]


def test_joined_collections_repeat_as_asked() -> None:
    parts = tuple(
        AnnotatedPictures(names, tuple((name.upper(),) for name in names), MemoryStore({}))
        for names in (("a", "b"), ("c",))
    )
    joined = JoinedPictures(parts, (1, 3))
    assert [joined.name(i) for i in range(len(joined))] == ["a", "b", "c", "c", "c"]
    assert [joined.items(i)[0] for i in range(5)] == ["A", "B", "C", "C", "C"]
    with pytest.raises(IndexError):
        joined.name(5)
    with pytest.raises(ValueError, match="times"):
        JoinedPictures(parts, (1, 0))
