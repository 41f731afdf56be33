# SPDX-License-Identifier: MIT
"""Points against scalar bilinear interpolation, and the share of uncertain ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.layers.point_sampling import sample_points, uncertain_points


def bilinear(picture: Tensor, x: float, y: float) -> float:
    """Value at (x, y) in pixels; pixel i has its centre at i + 0.5, zeros outside."""
    total = 0.0
    for row in (math.floor(y - 0.5), math.floor(y - 0.5) + 1):
        for column in (math.floor(x - 0.5), math.floor(x - 0.5) + 1):
            if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
                weight = (1 - abs(y - 0.5 - row)) * (1 - abs(x - 0.5 - column))
                total += weight * float(picture[row, column])
    return total


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 6), width=st.integers(1, 6), count=st.integers(1, 5), is_shared=st.booleans(),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_points(height: int, width: int, count: int, is_shared: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(3, height, width, dtype=torch.float64, generator=generator)
    points = torch.rand(1 if is_shared else 3, count, 2, dtype=torch.float64, generator=generator)
    found = sample_points(maps, points)
    assert found.shape == (3, count)
    for index, picture in enumerate(maps):
        own = points[0 if is_shared else index]
        expected = [bilinear(picture, x * width, y * height) for x, y in own.tolist()]
        assert found[index].tolist() == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 200), oversample=st.floats(1.0, 4.0), importance=st.floats(0.0, 1.0),
    masks=st.integers(0, 3),
)  # fmt: skip
def test_number_and_range_of_points(count: int, oversample: float, importance: float, masks: int) -> None:
    points = uncertain_points(
        torch.randn(masks, 5, 7), count, oversample_ratio=oversample, importance_ratio=importance
    )
    assert points.shape == (masks, count, 2)
    assert ((points >= 0) & (points < 1)).all()


def test_uncertain_points_lie_at_the_edge_of_the_mask() -> None:
    edge = torch.linspace(-8, 8, 64).expand(1, 64, 64)  # zero at x = 0.5
    points = uncertain_points(edge, 400, oversample_ratio=3.0, importance_ratio=0.75)
    distance = (points[0, :, 0] - 0.5).abs()
    # 300 of 1200 uniform candidates lie within an eighth of the edge, +- a few.
    assert distance[:300].max() < 0.17
    assert 0.2 < distance[300:].mean() < 0.3  # the free ones: 0.25


def test_points_of_boxes() -> None:
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.9], [0.5, 0.5, 0.6, 0.6]])
    points = uncertain_points(
        torch.randn(2, 9, 9), 200, oversample_ratio=2.0, importance_ratio=0.5, boxes=boxes
    )
    assert points.shape == (2, 200, 2)
    shares = (points - boxes[:, None, :2]) / (boxes[:, 2:] - boxes[:, :2])[:, None]
    assert bool(((shares > -1e-5) & (shares < 1 + 1e-5)).all())
    assert (shares.mean(dim=1) - 0.5).abs().max() < 0.15


@pytest.mark.parametrize(("count", "oversample", "importance"), [(0, 3, 0.5), (4, 0.5, 0.5), (4, 3, 1.5)])
def test_bad_numbers(count: int, oversample: float, importance: float) -> None:
    with pytest.raises(ValueError, match=f"count={count} must be 1 or more"):
        uncertain_points(
            torch.zeros(1, 4, 4), count, oversample_ratio=oversample, importance_ratio=importance
        )
