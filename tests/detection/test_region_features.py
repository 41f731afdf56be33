# SPDX-License-Identifier: MIT
"""RoIAlign by matrix products against torchvision's point by point, and the choice of levels."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import roi_align

from intern25.detection.region_features import region_features, region_levels

STRIDES = (4, 8, 16, 32)
rows = st.tuples(st.floats(-20, 140), st.floats(-20, 110), st.floats(0, 200), st.floats(0, 200))


def pyramid_of(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, 3, 96 // stride, 128 // stride, generator=generator, dtype=dtype) for stride in STRIDES
    ]


def boxes_of(values: list[tuple[float, ...]]) -> torch.Tensor:
    x, y, width, height = torch.tensor(values, dtype=torch.float64).reshape(-1, 4).unbind(dim=1)
    return torch.stack((x, y, x + width, y + height), dim=1)


def one_by_one(pyramid: list[torch.Tensor], regions: list[torch.Tensor], size: int) -> torch.Tensor:
    features = []
    for picture, boxes in enumerate(regions):
        for box in boxes:
            level = int(region_levels(box[None], len(pyramid)))
            part = pyramid[level][picture, None]
            features.append(roi_align(part, [box[None]], size, 1 / STRIDES[level], -1, aligned=True))
    return torch.cat(features) if features else pyramid[0].new_zeros(0, 3, size, size)


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, max_size=5), st.lists(rows, max_size=3), st.sampled_from([1, 3, 7]))
def test_products_are_point_by_point_sampling(
    first: list[tuple[float, ...]], second: list[tuple[float, ...]], size: int
) -> None:
    pyramid, regions = pyramid_of(), [boxes_of(first), boxes_of(second)]
    expected = one_by_one(pyramid, regions, size)
    torch.testing.assert_close(region_features(pyramid, STRIDES, regions, size), expected)


def test_gradients_reach_every_level() -> None:
    pyramid = [level.requires_grad_() for level in pyramid_of()]
    regions = [
        boxes_of([(5, 5, 30, 30), (0, 0, 120, 90)]),
        boxes_of([(0, 0, 128, 250), (0, 0, 300, 300), (0, 0, 500, 500)]),
    ]
    features = region_features(pyramid, STRIDES, regions, 7)
    torch.testing.assert_close(features.detach(), one_by_one([p.detach() for p in pyramid], regions, 7))
    features.square().sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in pyramid)


def test_levels_double_with_the_side() -> None:
    sides = torch.tensor([1.0, 111.9, 112.1, 223.9, 224.1, 447.9, 448.1, 5000.0])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), dim=1)
    assert region_levels(boxes, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert region_levels(torch.zeros(1, 4), 4).tolist() == [0]


def test_half_types_come_back() -> None:
    pyramid = [level.bfloat16() for level in pyramid_of(torch.float32)]
    regions = [boxes_of([(5, 5, 30, 30)]).float(), boxes_of([]).float()]
    features = region_features(pyramid, STRIDES, regions, 7)
    assert features.dtype == torch.bfloat16
    wanted = region_features([level.float() for level in pyramid], STRIDES, regions, 7)
    assert torch.equal(features, wanted.bfloat16())
