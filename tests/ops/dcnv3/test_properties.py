# SPDX-License-Identifier: MIT
"""What holds for every input of DCNv3, by any implementation that is ready."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from intern25 import ops

properties = settings(max_examples=25, derandomize=True, deadline=None)
sizes = st.tuples(st.integers(1, 3), st.integers(3, 8), st.integers(3, 8))
groups = st.integers(1, 3)
depths = st.integers(1, 9)
kernels = st.sampled_from([1, 3, 5])
backends = st.sampled_from(["auto", "reference"])
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


def _double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@properties
@given(sizes, groups, depths, kernels, backends)
def test_zero_offset_and_equal_weights_pool(size, groups, depth, kernel, backend) -> None:
    batch, height, width = size
    x = _double(batch, height, width, groups * depth)
    points = kernel * kernel
    offset = torch.zeros(batch, height, width, groups * points * 2, dtype=torch.float64)
    mask = torch.full((batch, height, width, groups * points), 1 / points, dtype=torch.float64)
    call = {"kernel_size": kernel, "padding": kernel // 2, "groups": groups, "backend": backend}
    expected = F.avg_pool2d(x.permute(0, 3, 1, 2), kernel, stride=1, padding=kernel // 2).permute(0, 2, 3, 1)
    assert_close(ops.dcnv3(x, offset, mask, **call), expected, **TOLERANCE)
    # logits that are all equal are equal weights
    assert_close(ops.dcnv3(x, offset, torch.zeros_like(mask), **call, softmax=True), expected, **TOLERANCE)


@properties
@given(sizes, groups, depths, st.integers(-2, 2), st.integers(-2, 2), backends)
def test_an_integer_offset_shifts(size, groups, depth, dx, dy, backend) -> None:
    batch, height, width = size
    x = _double(batch, height, width, groups * depth)
    offset = torch.tensor([dx, dy], dtype=torch.float64).expand(batch, height, width, groups, 2).flatten(3)
    mask = torch.ones(batch, height, width, groups, dtype=torch.float64)
    padded = F.pad(x, (0, 0, 2, 2, 2, 2))
    expected = padded[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
    actual = ops.dcnv3(x, offset, mask, kernel_size=1, padding=0, groups=groups, backend=backend)
    assert_close(actual, expected, **TOLERANCE)


@properties
@given(sizes, groups, depths, backends)
def test_linear_in_the_input_and_in_the_weights(size, groups, depth, backend) -> None:
    batch, height, width = size
    channels = groups * depth
    x, x2 = _double(batch, height, width, channels), _double(batch, height, width, channels)
    offset = _double(batch, height, width, groups * 18)
    mask, mask2 = _double(batch, height, width, groups * 9), _double(batch, height, width, groups * 9)

    def call(x: Tensor, mask: Tensor) -> Tensor:
        return ops.dcnv3(x, offset, mask, groups=groups, backend=backend)

    assert_close(call(2 * x - x2, mask), 2 * call(x, mask) - call(x2, mask), **TOLERANCE)
    assert_close(call(x, 2 * mask - mask2), 2 * call(x, mask) - call(x, mask2), **TOLERANCE)


@properties
@given(sizes, st.permutations(range(3)), depths, backends)
def test_permuted_groups_permute_the_output(size, order, depth, backend) -> None:
    batch, height, width = size
    x = _double(batch, height, width, 3, depth)
    offset, mask = _double(batch, height, width, 3, 18), _double(batch, height, width, 3, 9)

    def call(order: list[int]) -> Tensor:
        tensors = (tensor[..., order, :].flatten(3) for tensor in (x, offset, mask))
        return ops.dcnv3(*tensors, groups=3, softmax=True, backend=backend).unflatten(3, (3, depth))

    assert_close(call(list(order)), call([0, 1, 2])[..., list(order), :], **TOLERANCE)


@properties
@given(sizes, groups, depths, backends)
def test_images_of_a_batch_are_independent(size, groups, depth, backend) -> None:
    batch, height, width = size
    x = _double(batch, height, width, groups * depth)
    offset, mask = _double(batch, height, width, groups * 18), _double(batch, height, width, groups * 9)
    whole = ops.dcnv3(x, offset, mask, groups=groups, backend=backend)
    for n in range(batch):
        one = slice(n, n + 1)
        assert_close(
            ops.dcnv3(x[one], offset[one], mask[one], groups=groups, backend=backend), whole[one], **TOLERANCE
        )
