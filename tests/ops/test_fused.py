"""Fused kernels against plain torch, one layer at a time."""

from __future__ import annotations

import ctypes

import pytest
import torch
import torch.nn.functional as F

from intern25.ops.backends import Ready
from intern25.ops.fused import kernels, structures
from intern25.ops.fused.kernels import Norm, convolution_norm, linear_gelu, pack_linear

pytestmark = [
    pytest.mark.skipif(
        not isinstance(kernels.status(), Ready), reason="the native library is not built here"
    ),
    pytest.mark.usefixtures("instruction_set"),
]


@pytest.mark.parametrize("rows", [1, 2, 13, 14, 29, 196])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 64), (32, 108), (27, 40), (1, 1), (128, 49)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_gelu(rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> None:
    x = torch.randn(rows, inputs)
    weight, bias = torch.randn(outputs, inputs) / inputs**0.5, torch.randn(outputs)
    # The oracle has the rounded weights: what remains is float32 arithmetic.
    expected = F.linear(x.double(), weight.to(dtype).double(), bias.double())
    packed = pack_linear(weight, bias, dtype)
    torch.testing.assert_close(linear_gelu(x, packed, gelu=False).double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(linear_gelu(x, packed).double(), F.gelu(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_linear_is_split_over_threads(threads: int) -> None:
    x, weight = torch.randn(50, 64), torch.randn(96, 64)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = linear_gelu(x, pack_linear(weight, None, torch.float32), gelu=False)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(y, x @ weight.T, rtol=1e-5, atol=1e-4)


def test_gelu_over_its_whole_range() -> None:
    # Through an identity layer: the only way to the activation.
    x = torch.cat((torch.linspace(-12, 12, 4800 * 16), torch.tensor([0.0, -0.0] * 8))).view(-1, 16)
    y = linear_gelu(x, pack_linear(torch.eye(16), None, torch.float32)).double()
    # Absolute error of x (1 + erf) / 2: float32 rounding of erf times x / 2.
    assert (y - F.gelu(x.double())).abs().max() < 3e-6


def test_gelu_of_huge_and_missing_values() -> None:
    x = torch.zeros(4, 16)
    x[:, 0] = torch.tensor([1e30, -1e4, float("inf"), float("nan")])
    # Only the first input counts, so that infinity meets no zero.
    y = linear_gelu(x[:, :1], pack_linear(torch.ones(16, 1), None, torch.float32))[:, 0]
    assert y[0] == pytest.approx(1e30, rel=1e-6)
    assert abs(y[1]) < 1e4 * 1e-6
    assert y[2] == float("inf")
    assert torch.isnan(y[3])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("channels", "outputs"), [(3, 16), (3, 40), (32, 64), (5, 20)])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1), (2, 33)], ids=str)
def test_convolution_norm(layout: str, channels: int, outputs: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, channels, *size)
    weight, bias = torch.randn(outputs, channels, 3, 3) / (9 * channels) ** 0.5, torch.randn(outputs)
    gain, shift = torch.rand(outputs) + 0.5, torch.randn(outputs)
    y = F.conv2d(x.double(), weight.double(), bias.double(), stride=2, padding=1).permute(0, 2, 3, 1)
    expected = F.layer_norm(y, (outputs,), gain.double(), shift.double(), 1e-6)
    packed = pack_linear(weight.permute(0, 2, 3, 1).flatten(1), bias, torch.float32)
    given = x if layout == "NCHW" else x.permute(0, 2, 3, 1).contiguous()
    for gelu in (False, True):
        actual = convolution_norm(given, packed, Norm(gain, shift), epsilon=1e-6, gelu=gelu, layout=layout)
        wanted = F.gelu(expected) if gelu else expected
        torch.testing.assert_close(actual.double(), wanted, rtol=0, atol=2e-5)


def test_norm_of_a_row_far_from_zero_keeps_its_digits() -> None:
    # A mean of 1e4 times the deviation: a one-pass variance in float32 would lose everything.
    x = torch.randn(1, 16, 3, 3) * 1e-2
    weight = torch.zeros(20, 16, 3, 3)
    weight[:, :, 1, 1] = torch.randn(20, 16)
    bias = torch.full((20,), 100.0)
    y = F.conv2d(x.double(), weight.double(), bias.double(), stride=2, padding=1).permute(0, 2, 3, 1)
    expected = F.layer_norm(y, (20,), None, None, 1e-6)
    packed = pack_linear(weight.permute(0, 2, 3, 1).flatten(1), bias, torch.float32)
    actual = convolution_norm(
        x, packed, Norm(torch.ones(20), torch.zeros(20)), epsilon=1e-6, gelu=False, layout="NCHW"
    )
    # float32 holds 100.0 to 8e-6, a thousandth of the deviation.
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=5e-3)


def test_bfloat16_panels_interleave_halves() -> None:
    weight = torch.arange(32.0)[:, None].repeat(1, 2)
    packed = pack_linear(weight, None, torch.bfloat16)
    assert packed.weight.shape == (1, 2, 32)
    assert packed.weight[0, 0, :4].tolist() == [0, 16, 1, 17]


def test_structures_have_the_sizes_of_the_c_side() -> None:
    # Linear: 2 pointers and 3 integers; Norm: 2 pointers; Block: 5 linears, 6 norms, 1 pointer.
    sizes = {structures.LinearStructure: 40, structures.NormStructure: 16, structures.BlockStructure: 304}
    assert {kind: ctypes.sizeof(kind) for kind in sizes} == sizes
