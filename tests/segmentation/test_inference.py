# SPDX-License-Identifier: MIT
"""Windows, views and class maps; parity with the official code is in test_goldens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.segmentation import inference
from intern25.segmentation.inference import label_maps, segment, windows
from intern25.segmentation.segmenter import Segmenter


class Blur(Segmenter):
    """Scores that depend on the pixels and, unlike a real network, are known: averages over 4x4 pixels."""

    def __init__(self, num_classes: int = 7) -> None:
        nn.Module.__init__(self)
        self.mix = nn.Conv2d(3, num_classes, 3, padding=1)
        self.seen: list[tuple[int, ...]] = []
        self.eval()

    def scores(self, images: Tensor) -> Tensor:
        self.seen.append(tuple(images.shape[-2:]))
        return F.adaptive_avg_pool2d(4 * self.mix(images), [-(-side // 4) for side in images.shape[-2:]])


side = st.integers(min_value=1, max_value=70)


@settings(deadline=None)
@given(size=st.tuples(side, side), crop=st.tuples(side, side), data=st.data())
def test_windows_cover_every_pixel(size: tuple[int, int], crop: tuple[int, int], data: st.DataObject) -> None:
    stride = (data.draw(st.integers(1, crop[0])), data.draw(st.integers(1, crop[1])))
    found = list(windows(size, crop, stride))
    count = torch.zeros(size)
    for top, bottom, left, right in found:
        assert (bottom - top, right - left) == (min(crop[0], size[0]), min(crop[1], size[1]))
        count[top:bottom, left:right] += 1
    assert count.min() >= 1
    # As many as the official grid: max(side - crop + stride - 1, 0) // stride + 1.
    grid = [max(s - c + t - 1, 0) // t + 1 for s, c, t in zip(size, crop, stride, strict=True)]
    assert len(found) == grid[0] * grid[1]


def test_sliding_averages_scores_by_counts() -> None:
    model, x = Blur(), torch.randn(1, 3, 32, 48)
    total, count = torch.zeros(1, 7, 32, 48), torch.zeros(32, 48)
    with torch.no_grad():
        for left in (0, 16, 24):
            window = x[..., left : left + 24]
            total[..., left : left + 24] += F.interpolate(
                model.scores(window), size=(32, 24), mode="bilinear", align_corners=False
            )
            count[:, left : left + 24] += 1
    expected = (total / count).softmax(1)
    found = segment(model, x, mode="slide", crop=(40, 24), stride=(40, 16))
    torch.testing.assert_close(found, expected)


def test_a_scale_beyond_memory_is_refused() -> None:
    model = Blur()
    with pytest.raises(ValueError, match=r"scales=\(1.0, 50.0\) must be at most 4"):
        segment(model, torch.randn(1, 3, 32, 32), scales=(1.0, 50.0))
    assert not model.seen


def test_views_are_averaged_after_the_softmax() -> None:
    model, x = Blur(), torch.randn(2, 3, 32, 64)
    one = segment(model, x)
    mirrored = segment(model, x.flip(-1)).flip(-1)
    half = segment(model, F.interpolate(x, size=(32, 32), mode="bilinear"), original_sizes=[(32, 64)] * 2)
    model.seen.clear()
    found = segment(model, x, scales=(1.0, 0.5), flip=True)
    # 0.5: 16 x 32, rounded up to 32 x 32.
    assert model.seen == [(32, 64), (32, 64), (32, 32), (32, 32)]
    half_mirrored = segment(
        model, F.interpolate(x.flip(-1), size=(32, 32), mode="bilinear"), original_sizes=[(32, 64)] * 2
    ).flip(-1)
    torch.testing.assert_close(found, (one + mirrored + half + half_mirrored) / 4)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 32, 64))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip": True, "scales": (0.5, 1.0)},
        {"mode": "slide", "crop": 32},
        {"original_sizes": [(50, 71)] * 2},
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 13, 1 << 22])
def test_class_maps_are_the_best_of_the_probabilities(
    options: dict[str, Any], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_CHUNK", chunk)
    model, x = Blur().double(), torch.randn(2, 3, 32, 64, dtype=torch.float64)
    expected = segment(model, x, **options).max(dim=1)
    found = label_maps(model, x, **options, with_scores=True)
    assert all(torch.equal(a.labels, b.to(torch.uint8)) for a, b in zip(found, expected.indices, strict=True))
    for single, scores in zip(found, expected.values, strict=True):
        assert single.scores is not None
        torch.testing.assert_close(single.scores, scores)
    assert all(a.scores is None for a in label_maps(model, x, **options))


def test_pictures_of_different_sizes() -> None:
    model, x = Blur(), torch.randn(2, 3, 32, 32)
    first, second = label_maps(model, x, original_sizes=[(20, 30), (40, 16)])
    assert first.labels.shape == (20, 30)
    assert torch.equal(second.labels, label_maps(model, x[1:], original_sizes=[(40, 16)])[0].labels)
    with pytest.raises(ValueError, match=r"original sizes \[\(20, 30\), \(40, 16\)\] differ"):
        segment(model, x, original_sizes=[(20, 30), (40, 16)])


def test_half_precision_scores_are_enlarged_in_float32() -> None:
    model = Blur().bfloat16()
    assert segment(model, torch.randn(1, 3, 32, 32).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "slide"}, "mode='slide' needs crop="),
        ({"mode": "tiles"}, "mode='tiles' is unknown; use 'whole' or 'slide'"),
        ({"crop": 8}, "crop=8 and stride=None need mode='slide'"),
        ({"mode": "slide", "crop": 8, "stride": 9}, "no stride above its crop"),
        ({"mode": "slide", "crop": 0}, "must be positive"),
        ({"scales": ()}, "at least one"),
        ({"scales": (1.0, -1.0)}, "must be positive numbers"),
        ({"original_sizes": [(1, 2), (3, 4)]}, "2 original sizes for 1 images"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segment(Blur(), torch.zeros(1, 3, 32, 32), **options)


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        segment(Blur().train(), torch.zeros(1, 3, 32, 32))
