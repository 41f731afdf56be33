# SPDX-License-Identifier: MIT
"""What holds for every input of multi-scale deformable attention, by any implementation that is ready."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from intern25 import ops

properties = settings(max_examples=25, derandomize=True, deadline=None)
side = st.integers(1, 9)
pyramids = st.lists(st.tuples(side, side), min_size=1, max_size=4).map(tuple)
counts = st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(1, 3))  # batch, queries, heads
depths = st.integers(1, 37)
points = st.integers(1, 5)
backends = st.sampled_from(["auto", "reference"])
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


def _double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def _value(shapes, batch: int, heads: int, depth: int) -> Tensor:
    return _double(batch, sum(height * width for height, width in shapes), heads, depth)


@properties
@given(pyramids, counts, depths, points, backends)
def test_a_constant_pyramid_gives_the_sum_of_the_weights(shapes, count, depth, points, backend) -> None:
    """Where no point reaches over an edge: bilinear shares sum to one."""
    batch, queries, heads = count
    value = torch.full_like(_value(shapes, batch, heads, depth), 3.0)
    size = torch.tensor([(width, height) for height, width in shapes], dtype=torch.float64)[:, None]
    taps = (batch, queries, heads, len(shapes), points)
    locations = (0.5 + (size - 1) * torch.rand(*taps, 2, dtype=torch.float64)) / size
    weights = _double(*taps)
    actual = ops.deform_attn(value, shapes, locations, weights, backend=backend)
    expected = 3 * weights.sum((3, 4)).repeat_interleave(depth, dim=2)
    assert_close(actual, expected, **TOLERANCE)


@properties
@given(pyramids, depths, backends)
def test_pixel_centres_read_their_pixels(shapes, depth, backend) -> None:
    """Every token asked for at its own centre, on its own level, is the token."""
    value = _value(shapes, 1, 2, depth)
    centres, own_level = [], []
    for level, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres.append(torch.stack(((x + 0.5) / width, (y + 0.5) / height), dim=-1).view(-1, 2).double())
        own_level.append(torch.full((height * width,), level))
    locations = torch.cat(centres)[None, :, None, None, None].expand(1, -1, 2, len(shapes), 1, 2)
    weights = torch.nn.functional.one_hot(torch.cat(own_level), len(shapes)).double()
    weights = weights[None, :, None, :, None].expand(1, -1, 2, -1, 1)
    actual = ops.deform_attn(value, shapes, locations, weights, backend=backend)
    # a centre is rounded to float64, or to float32 by arange: (x + 0.5) / width
    assert_close(actual, value.flatten(2), rtol=1e-5, atol=1e-5)


@properties
@given(pyramids, counts, depths, points, backends)
def test_points_outside_give_nothing(shapes, count, depth, points, backend) -> None:
    batch, queries, heads = count
    value = _value(shapes, batch, heads, depth)
    taps = (batch, queries, heads, len(shapes), points)
    size = torch.tensor([(width, height) for height, width in shapes], dtype=torch.float64)[:, None]
    outside = torch.rand(*taps, 2, dtype=torch.float64) * 3
    beyond = torch.where(torch.rand(*taps, 2) < 0.5, 1 + 0.5 / size + outside, -0.5 / size - outside)
    weights = _double(*taps)
    for axis in (0, 1):  # one coordinate outside is enough
        locations = torch.rand(*taps, 2, dtype=torch.float64)
        locations[..., axis] = beyond[..., axis]
        output = ops.deform_attn(value, shapes, locations, weights, backend=backend)
        assert output.abs().sum() == 0


@properties
@given(pyramids, counts, depths, points, backends)
def test_linear_in_values_and_weights(shapes, count, depth, points, backend) -> None:
    batch, queries, heads = count
    value, value2 = (_value(shapes, batch, heads, depth) for _ in range(2))
    taps = (batch, queries, heads, len(shapes), points)
    locations = torch.rand(*taps, 2, dtype=torch.float64) * 1.4 - 0.2
    weights, weights2 = _double(*taps), _double(*taps)

    def call(value: Tensor, weights: Tensor) -> Tensor:
        return ops.deform_attn(value, shapes, locations, weights, backend=backend)

    by_value = 2 * call(value, weights) - call(value2, weights)
    assert_close(call(2 * value - value2, weights), by_value, **TOLERANCE)
    by_weight = 2 * call(value, weights) - call(value, weights2)
    assert_close(call(value, 2 * weights - weights2), by_weight, **TOLERANCE)


@properties
@given(pyramids, counts, depths, points, backends, st.randoms(use_true_random=False))
def test_levels_points_and_queries_may_be_permuted(shapes, count, depth, points, backend, random) -> None:
    batch, queries, heads = count
    value = _value(shapes, batch, heads, depth)
    taps = (batch, queries, heads, len(shapes), points)
    locations, weights = torch.rand(*taps, 2, dtype=torch.float64), _double(*taps)
    expected = ops.deform_attn(value, shapes, locations, weights, backend=backend)
    levels, point_order, query_order = (
        random.sample(range(length), length) for length in (len(shapes), points, queries)
    )
    parts = value.split([height * width for height, width in shapes], dim=1)
    moved = [
        tensor[:, query_order][:, :, :, levels][:, :, :, :, point_order] for tensor in (locations, weights)
    ]
    actual = ops.deform_attn(
        torch.cat([parts[level] for level in levels], dim=1),
        [shapes[level] for level in levels],
        *moved,
        backend=backend,
    )
    assert_close(actual, expected[:, query_order], **TOLERANCE)


@properties
@given(pyramids, counts, depths, points)
def test_implementations_agree_with_gradients(shapes, count, depth, points) -> None:
    batch, queries, heads = count
    value = _value(shapes, batch, heads, depth)
    taps = (batch, queries, heads, len(shapes), points)
    locations, weights = torch.rand(*taps, 2, dtype=torch.float64) * 1.6 - 0.3, _double(*taps)
    grad = _double(batch, queries, heads * depth)
    results = []
    for backend in ("auto", "reference"):
        leaves = [tensor.clone().requires_grad_() for tensor in (value, locations, weights)]
        output = ops.deform_attn(leaves[0], shapes, *leaves[1:], backend=backend)
        results.append([output, *torch.autograd.grad(output, leaves, grad)])
    for one, other in zip(*results, strict=True):
        assert_close(one, other, **TOLERANCE)
