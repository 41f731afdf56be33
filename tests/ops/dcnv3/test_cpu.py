# SPDX-License-Identifier: MIT
"""The native CPU kernel against a scalar float64 oracle: every instruction set and type, borders, threads."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from intern25.ops import native
from intern25.ops.backends import Refusal
from intern25.ops.dcnv3 import cpu, layout
from intern25.ops.dcnv3.geometry import Geometry

pytestmark = pytest.mark.skipif(
    isinstance(native.library(), Refusal),
    reason="the native library is not built: python setup.py build_ext --inplace",
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    geometry: Geometry
    batch: int
    height: int
    width: int
    depth: int
    spread: float = 1.5
    """Standard deviation of the offsets in pixels."""


CALLS = {
    "3x3": Call(Geometry(groups=4), 2, 6, 7, 16),
    "3x3-depth-32": Call(Geometry(groups=2), 1, 5, 6, 32),
    "more-groups-than-a-block": Call(Geometry(groups=19), 1, 4, 3, 16),
    "stride-and-dilation": Call(
        Geometry(stride=(2, 3), dilation=(2, 2), padding=(2, 1), groups=3), 3, 9, 8, 20
    ),
    "kernel-5x3": Call(Geometry(kernel_size=(5, 3), padding=(2, 1), groups=3), 1, 6, 5, 3),
    "kernel-5x5-needs-two-vectors": Call(Geometry(kernel_size=(5, 5), padding=(2, 2), groups=2), 1, 4, 4, 16),
    "one-column": Call(Geometry(groups=2), 1, 7, 1, 33),
    "one-row": Call(Geometry(groups=2), 2, 1, 7, 16),
    "one-pixel": Call(Geometry(groups=1), 1, 1, 1, 1),
    "remove-center": Call(Geometry(groups=2, remove_center=True), 1, 5, 6, 16),
    "one-channel-groups": Call(Geometry(groups=20), 1, 4, 5, 1),
    "scale-2": Call(Geometry(groups=2, offset_scale=2.0), 1, 6, 6, 32),
    "far-outside": Call(Geometry(groups=2), 1, 5, 5, 16, spread=40.0),
    "padding-beyond-kernel": Call(Geometry(padding=(4, 3), groups=2), 1, 4, 5, 8),
    "empty-batch": Call(Geometry(groups=2), 0, 5, 6, 16),
}
# Largest error divided by the largest value. float32: sums of up to 4 * 25 rounded products. bfloat16: the
# oracle sees the rounded inputs, so what is left is the rounding of the result, half of 2**-8.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 5e-3}


def positions(geometry: Geometry, oy: int, ox: int) -> list[tuple[float, float]]:
    """Where the points of an output pixel lie without offsets, as (x, y)."""
    (kernel_h, kernel_w), (dil_h, dil_w) = geometry.kernel_size, geometry.dilation
    centre_x, centre_y = dil_w * (kernel_w - 1) // 2, dil_h * (kernel_h - 1) // 2
    scale = geometry.offset_scale
    x0 = centre_x - geometry.padding[1] + ox * geometry.stride[1] - centre_x * scale
    y0 = centre_y - geometry.padding[0] + oy * geometry.stride[0] - centre_y * scale
    points = [
        (x0 + i * dil_w * scale, y0 + j * dil_h * scale) for i in range(kernel_w) for j in range(kernel_h)
    ]
    if geometry.remove_center:
        del points[len(points) // 2]
    return points


def inputs(call: Call, softmax: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, offset, mask and the output's gradient; no sampling point within 0.05 of a kink."""
    generator = torch.Generator().manual_seed(7)
    geometry, groups = call.geometry, call.geometry.groups
    height, width = geometry.output_size(call.height, call.width)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    grid = torch.tensor(
        [[positions(geometry, oy, ox) for ox in range(width)] for oy in range(height)], dtype=torch.float64
    ).unsqueeze(2)
    scale = geometry.offset_scale
    offset = call.spread * noise(call.batch, height, width, groups, geometry.num_points, 2)
    # Rounded to the type first: the nearest position is what counts after rounding.
    offset = offset.to(dtype).double()
    position = grid + scale * offset
    near_kink = (position - position.round()).abs() < 0.05
    offset = torch.where(near_kink, (offset + 0.25 / scale).to(dtype).double(), offset)
    mask = noise(call.batch, height, width, groups * geometry.num_points)
    if not softmax:
        mask = mask.abs()
    x = noise(call.batch, call.height, call.width, groups * call.depth)
    grad = noise(call.batch, height, width, groups * call.depth)
    return x.to(dtype), offset.flatten(3).to(dtype), mask.to(dtype), grad.to(dtype)


def oracle(
    x: Array, offset: Array, mask: Array, grad: Array, geometry: Geometry
) -> tuple[Array, Array, Array, Array]:
    """Output and gradients of x, offset and mask, one corner of one sampling point at a time."""
    batch, height, width, channels = x.shape
    groups, points = geometry.groups, geometry.num_points
    depth = channels // groups
    output, grad_x = np.zeros(grad.shape), np.zeros(x.shape)
    grad_offset, grad_mask = np.zeros(offset.shape), np.zeros(mask.shape)
    for n, oy, ox, g in np.ndindex(batch, grad.shape[1], grad.shape[2], groups):
        grid = positions(geometry, oy, ox)
        c, first = slice(g * depth, (g + 1) * depth), g * points
        weights = mask[n, oy, ox, first : first + points]
        if geometry.softmax:
            weights = np.exp(weights - weights.max())
            weights = weights / weights.sum()
        by_weight = np.zeros(points)
        for k, (x0, y0) in enumerate(grid):
            at = (first + k) * 2
            px = x0 + geometry.offset_scale * offset[n, oy, ox, at]
            py = y0 + geometry.offset_scale * offset[n, oy, ox, at + 1]
            if not (-1 < px < width and -1 < py < height):
                continue
            left, top = math.floor(px), math.floor(py)
            for column, wx, dx in ((left, left + 1 - px, -1.0), (left + 1, px - left, 1.0)):
                for row, wy, dy in ((top, top + 1 - py, -1.0), (top + 1, py - top, 1.0)):
                    if not (0 <= column < width and 0 <= row < height):
                        continue
                    value, upstream = x[n, row, column, c], grad[n, oy, ox, c]
                    output[n, oy, ox, c] += weights[k] * wx * wy * value
                    grad_x[n, row, column, c] += weights[k] * wx * wy * upstream
                    inner = float(value @ upstream)
                    by_weight[k] += wx * wy * inner
                    grad_offset[n, oy, ox, at] += geometry.offset_scale * weights[k] * dx * wy * inner
                    grad_offset[n, oy, ox, at + 1] += geometry.offset_scale * weights[k] * wx * dy * inner
        if geometry.softmax:
            by_weight = weights * (by_weight - float(weights @ by_weight))
        grad_mask[n, oy, ox, first : first + points] = by_weight
    return output, grad_x, grad_offset, grad_mask


@functools.cache
def expected(name: str, softmax: bool, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The oracle on the rounded inputs, once for all instruction sets."""
    call = CALLS[name]
    arrays = [tensor.double().numpy() for tensor in inputs(call, softmax, dtype)]
    results = oracle(*arrays, replace(call.geometry, softmax=softmax))
    return tuple(torch.from_numpy(result) for result in results)


def run(x: Tensor, offset: Tensor, mask: Tensor, grad: Tensor, geometry: Geometry) -> tuple[Tensor, ...]:
    assert cpu.refuses(x, offset, mask, geometry) is None
    return cpu.forward(x, offset, mask, geometry), *cpu.backward(grad, x, offset, mask, geometry)


def assert_near(results: tuple[Tensor, ...], wanted: tuple[Tensor, ...], tolerance: float) -> None:
    for name, result, want in zip(("output", "x", "offset", "mask"), results, wanted, strict=True):
        assert result.shape == want.shape, name
        assert not result.isnan().any(), name
        if want.numel():
            error = (result.double() - want).abs().max() / want.abs().max().clamp(min=1e-30)
            assert error <= tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize("softmax", [False, True], ids=["mask", "logits"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_output_and_gradients_match_the_scalar_oracle(
    name: str, dtype: torch.dtype, softmax: bool, instruction_set: str
) -> None:
    if dtype == torch.float64 and instruction_set != "portable":
        pytest.skip("float64 has portable kernels only")
    geometry = replace(CALLS[name].geometry, softmax=softmax)
    results = run(*inputs(CALLS[name], softmax, dtype), geometry)
    assert all(result.dtype == dtype for result in results)
    assert_near(results, expected(name, softmax, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_slices_of_one_projection_are_read_in_place(dtype: torch.dtype, instruction_set: str) -> None:
    call = CALLS["3x3"]
    x, offset, mask, grad = inputs(call, True, dtype)
    merged = torch.cat((offset, mask, mask), -1)
    views = merged[..., : offset.shape[-1]], merged[..., offset.shape[-1] :][..., : mask.shape[-1]]
    for view in views:
        assert layout.in_rows(view)[0] is view
    geometry = replace(call.geometry, softmax=True)
    for result, want in zip(
        run(x, *views, grad, geometry), run(x, offset, mask, grad, geometry), strict=True
    ):
        assert torch.equal(result, want)


def test_other_layouts_are_copied_and_give_the_same(instruction_set: str) -> None:
    call = CALLS["3x3"]
    tensors = inputs(call, False, torch.float32)
    strided = [tensor.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) for tensor in tensors]
    assert not any(tensor.is_contiguous() for tensor in strided)
    for result, want in zip(run(*strided, call.geometry), run(*tensors, call.geometry), strict=True):
        assert torch.equal(result, want)


def test_bfloat16_values_with_float32_sampling(instruction_set: str) -> None:
    """As under autocast: offsets keep their precision, each gradient has its tensor's type."""
    call = CALLS["3x3"]
    x, offset, mask, grad = inputs(call, True, torch.float32)
    x, grad = x.bfloat16(), grad.bfloat16()
    geometry = replace(call.geometry, softmax=True)
    results = run(x, offset, mask, grad, geometry)
    assert [result.dtype for result in results] == [torch.bfloat16] * 2 + [torch.float32] * 2
    wanted = run(x.float(), offset, mask, grad.float(), geometry)
    assert_near(results[:2] + results[2:], tuple(want.double() for want in wanted), TOLERANCE[torch.bfloat16])
    for result, want in zip(results[2:], wanted[2:], strict=True):
        torch.testing.assert_close(
            result, want, rtol=1e-5, atol=1e-5
        )  # same numbers, another order of the sum


def test_the_derivative_at_integer_positions_is_right_sided(instruction_set: str) -> None:
    """All offsets are zero when training starts, so every point lies on a pixel."""
    geometry = Geometry(groups=1)
    x, grad = torch.randn(1, 4, 5, 16), torch.randn(1, 4, 5, 16)
    offset, mask = torch.zeros(1, 4, 5, 18), torch.rand(1, 4, 5, 9)
    arrays = [tensor.double().numpy() for tensor in (x, offset, mask, grad)]
    wanted = tuple(torch.from_numpy(array) for array in oracle(*arrays, geometry))
    assert_near(run(x, offset, mask, grad, geometry), wanted, TOLERANCE[torch.float32])
    slope = (
        (x[0, 1, 2] - x[0, 1, 1]) @ grad[0, 1, 1] * mask[0, 1, 1, 4]
    )  # x derivative of the middle point of (1, 1)
    result = cpu.backward(grad, x, offset, mask, geometry)[1][0, 1, 1, 8]
    torch.testing.assert_close(result, slope, rtol=1e-5, atol=1e-5)


def test_a_point_exactly_one_pixel_outside_contributes_nothing(instruction_set: str) -> None:
    geometry = Geometry(kernel_size=(1, 1), padding=(0, 0), groups=1)
    x, grad, mask = torch.randn(1, 3, 3, 16), torch.randn(1, 3, 3, 16), torch.ones(1, 3, 3, 1)
    for dx, dy in ((-1, 0), (0, -1), (3, 0), (0, 3)):
        corner = (0, 0, 0)
        offset = torch.zeros(1, 3, 3, 2)
        offset[corner] = torch.tensor([float(dx), float(dy)])
        output, _, grad_offset, grad_mask = run(x, offset, mask, grad, geometry)
        assert not output[corner].any()
        assert not grad_offset[corner].any()
        assert not grad_mask[corner].any()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 2.0**31, -(2.0**31)])
def test_absurd_offsets_read_nothing(value: float, instruction_set: str) -> None:
    geometry = Geometry(groups=1)
    x, grad, mask = torch.randn(1, 5, 5, 16), torch.randn(1, 5, 5, 16), torch.rand(1, 5, 5, 9)
    offset = torch.full((1, 5, 5, 18), value)
    output, grad_x, _, _ = run(x, offset, mask, grad, geometry)
    assert not output.any()
    assert not grad_x.any()


@pytest.mark.parametrize("size", [1.0, 19.0, 30.0, 90.0, 1e4])
def test_softmax_of_large_logits(size: float, instruction_set: str) -> None:
    geometry = Geometry(groups=3, softmax=True)
    x, offset = torch.randn(1, 4, 4, 48), torch.randn(1, 4, 4, 54)
    logits = size * torch.randn(1, 4, 4, 27)
    logits[0, 0, 0, 3] = -math.inf
    probabilities = logits.double().unflatten(-1, (3, 9)).softmax(-1).flatten(3).float()
    wanted = cpu.forward(x, offset, probabilities, replace(geometry, softmax=False))
    torch.testing.assert_close(cpu.forward(x, offset, logits, geometry), wanted, rtol=1e-5, atol=2e-6)


def test_a_nan_logit_spoils_its_own_group_only(instruction_set: str) -> None:
    geometry = Geometry(groups=3, softmax=True)
    x, offset, logits = torch.randn(1, 4, 4, 48), torch.randn(1, 4, 4, 54), torch.randn(1, 4, 4, 27)
    logits[0, 1, 2, 13] = math.nan
    output = cpu.forward(x, offset, logits, geometry).unflatten(-1, (3, 16))
    assert output[0, 1, 2, 1].isnan().all()
    assert int(output.isnan().sum()) == 16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_results_are_the_same_bits_for_any_number_of_threads(
    batch: int, dtype: torch.dtype, instruction_set: str
) -> None:
    geometry = Geometry(groups=3, softmax=True)
    shape = (batch, 45, 30)
    x, grad = torch.randn(*shape, 48, dtype=dtype), torch.randn(*shape, 48, dtype=dtype)
    offset, mask = 4 * torch.randn(*shape, 54, dtype=dtype), torch.randn(*shape, 27, dtype=dtype)
    torch.set_num_threads(1)  # put back by conftest.py
    wanted = run(x, offset, mask, grad, geometry)
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        for result, want in zip(run(x, offset, mask, grad, geometry), wanted, strict=True):
            assert torch.equal(result, want)


def test_a_large_image_is_addressed_with_64_bits() -> None:
    """4096 x 4096 x 136 in bfloat16: the last pixels lie behind 2**32 bytes; only the corners are sampled."""
    geometry = Geometry(kernel_size=(1, 1), stride=(4095, 4095), padding=(0, 0), groups=1)
    # calloc's untouched pages are zero and cost nothing; torch.empty may hand out used memory with NaN in it,
    # and torch.zeros writes all 4.5 GB.
    x = torch.from_numpy(np.zeros((1, 4096, 4096, 136), np.int16)).view(torch.bfloat16)
    corners = torch.tensor([0, 4095])
    x[0, corners[:, None], corners[None]] = torch.randn(2, 2, 136).bfloat16()
    offset, mask = torch.zeros(1, 2, 2, 2).bfloat16(), torch.ones(1, 2, 2, 1).bfloat16()
    assert torch.equal(cpu.forward(x, offset, mask, geometry), x[:, ::4095, ::4095])


def test_a_whole_4k_image() -> None:
    geometry = Geometry(kernel_size=(1, 1), padding=(0, 0), groups=1)
    x = torch.arange(4096 * 4096, dtype=torch.float32).view(1, 4096, 4096, 1)
    offset, mask = torch.zeros(1, 4096, 4096, 2), torch.ones(1, 4096, 4096, 1)
    assert torch.equal(cpu.forward(x, offset, mask, geometry), x)


@pytest.mark.parametrize(
    ("dtypes", "words"),
    [
        ((torch.float16, torch.float16, torch.float16), "float16"),
        ((torch.float32, torch.float64, torch.float64), "does not combine"),
        ((torch.bfloat16, torch.float32, torch.bfloat16), "does not combine"),
    ],
)
def test_types_it_does_not_know_are_refused(dtypes: tuple[torch.dtype, ...], words: str) -> None:
    shapes = ((1, 3, 3, 4), (1, 3, 3, 18), (1, 3, 3, 9))
    tensors = [torch.zeros(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    reason = cpu.refuses(*tensors, Geometry())
    assert reason is not None
    assert words in reason


def test_other_devices_are_refused() -> None:
    reason = cpu.refuses(torch.zeros(1, 3, 3, 4, device="meta"), torch.zeros(1), torch.zeros(1), Geometry())
    assert reason is not None
    assert "meta" in reason
