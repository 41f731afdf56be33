"""The cache against plain concatenation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.generalist.key_value_cache import KeyValueCache


def tokens(rows: int, length: int, *, heads: int = 2, width: int = 3) -> Tensor:
    return torch.randn(rows, heads, length, width)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    masked=st.lists(st.booleans(), min_size=6, max_size=6),
    grad=st.booleans(),
)
def test_append_is_concatenation(lengths: list[int], masked: list[bool], grad: bool) -> None:
    cache, keys, values, present = KeyValueCache(), [], [], []
    results = []
    with torch.set_grad_enabled(grad):
        for length, with_mask in zip(lengths, masked, strict=False):
            keys.append(tokens(2, length))
            values.append(tokens(2, length))
            present.append(torch.rand(2, length) < 0.5 if with_mask else torch.ones(2, length).bool())
            results.append(cache.append(keys[-1], values[-1], present[-1] if with_mask else None))
    # Results of earlier appends stay as they were.
    for count, (all_keys, all_values, all_present) in enumerate(results, 1):
        assert torch.equal(all_keys, torch.cat(keys[:count], 2))
        assert torch.equal(all_values, torch.cat(values[:count], 2))
        if any(masked[:count]):
            assert all_present is not None
            assert torch.equal(all_present, torch.cat(present[:count], 1))
        else:
            assert all_present is None
    assert cache.length == sum(lengths)


@torch.no_grad()
def test_many_tokens_cost_few_copies() -> None:
    cache, buffers = KeyValueCache(), set()
    for _ in range(500):
        keys, _, _ = cache.append(tokens(1, 1), tokens(1, 1))
        buffers.add(keys.untyped_storage().data_ptr())
    assert keys.shape[2] == 500
    assert len(buffers) < 12


@torch.no_grad()
def test_selected_rows_live_apart() -> None:
    cache = KeyValueCache()
    first, present = tokens(3, 4), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    cache.append(first, -first, present)
    cache.append(first[:, :, :1], first[:, :, :1])
    rows = torch.tensor([2, 0, 0, 1])
    chosen = cache.select(rows)
    new = tokens(4, 2)
    keys, values, seen = chosen.append(new, -new)
    assert torch.equal(keys, torch.cat((first[rows], first[rows][:, :, :1], new), 2))
    assert torch.equal(values, torch.cat((-first[rows], first[rows][:, :, :1], -new), 2))
    assert seen is not None
    assert torch.equal(seen, torch.cat((present[rows], torch.ones(4, 3).bool()), 1))
    # The one that was selected from goes on by itself.
    old, _, _ = cache.append(first[:, :, :2], first[:, :, :2])
    assert torch.equal(old, torch.cat((first, first[:, :, :1], first[:, :, :2]), 2))
    assert (cache.rows, cache.length, chosen.rows, chosen.length) == (3, 7, 4, 7)


def test_an_empty_cache_can_be_selected_from() -> None:
    chosen = KeyValueCache().select(torch.tensor([0, 0]))
    assert (chosen.rows, chosen.length, chosen.present) == (0, 0, None)


def test_gradients_pass_through_several_appends() -> None:
    parts = [tokens(1, 2).double().requires_grad_() for _ in range(3)]
    cache, total = KeyValueCache(), torch.zeros(())
    for part in parts:
        keys, values, _ = cache.append(part, 2 * part)
        total = total + (keys * values).sum()  # every step keeps its own keys for the backward pass
    total.backward()
    for index, part in enumerate(parts):
        assert torch.allclose(part.grad, 4 * part.detach() * (3 - index))


@pytest.mark.parametrize(
    ("keys", "present", "message"),
    [
        (tokens(3, 1), None, r"choose rows with select"),
        (tokens(2, 1, heads=1), None, r"the cache holds"),
        (tokens(2, 1).double(), None, r"float64"),
        (tokens(2, 1)[0], None, r"one shape"),
        (tokens(2, 1), torch.ones(2, 2).bool(), r"present \(2, 2\)"),
    ],
)
def test_tokens_that_do_not_continue_are_refused(keys: Tensor, present: Tensor | None, message: str) -> None:
    cache = KeyValueCache()
    cache.append(tokens(2, 4), tokens(2, 4))
    with pytest.raises(ValueError, match=message):
        cache.append(keys, keys, present)
    assert cache.length == 4
