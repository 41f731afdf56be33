# SPDX-License-Identifier: MIT
"""Masks against the rule, pair by pair."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.generalist.visibility import visibility


def rule(
    lengths: list[int], causal: list[bool], present: Tensor | None, past: int, past_present: Tensor | None
) -> list[list[list[bool]]]:
    """Whether token ``i`` sees token ``j``, of every row; earlier tokens first."""
    kinds = [flag for flag, length in zip(causal, lengths, strict=True) for _ in range(length)]
    rows = len(present) if present is not None else len(past_present) if past_present is not None else 1

    def sees(row: int, i: int, j: int) -> bool:
        if j == past + i:
            return True
        if j < past:
            return past_present is None or bool(past_present[row, j])
        if present is not None and not present[row, j - past]:
            return False
        return not kinds[j - past] or (kinds[i] and j - past <= i)

    total = past + len(kinds)
    return [[[sees(row, i, j) for j in range(total)] for i in range(len(kinds))] for row in range(rows)]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_masks_follow_the_rule(
    segments: list[tuple[int, bool]], past: int, padded: bool, past_padded: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    lengths, causal = [length for length, _ in segments], [flag for _, flag in segments]
    present = torch.rand(2, sum(lengths)) < 0.6 if padded else None
    past_present = torch.rand(2, past) < 0.6 if past_padded else None
    mask = visibility(lengths, causal, present, past=past, past_present=past_present)
    expected = torch.tensor(rule(lengths, causal, present, past, past_present))
    expected = expected.view(len(expected), 1, sum(lengths), past + sum(lengths)).bool()
    if mask is None:
        assert expected.all()
    else:
        assert torch.equal(mask.expand_as(expected), expected)


def test_no_mask_where_nothing_is_hidden() -> None:
    assert visibility([3, 4], [False, False]) is None
    assert visibility([1], [True], past=7) is None
    assert visibility([3, 0], [False, True]) is None
