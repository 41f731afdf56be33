# SPDX-License-Identifier: MIT
"""The reference, the exportable form and the independent PyTorch formulation against scalar loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from intern25.ops.dcnv3 import reference
from tests.ops.dcnv3 import oracle
from tests.ops.dcnv3.cases import CASES, inputs, with_softmax
from tests.ops.dcnv3.pytorch_formulation import dcnv3_pytorch

FORMULATIONS = {
    "reference": reference.forward,
    "exportable": reference.forward_exportable,
    "pytorch": dcnv3_pytorch,
}


@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_formula(name: str, formulation: str, softmax: bool) -> None:
    case, geometry = CASES[name], with_softmax(CASES[name], softmax)
    x, offset, mask, _ = inputs(case, softmax=softmax)
    if formulation != "reference" and case.batch == 0:
        pytest.skip("grid_sample takes no empty batch; neither form is used for one")
    actual = FORMULATIONS[formulation](x, offset, mask, geometry)
    expected = torch.from_numpy(oracle.dcnv3(x.numpy(), offset.numpy(), mask.numpy(), geometry))
    assert_close(actual, expected, rtol=1e-11, atol=1e-11)  # rounding of float64 only


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


def test_derivative_at_integer_positions_is_the_right_hand_one() -> None:
    """Zero offsets, where training begins; the loops differentiate by a step to the right."""
    case = CASES["3x3"]
    x, offset, mask, grad = inputs(case)
    offset = torch.zeros_like(offset)
    geometry = case.geometry
    _, actual, _ = reference.backward(grad, x, offset, mask, geometry)
    height, width = case.height, case.width
    step = 1e-6
    for axis in (0, 1):
        moved = offset.clone()
        moved[..., axis::2] = step
        for g in range(geometry.groups):
            for k in range(geometry.num_points):
                one = offset.clone()
                index = (g * geometry.num_points + k) * 2 + axis
                one[..., index] = moved[..., index]
                change = oracle.dcnv3(x.numpy(), one.numpy(), mask.numpy(), geometry)
                change -= oracle.dcnv3(x.numpy(), offset.numpy(), mask.numpy(), geometry)
                slope = (change * grad.numpy()).sum(-1) / step
                inside = _strictly_inside(geometry, k, height, width)
                np.testing.assert_allclose(
                    actual[..., index].numpy()[:, inside], slope[:, inside], rtol=1e-6, atol=1e-6
                )
                # one pixel outside the operator ignores a point, so its derivative is zero there by definition
                assert (actual[..., index].numpy()[:, ~inside] == 0).all()


def _strictly_inside(geometry: object, k: int, height: int, width: int) -> np.ndarray:
    inside = np.zeros((height, width), dtype=bool)
    for oy in range(height):
        for ox in range(width):
            x, y, _ = oracle.positions(geometry, oy, ox)[k]  # type: ignore[arg-type]
            inside[oy, ox] = -1 < x < width and -1 < y < height
    return inside


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_wild_offsets_sample_nothing(value: float) -> None:
    case = CASES["3x3"]
    x, offset, mask, grad = inputs(case, torch.float32)
    offset[..., 0::18] = value  # the first point of every group
    mask_without = mask.clone()
    mask_without[..., 0::9] = 0
    expected = reference.forward(x, torch.where(offset.isfinite() & (offset.abs() < 1e9), offset, 0), mask_without,
                                 case.geometry)  # fmt: skip
    assert_close(reference.forward(x, offset, mask, case.geometry), expected)
    for gradient in reference.backward(grad, x, offset, mask, case.geometry):
        assert gradient.isfinite().all()
