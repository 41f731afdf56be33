# SPDX-License-Identifier: MIT
"""The assignment against all permutations, and what is refused."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.layers.matching import hungarian


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
