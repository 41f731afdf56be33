# SPDX-License-Identifier: MIT
"""Losses against loops written from the papers' equations in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.layers.losses import (
    dice_loss,
    giou_loss,
    mean_count,
    quality_focal_loss,
    reduce_loss,
    sigmoid_focal_loss,
    smooth_l1_loss,
)


def focal_by_loops(logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> list[list[float]]:
    rows = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        entries = []
        for index, logit in enumerate(row):
            p = 1 / (1 + math.exp(-logit))
            if index == label:
                entries.append(-alpha * (1 - p) ** gamma * math.log(p))
            else:
                entries.append(-(1 - alpha) * p**gamma * math.log(1 - p))
        rows.append(entries)
    return rows


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5), st.floats(0.1, 0.9), st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 1000))
def test_focal(count: int, alpha: float, gamma: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 3, dtype=torch.float64, generator=generator) * 3
    labels = torch.randint(0, 4, (count,), generator=generator)
    expected = focal_by_loops(logits, labels, alpha, gamma)
    weight = torch.rand(count, dtype=torch.float64, generator=generator)
    by_row = sum(sum(row) * w for row, w in zip(expected, weight.tolist(), strict=True))
    found = sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma, weight=weight, avg_factor=7)
    assert found.item() == pytest.approx(by_row / 7, rel=1e-9, abs=1e-12)


def test_focal_without_divisor_is_the_mean_of_the_entries() -> None:
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 3, 2, 1])
    expected = torch.tensor(focal_by_loops(logits, labels, 0.25, 2.0)).mean()
    assert sigmoid_focal_loss(logits, labels).item() == pytest.approx(expected.item())


def test_focal_is_finite_for_certain_and_wrong_scores() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_quality_focal(gamma: float) -> None:
    logits = torch.tensor([-2.0, 0.3, 4.0, -1.0], dtype=torch.float64)
    qualities = torch.tensor([0.0, 0.7, 1.0, 0.2], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    expected = 0.0
    for x, t, w in zip(logits.tolist(), qualities.tolist(), weight.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        expected -= w * abs(t - p) ** gamma * (t * math.log(p) + (1 - t) * math.log(1 - p))
    found = quality_focal_loss(logits, qualities, gamma=gamma, weight=weight, avg_factor=3)
    assert found.item() == pytest.approx(expected / 3)


def test_quality_focal_is_still_where_the_quality_is_foretold() -> None:
    qualities = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    logits = (qualities / (1 - qualities)).log().requires_grad_()
    quality_focal_loss(logits, qualities).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1(beta: float) -> None:
    difference = torch.tensor([0.0, 0.05, 0.5, 1.0, -3.0], dtype=torch.float64)
    expected = [0.5 * d * d / beta if d < beta else d - beta / 2 for d in difference.abs().tolist()]
    found = smooth_l1_loss(difference, torch.zeros(5, dtype=torch.float64), beta=beta, avg_factor=2)
    assert found.item() == pytest.approx(sum(expected) / 2)


def test_giou_loss() -> None:
    first = torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]])
    second = torch.tensor([[2.0, 0, 3, 1], [0, 0, 2, 2]])
    assert giou_loss(first, second).item() == pytest.approx((1 + 1 / 3) / 2)
    assert giou_loss(first, second, weight=torch.tensor([0.0, 1.0])).item() == pytest.approx(0, abs=1e-7)


def test_dice() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0]], dtype=torch.float64)
    p = [1 / (1 + math.exp(-x)) for x in (0.0, 2.0, -1.0)]
    expected = 1 - (2 * (p[0] + p[1]) + 1) / (sum(p) + 2 + 1)
    found = dice_loss(logits, torch.tensor([[True, True, False]]), avg_factor=1)
    assert found.item() == pytest.approx(expected)


def test_an_empty_loss_is_zero_with_a_gradient() -> None:
    boxes = torch.zeros(0, 4, requires_grad=True)
    loss = giou_loss(boxes, torch.zeros(0, 4))
    loss.backward()
    assert loss.item() == 0
    assert reduce_loss(torch.zeros(0), None, None).item() == 0


def test_counts_are_at_least_one() -> None:
    assert mean_count(0, "cpu").item() == 1
    assert mean_count(7, "cpu").item() == 7


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_gradients_are_finite(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 4, generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.rand(count, 4, generator=generator, dtype=torch.float64)
    total = giou_loss(x, y) + smooth_l1_loss(x, y, beta=0.0) + dice_loss(x, y.round())
    total.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
