# SPDX-License-Identifier: MIT
"""The reference, the exportable form and the independent PyTorch formulation against plain loops."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from intern25.ops.dcnv3 import reference
from tests.ops.dcnv3 import oracle
from tests.ops.dcnv3.cases import CASES, Case, inputs, with_softmax
from tests.ops.dcnv3.pytorch_formulation import dcnv3_pytorch

FORMULATIONS = {
    "reference": reference.forward,
    "exportable": reference.forward_exportable,
    "pytorch": dcnv3_pytorch,
}


@functools.cache
def _expected(name: str, softmax: bool) -> torch.Tensor:
    x, offset, mask, _ = inputs(CASES[name], softmax=softmax)
    geometry = with_softmax(CASES[name], softmax)
    return torch.from_numpy(oracle.dcnv3(x.numpy(), offset.numpy(), mask.numpy(), geometry))


@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_formula(name: str, formulation: str, softmax: bool) -> None:
    case, geometry = CASES[name], with_softmax(CASES[name], softmax)
    x, offset, mask, _ = inputs(case, softmax=softmax)
    if formulation != "reference" and case.batch == 0:
        pytest.skip("grid_sample takes no empty batch; neither form is used for one")
    actual = FORMULATIONS[formulation](x, offset, mask, geometry)
    assert_close(actual, _expected(name, softmax), rtol=1e-11, atol=1e-11)  # rounding of float64 only


@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("name", CASES)
def test_written_out_gradients_equal_autograd(name: str, softmax: bool) -> None:
    geometry = with_softmax(CASES[name], softmax)
    *tensors, grad = inputs(CASES[name], softmax=softmax)
    leaves = [tensor.requires_grad_() for tensor in tensors]
    expected = torch.autograd.grad(reference.forward(*leaves, geometry), leaves, grad)
    with torch.no_grad():
        actual = reference.backward(grad, *leaves, geometry)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1], ids=["x", "y"])
def test_derivative_at_integer_positions_is_the_right_hand_one(axis: int) -> None:
    """Zero offsets, where training begins; the loops differentiate by a step to the right."""
    case, step = CASES["3x3"], 1e-6
    x, offset, mask, grad = inputs(case)
    offset.zero_()
    _, gradient, _ = reference.backward(grad, x, offset, mask, case.geometry)
    base = oracle.dcnv3(x.numpy(), offset.numpy(), mask.numpy(), case.geometry)
    for k in range(case.geometry.num_points):
        offset.zero_()[..., 2 * k + axis] = step  # that of the first group
        moved = oracle.dcnv3(x.numpy(), offset.numpy(), mask.numpy(), case.geometry)
        slope = (moved - base) * grad.numpy() / step
        # exactly one pixel outside the operator ignores a point, as the authors' does: derivative zero there
        expected = slope.sum(-1) * _is_inside(case, k)
        np.testing.assert_allclose(gradient[..., 2 * k + axis], expected, atol=1e-7)


def _is_inside(case: Case, k: int) -> np.ndarray:
    """Whether the regular point ``k`` of every output pixel is less than one pixel outside."""
    points = [
        [oracle.positions(case.geometry, oy, ox)[k][:2] for ox in range(case.width)]
        for oy in range(case.height)
    ]
    x, y = np.moveaxis(np.array(points), -1, 0)
    return (x > -1) & (x < case.width) & (y > -1) & (y < case.height)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_wild_offsets_sample_nothing(value: float) -> None:
    case = CASES["3x3"]
    x, offset, mask, grad = inputs(case, torch.float32)
    offset[..., 0::18] = value  # the first point of every group
    mask_without = mask.clone()
    mask_without[..., 0::9] = 0
    tame = offset.clone()
    tame[..., 0::18] = 0
    expected = reference.forward(x, tame, mask_without, case.geometry)
    assert_close(reference.forward(x, offset, mask, case.geometry), expected)
    for gradient in reference.backward(grad, x, offset, mask, case.geometry):
        assert gradient.isfinite().all()
