# SPDX-License-Identifier: MIT
"""Every implementation that is ready, forward and all gradients, against the reference in float64."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from intern25 import ops
from intern25.ops import dispatch
from intern25.ops.backends import BackendName, Ready
from intern25.ops.deform_attn import reference, schema
from intern25.ops.deform_attn.dispatch import DISPATCHER
from tests.ops.deform_attn.cases import CASES, Shapes, inputs

TOLERANCES = {
    torch.float64: (1e-11, 1e-11),
    # sums of up to 4 * 300 products, derivatives as large as the maps
    torch.float32: (1e-4, 1e-4),
    # the result is rounded once to 8 bits of mantissa, what is summed before is float32
    torch.bfloat16: (2**-7, 2e-3),
}
NAMES = ("output", "gradient of value", "gradient of locations", "gradient of weights")


def _run(backend: BackendName, shapes: Shapes, tensors: list[Tensor], grad: Tensor) -> list[Tensor]:
    value, locations, weights = leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    output = ops.deform_attn(value, shapes, locations, weights, backend=backend)
    return [output.detach(), *torch.autograd.grad(output, leaves, grad)]


def _strided(tensor: Tensor) -> Tensor:
    """The same values with the axes laid out the other way round."""
    order = range(tensor.dim() - 1, -1, -1)
    return tensor.permute(*order).contiguous().permute(*order)


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_reference(name: str, backend: BackendName, dtype: torch.dtype, layout: str) -> None:
    shapes = CASES[name].shapes
    *tensors, grad = inputs(CASES[name], dtype)
    value, locations, weights = tensors
    if (reason := DISPATCHER.refusal(backend, value, shapes, locations, weights)) is not None:
        pytest.skip(f"{backend}: {reason}")
    # the reference computes on the same rounded inputs, in float64
    exact = (value.double(), shapes, locations.double(), weights.double())
    expected = [reference.forward(*exact), *reference.backward(grad.double(), *exact)]
    if layout == "strided":
        tensors, grad = [_strided(tensor) for tensor in tensors], _strided(grad)
    rtol, atol = TOLERANCES[dtype]
    for what, one, other in zip(NAMES, _run(backend, shapes, tensors, grad), expected, strict=True):
        assert one.dtype == (dtype if what in NAMES[:2] else locations.dtype), what
        assert_close(one.double(), other, rtol=rtol, atol=atol, msg=lambda text, what=what: f"{what}: {text}")


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_types_accumulate_in_float32(dtype: torch.dtype, backend: BackendName) -> None:
    case = CASES["pyramid"]
    value, locations, weights, _ = inputs(case, dtype)
    actual = ops.deform_attn(value, case.shapes, locations, weights, backend=backend)
    expected = reference.forward(value.float(), case.shapes, locations, weights)
    assert_close(actual, expected.to(dtype), rtol=2**-7, atol=1e-5)


def test_half_locations_are_widened_and_their_gradient_narrowed() -> None:
    case = CASES["pyramid"]
    *tensors, grad = inputs(case, torch.bfloat16)
    halves = [tensor.bfloat16() for tensor in tensors]
    results = _run("auto", case.shapes, halves, grad)
    assert {result.dtype for result in results} == {torch.bfloat16}
    wide = _run("auto", case.shapes, [halves[0], halves[1].float(), halves[2].float()], grad)
    for one, other in zip(results, wide, strict=True):
        assert_close(one, other.bfloat16(), rtol=0, atol=0)


def test_gradcheck_of_the_fastest() -> None:
    case = CASES["pyramid"]
    value, locations, weights, _ = inputs(case)
    leaves = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    assert torch.autograd.gradcheck(
        lambda value, locations, weights: ops.deform_attn(value, case.shapes, locations, weights),
        leaves,
        fast_mode=True,
    )


@pytest.mark.parametrize("needed", range(3), ids=["value", "locations", "weights"])
def test_gradient_of_one_argument_alone(needed: int) -> None:
    case = CASES["32-channels"]
    *tensors, grad = inputs(case)
    expected = reference.backward(grad, tensors[0], case.shapes, *tensors[1:])[needed]
    tensors[needed].requires_grad_()
    output = ops.deform_attn(tensors[0], case.shapes, *tensors[1:])
    (gradient,) = torch.autograd.grad(output, tensors[needed], grad)
    assert_close(gradient, expected)


def test_the_short_way_equals_the_registered_operator() -> None:
    case = CASES["pyramid"]
    *tensors, grad = inputs(case)
    short = _run("auto", case.shapes, tensors, grad)
    leaves = [tensor.requires_grad_() for tensor in tensors]
    output = torch.ops.intern25.deform_attn(leaves[0], schema.flat(case.shapes), *leaves[1:])
    registered = [output.detach(), *torch.autograd.grad(output, leaves, grad)]
    for one, other in zip(short, registered, strict=True):
        assert_close(one, other, rtol=0, atol=0)


def test_shapes_on_the_meta_device() -> None:
    for case in CASES.values():
        value, locations, weights, grad = (tensor.to("meta") for tensor in inputs(case))
        output = ops.deform_attn(value, case.shapes, locations, weights)
        assert output.shape == grad.shape
        assert output.device.type == "meta"


def test_a_refusing_kernel_is_replaced_by_the_reference(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DISPATCHER, "native", {"cpu": ("cpu", _Refusing())})
    monkeypatch.setattr(DISPATCHER, "reported", set())
    case = CASES["pyramid"]
    value, locations, weights, _ = inputs(case)
    with caplog.at_level(logging.INFO, logger=dispatch.__name__):
        output = ops.deform_attn(value, case.shapes, locations, weights)
    assert_close(output, reference.forward(value, case.shapes, locations, weights))
    assert "deform_attn runs in PyTorch operations instead of the cpu kernel: it is Sunday" in caplog.text
    with pytest.raises(RuntimeError, match="backend='cpu' refuses: it is Sunday"):
        ops.deform_attn(value, case.shapes, locations, weights, backend="cpu")


class _Refusing:
    """A kernel that is there and takes nothing."""

    def status(self) -> Ready:
        return Ready()

    def refuses(self, *tensors: object) -> str:
        return "it is Sunday"
