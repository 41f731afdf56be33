# SPDX-License-Identifier: MIT
"""The reference, the exportable form and transformers' formulation against plain loops."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from intern25.evaluation.attention_benchmark import transformers_deform_attn
from intern25.ops.deform_attn import reference
from tests.ops.deform_attn import oracle
from tests.ops.deform_attn.cases import CASES, inputs

FORMULATIONS = {
    "reference": reference.forward,
    "exportable": reference.forward_exportable,
    "transformers": transformers_deform_attn,
}


@functools.cache
def _expected(name: str) -> tuple[Tensor, ...]:
    value, locations, weights, grad = (tensor.numpy() for tensor in inputs(CASES[name]))
    results = oracle.deform_attn(value, CASES[name].shapes, locations, weights, grad)
    return tuple(torch.from_numpy(result) for result in results)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_formula(name: str, formulation: str) -> None:
    if formulation == "transformers":
        pytest.importorskip("transformers", reason="transformers is not installed")
    if formulation != "reference" and name in ("empty-batch", "no-query"):
        pytest.skip("grid_sample takes nothing empty; neither form is used for it")
    value, locations, weights, _ = inputs(CASES[name])
    actual = FORMULATIONS[formulation](value, CASES[name].shapes, locations, weights)
    assert_close(actual, _expected(name)[0], rtol=1e-11, atol=1e-11)  # rounding of float64 only


@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_the_formula(name: str) -> None:
    shapes = CASES[name].shapes
    *tensors, grad = inputs(CASES[name])
    value, locations, weights = (tensor.requires_grad_() for tensor in tensors)
    output = reference.forward(value, shapes, locations, weights)
    by_autograd = torch.autograd.grad(output, (value, locations, weights), grad)
    with torch.no_grad():
        written_out = reference.backward(grad, value, shapes, locations, weights)
    for one, other, expected in zip(by_autograd, written_out, _expected(name)[1:], strict=True):
        assert_close(one, expected, rtol=1e-10, atol=1e-11)  # derivatives are as large as the maps
        assert_close(other, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1], ids=["x", "y"])
def test_derivative_at_pixel_centres_is_the_right_hand_one(axis: int) -> None:
    """Where Deformable DETR's initialisation puts points; the loops differentiate by a step to the right."""
    shapes, step = ((4, 8),), 1e-6
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(1, 32, 1, 3, generator=generator, dtype=torch.float64)
    grad = torch.randn(1, 32, 3, generator=generator, dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(4), torch.arange(8), indexing="ij")
    # powers of two: the positions are integers exactly
    centres = torch.stack(((x + 0.5) / 8, (y + 0.5) / 4), dim=-1).double().view(1, 32, 1, 1, 1, 2)
    weights = torch.ones(1, 32, 1, 1, 1, dtype=torch.float64)
    _, gradient, _ = reference.backward(grad, value, shapes, centres, weights)
    moved = centres.clone()
    moved[..., axis] += step
    outputs = [
        oracle.deform_attn(value.numpy(), shapes, where.numpy(), weights.numpy(), grad.numpy())[0]
        for where in (centres, moved)
    ]
    slope = ((outputs[1] - outputs[0]) * grad.numpy()).sum(-1) / step
    np.testing.assert_allclose(gradient[..., axis].flatten(), slope.flatten(), atol=1e-6)


@pytest.mark.parametrize("location", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_wild_locations_sample_nothing(location: float) -> None:
    case = CASES["pyramid"]
    value, locations, weights, grad = inputs(case, torch.float32)
    locations[:, :, :, 1, 2, 0] = location
    tame, weights_without = locations.clone(), weights.clone()
    tame[:, :, :, 1, 2, 0] = 0.5
    weights_without[:, :, :, 1, 2] = 0
    expected = reference.forward(value, case.shapes, tame, weights_without)
    assert_close(reference.forward(value, case.shapes, locations, weights), expected)
    for gradient in reference.backward(grad, value, case.shapes, locations, weights):
        assert gradient.isfinite().all()
