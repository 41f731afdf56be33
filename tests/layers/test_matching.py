# SPDX-License-Identifier: MIT
"""Costs by loops, the assignment against all permutations, and what is refused."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.layers.matching import focal_cost, hungarian, mask_costs


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 10_000))
def test_the_sum_of_costs_is_the_smallest(queries: int, targets: int, seed: int) -> None:
    cost = torch.rand(queries, targets, generator=torch.Generator().manual_seed(seed))
    rows, columns = hungarian(cost)
    count = min(queries, targets)
    assert len(rows) == len(columns) == count
    assert len(rows.unique()) == len(columns.unique()) == count
    assert rows.tolist() == sorted(rows.tolist())
    if queries >= targets:
        best = min(
            sum(cost[row, column].item() for column, row in enumerate(chosen))
            for chosen in permutations(range(queries), targets)
        )
        assert cost[rows, columns].sum().item() == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_costs_that_are_not_finite_are_named(value: float) -> None:
    cost = torch.zeros(3, 2)
    cost[2, 1] = value
    with pytest.raises(ValueError, match=r"query 2 and target 1 is (nan|inf)"):
        hungarian(cost)


def test_costs_must_be_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"\(queries, targets\)"):
        hungarian(torch.zeros(3))


def test_focal_cost_by_hand() -> None:
    logits = torch.tensor([[-3.0, 0.0], [0.5, 6.0]], dtype=torch.float64)
    found = focal_cost(logits, alpha=0.3, gamma=1.5)
    for row, logit_row in enumerate(logits.tolist()):
        for column, logit in enumerate(logit_row):
            p = 1 / (1 + math.exp(-logit))
            expected = -0.3 * (1 - p) ** 1.5 * math.log(p) + 0.7 * p**1.5 * math.log(1 - p)
            assert found[row, column].item() == pytest.approx(expected, rel=1e-8)


def test_mask_costs_of_a_batch() -> None:
    found = 2 * torch.randn(2, 3, 4, 6, dtype=torch.float64)
    wanted = torch.rand(3, 5, 6, dtype=torch.float64)
    entropy, dice = mask_costs(found, wanted)
    assert entropy.shape == dice.shape == (2, 3, 4, 5)
    for layer, picture, query, target in ((0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)):
        pairs = list(
            zip(found[layer, picture, query].tolist(), wanted[picture, target].tolist(), strict=True)
        )
        probability = [1 / (1 + math.exp(-x)) for x, _ in pairs]
        cross = [
            -t * math.log(p) - (1 - t) * math.log(1 - p) for p, (_, t) in zip(probability, pairs, strict=True)
        ]
        both = sum(p * t for p, (_, t) in zip(probability, pairs, strict=True))
        total = sum(probability) + sum(t for _, t in pairs)
        assert entropy[layer, picture, query, target].item() == pytest.approx(sum(cross) / 6)
        assert dice[layer, picture, query, target].item() == pytest.approx(1 - (2 * both + 1) / (total + 1))
