# SPDX-License-Identifier: MIT
"""Every implementation that is ready, forward and all gradients, against the reference in float64."""

from __future__ import annotations

import logging
from dataclasses import asdict

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from intern25 import ops
from intern25.ops import dispatch
from intern25.ops.backends import Ready, Refusal
from intern25.ops.dcnv3 import reference, schema
from intern25.ops.dcnv3.dispatch import DISPATCHER
from intern25.ops.dcnv3.geometry import Geometry
from tests.ops.dcnv3.cases import CASES, inputs, with_softmax

TOLERANCES = {
    torch.float64: (1e-11, 1e-11),
    # sums of up to 4 * 25 products of standard-normal numbers, and over 32 channels in the gradients
    torch.float32: (1e-4, 3e-5),
    # the result is rounded once to 8 bits of mantissa, what is summed before is float32
    torch.bfloat16: (2**-7, 2e-3),
}
NAMES = ("output", "gradient of x", "gradient of offset", "gradient of mask")


def _merged(offset: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The same values as slices of one projection."""
    sizes = (offset.shape[-1], mask.shape[-1])
    first, second = torch.cat((offset, mask), dim=-1).split(sizes, dim=-1)
    return first, second


def _strided(tensor: Tensor) -> Tensor:
    """The same values with channels outermost, as a convolution in NCHW leaves them."""
    return tensor.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)


def _laid_out(layout: str, x: Tensor, offset: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if layout == "merged":
        return x, *_merged(offset, mask)
    if layout == "strided":
        return _strided(x), _strided(offset), _strided(mask)
    return x, offset, mask


def _skip_unless_ready(backend: str) -> None:
    status = ops.backends()[backend]
    if isinstance(status, Refusal):
        pytest.skip(f"{backend}: {status.reason}")


def _run(backend: str, tensors: tuple[Tensor, ...], grad: Tensor, geometry: Geometry) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    output = ops.dcnv3(*leaves, **_keywords(geometry), backend=backend)
    return [output.detach(), *torch.autograd.grad(output, leaves, grad)]


def _keywords(geometry: Geometry) -> dict[str, object]:
    return asdict(geometry)


@pytest.mark.parametrize("layout", ["contiguous", "merged", "strided"])
@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_reference(
    name: str, backend: str, dtype: torch.dtype, softmax: bool, layout: str
) -> None:
    if backend == "cpu":
        _skip_unless_ready(backend)
    geometry = with_softmax(CASES[name], softmax)
    *tensors, grad = inputs(CASES[name], dtype, softmax=softmax)
    if backend == "cpu" and (reason := DISPATCHER.refusal("cpu", *tensors, geometry)) is not None:
        pytest.skip(f"cpu: {reason}")
    # the reference computes on the same rounded inputs, in float64
    exact = [tensor.double() for tensor in tensors]
    expected = [
        reference.forward(*exact, geometry),
        *reference.backward(grad.double(), *exact, geometry),
    ]
    laid_out = _laid_out(layout, *tensors)
    grad = _strided(grad) if layout == "strided" else grad
    rtol, atol = TOLERANCES[dtype]
    for what, one, other in zip(NAMES, _run(backend, laid_out, grad, geometry), expected, strict=True):
        assert one.dtype == dtype, what
        assert_close(one.double(), other, rtol=rtol, atol=atol, msg=lambda text, what=what: f"{what}: {text}")


@pytest.mark.parametrize("name", ["3x3", "stride-2", "remove-center", "empty-batch"])
def test_cpu_gives_the_same_bits_for_any_number_of_threads(name: str) -> None:
    _skip_unless_ready("cpu")
    case, geometry = CASES[name], with_softmax(CASES[name], True)
    *tensors, grad = inputs(case, torch.float32, softmax=True)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(_run("cpu", tuple(tensors), grad, geometry))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_close(one, two, rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_float16_accumulates_in_float32(backend: str) -> None:
    case = CASES["3x3"]
    x, offset, mask, _ = inputs(case, torch.float16)
    actual = ops.dcnv3(x, offset, mask, **_keywords(case.geometry), backend=backend)
    expected = reference.forward(x.double(), offset.double(), mask.double(), case.geometry)
    assert actual.dtype == torch.float16
    assert_close(actual.double(), expected, rtol=2**-10, atol=1e-4)  # one rounding to 11 bits


@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("name", ["3x3", "5x5-scale-0.3", "tall-kernel-all-unequal", "remove-center"])
def test_gradcheck(name: str, backend: str, softmax: bool) -> None:
    geometry = with_softmax(CASES[name], softmax)
    *tensors, _ = inputs(CASES[name], softmax=softmax)  # positions keep 0.2 pixels off the kinks
    leaves = [tensor.requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(
        lambda *args: ops.dcnv3(*args, **_keywords(geometry), backend=backend), leaves, fast_mode=True
    )


def test_gradients_of_a_part_of_the_inputs() -> None:
    case = CASES["3x3"]
    x, offset, mask, grad = inputs(case)
    expected = reference.backward(grad, x, offset, mask, case.geometry)
    for position in range(3):
        tensors = [tensor.detach().clone() for tensor in (x, offset, mask)]
        tensors[position].requires_grad_()
        output = ops.dcnv3(*tensors, **_keywords(case.geometry))
        output.backward(grad)
        assert [tensor.grad is not None for tensor in tensors] == [i == position for i in range(3)]
        assert_close(tensors[position].grad, expected[position])


def test_eager_and_registered_operator_agree() -> None:
    """The short way of plain eager calls gives what the torch operator gives."""
    case = CASES["stride-2"]
    *tensors, grad = inputs(case)
    short = _run("auto", tuple(tensors), grad, case.geometry)
    arguments = schema._arguments(case.geometry)
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    output = torch.ops.intern25.dcnv3(*leaves, *arguments)
    registered = [output.detach(), *torch.autograd.grad(output, leaves, grad)]
    for one, other in zip(short, registered, strict=True):
        assert_close(one, other, rtol=0, atol=0)


def test_profiler_sees_the_operator() -> None:
    case = CASES["3x3"]
    *tensors, _ = inputs(case)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        ops.dcnv3(*tensors, **_keywords(case.geometry))
    assert "intern25::dcnv3" in {event.key for event in profile.key_averages()}


def test_shapes_on_the_meta_device() -> None:
    for case in CASES.values():
        x, offset, mask, _ = (tensor.to("meta") for tensor in inputs(case))
        output = ops.dcnv3(x, offset, mask, **_keywords(case.geometry))
        assert output.shape == (*offset.shape[:3], x.shape[3])
        assert output.device.type == "meta"


def test_other_devices_run_the_reference_and_say_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DISPATCHER, "native", {})  # as on a Mac's GPU: no kernel for the device of x
    monkeypatch.setattr(DISPATCHER, "reported", set())
    case = CASES["3x3"]
    *tensors, _ = inputs(case)
    with caplog.at_level(logging.INFO, logger=dispatch.__name__):
        for _ in range(2):
            output = ops.dcnv3(*tensors, **_keywords(case.geometry))
    assert_close(output, reference.forward(*tensors, case.geometry))
    assert len(caplog.records) == 1
    assert "no kernel for device 'cpu'" in caplog.text


def test_a_refusing_kernel_is_replaced_by_the_reference(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DISPATCHER, "native", {"cpu": ("cpu", _Refusing())})
    monkeypatch.setattr(DISPATCHER, "reported", set())
    case = CASES["3x3"]
    *tensors, _ = inputs(case)
    with caplog.at_level(logging.INFO, logger=dispatch.__name__):
        output = ops.dcnv3(*tensors, **_keywords(case.geometry))
    assert_close(output, reference.forward(*tensors, case.geometry))
    assert "it is Sunday" in caplog.text
    with pytest.raises(RuntimeError, match="backend='cpu' refuses: it is Sunday"):
        ops.dcnv3(*tensors, **_keywords(case.geometry), backend="cpu")


class _Refusing:
    """A kernel that is there and takes nothing."""

    def status(self) -> Ready:
        return Ready()

    def refuses(self, *tensors: object) -> str:
        return "it is Sunday"


def test_deterministic_algorithms_keep_atomics_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = _Accepting()
    monkeypatch.setattr(DISPATCHER, "native", {"cpu": ("triton", kernel)})  # the name decides, not the device
    case = CASES["3x3"]
    x, offset, mask, _ = inputs(case)
    assert DISPATCHER.choose(x, offset, mask, case.geometry, backward=True) is kernel
    torch.use_deterministic_algorithms(True)
    try:
        assert DISPATCHER.choose(x, offset, mask, case.geometry) is kernel
        assert DISPATCHER.choose(x, offset, mask, case.geometry, backward=True) is reference
    finally:
        torch.use_deterministic_algorithms(False)


class _Accepting(_Refusing):
    """A kernel that takes everything."""

    def refuses(self, *tensors: object) -> None:
        return None


def test_backends_tell_their_state() -> None:
    states = ops.backends()
    assert set(states) == {"cpu", "triton", "reference"}
    assert isinstance(states["reference"], Ready)
    for state in states.values():
        assert isinstance(state, Ready) or state.reason
