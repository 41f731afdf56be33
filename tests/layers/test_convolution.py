# SPDX-License-Identifier: MIT
"""The convolution over a pyramid against the plain one over resized, concatenated maps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from intern25.layers import convolution
from intern25.layers.convolution import ConvNormReLU, convolve_levels, convolve_pixels, resize

Sizes = list[tuple[int, int]]


def plain(levels: list[torch.Tensor], weight: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    enlarged = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in levels]
    return F.conv2d(torch.cat(enlarged, 1), weight, padding=weight.shape[-1] // 2)


sides = st.integers(min_value=1, max_value=24)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=3),
    size=st.tuples(sides, sides),
    kernel=st.sampled_from([1, 3, 5]),
    batch=st.integers(1, 2),
)
def test_equals_the_plain_convolution(sizes: Sizes, size: tuple[int, int], kernel: int, batch: int) -> None:
    levels = [torch.randn(batch, 3 + i, *side, dtype=torch.float64) for i, side in enumerate(sizes)]
    weight = torch.randn(5, sum(x.shape[1] for x in levels), kernel, kernel, dtype=torch.float64)
    bias = torch.randn(5, dtype=torch.float64)
    actual = convolve_levels(levels, weight, size, bias=bias)
    expected = plain(levels, weight, size) + bias[:, None, None]
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=1e-11)


def test_coarse_levels_are_multiplied_at_their_own_size() -> None:
    """Otherwise the test above would compare the plain convolution with itself."""
    weight = torch.empty(8, 64, 3, 3)
    assert convolution._is_cheaper_apart(torch.empty(1, 64, 8, 8), weight, (16, 16))
    assert convolution._is_cheaper_apart(torch.empty(1, 64, 2, 2), weight, (16, 16))
    assert not convolution._is_cheaper_apart(torch.empty(1, 64, 16, 16), weight, (16, 16))
    assert not convolution._is_cheaper_apart(torch.empty(1, 64, 32, 32), weight, (16, 16))
    assert not convolution._is_cheaper_apart(torch.empty(1, 64, 8, 8, device="meta"), weight, (16, 16))
    # On a wide picture the two small matrices are no longer small.
    assert not convolution._is_cheaper_apart(torch.empty(1, 64, 512, 512), weight, (1024, 1024))


def test_gradients() -> None:
    levels = [torch.randn(1, 20, 4 * 2**i, 6 * 2**i, dtype=torch.float64) for i in (1, 0)]
    weight = torch.randn(4, 40, 3, 3, dtype=torch.float64)
    gradients = []
    for function in (convolve_levels, plain):
        leaves = [x.clone().requires_grad_() for x in (*levels, weight)]
        output = function(leaves[:-1], leaves[-1], (8, 12))
        gradients.append(torch.autograd.grad((output * torch.linspace(0, 1, 12).double()).sum(), leaves))
    for actual, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


def test_memory_format_and_float32_error() -> None:
    levels = [
        torch.randn(2, 32, 32 // 2**i, 24 // 2**i).to(memory_format=torch.channels_last) for i in range(3)
    ]
    weight = torch.randn(48, 96, 3, 3)
    actual = convolve_levels(levels, weight, (32, 24))
    assert actual.is_contiguous(memory_format=torch.channels_last)
    exact = plain([x.double() for x in levels], weight.double(), (32, 24))
    error = (actual - exact).abs().max()
    # Two sums of about 900 products of order 1 in another order; twice as exact would still pass.
    assert error < 2 * (plain(levels, weight, (32, 24)) - exact).abs().max() + 1e-5


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_convolution_of_pixels(layout: torch.memory_format) -> None:
    x, weight, bias = torch.randn(2, 5, 4, 3), torch.randn(7, 5, 1, 1), torch.randn(7)
    expected = F.conv2d(x, weight, bias)
    torch.testing.assert_close(convolve_pixels(x.to(memory_format=layout), weight, bias), expected)


def test_hooks_see_the_whole_convolution() -> None:
    layer = ConvNormReLU(12, 16, 3).eval()
    levels = [torch.randn(1, 8, 8, 8), torch.randn(1, 4, 2, 2)]
    expected = layer.over_levels(levels, (8, 8))
    seen: list[torch.Tensor] = []
    layer.conv.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    torch.testing.assert_close(layer.over_levels(levels, (8, 8)), expected)
    assert seen[0].shape == (1, 12, 8, 8)


def test_wrong_channels_are_named() -> None:
    with pytest.raises(ValueError, match=r"levels of \[8, 8\] channels do not match a weight of 12"):
        convolve_levels([torch.zeros(1, 8, 4, 4)] * 2, torch.zeros(4, 12, 3, 3), (4, 4))


def test_resize_keeps_what_fits() -> None:
    x = torch.randn(1, 2, 4, 6)
    assert resize(x, (4, 6)) is x
