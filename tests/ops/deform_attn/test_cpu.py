# SPDX-License-Identifier: MIT
"""The native kernel against the loops: every instruction set and type, borders, threads, what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from intern25.ops import native
from intern25.ops.deform_attn import cpu
from tests.ops.deform_attn import oracle
from tests.ops.deform_attn.cases import CASES, Case, inputs

pytestmark = pytest.mark.skipif(
    not hasattr(native.library(), "intern25_deform_attn_forward"),
    reason="the native library is missing, or older than this operator: python setup.py build_ext --inplace",
)

# Largest error divided by the largest value. float32: sums of up to 4 * 300 rounded products at positions
# rounded on maps of up to 9 pixels. bfloat16: the loops see the rounded inputs, so what is left is the
# rounding of the result, half of 2**-8.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 5e-6, torch.bfloat16: 5e-3}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype).removeprefix("torch."))


def _run(case: Case, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    value, locations, weights, grad = tensors
    return (
        cpu.forward(value, case.shapes, locations, weights),
        *cpu.backward(grad, value, case.shapes, locations, weights),
    )


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_equals_the_formula(name: str, dtype: torch.dtype, instruction_set: str) -> None:
    case = CASES[name]
    tensors = inputs(case, dtype)
    value, locations, weights, grad = (tensor.double().numpy() for tensor in tensors)
    expected = oracle.deform_attn(value, case.shapes, locations, weights, grad)
    for actual, wanted in zip(_run(case, tensors), expected, strict=True):
        assert actual.shape == wanted.shape
        if wanted.size:
            error = (actual.double() - torch.from_numpy(wanted)).abs().max().item()
            assert error <= TOLERANCE[dtype] * max(1.0, abs(wanted).max())


@DTYPES
@pytest.mark.parametrize("name", ["pyramid", "32-channels", "odd-depth", "one-pixel-levels"])
def test_same_bits_for_any_number_of_threads(name: str, dtype: torch.dtype, instruction_set: str) -> None:
    """More queries than threads share, so that forward and backward are really cut."""
    case = Case(CASES[name].shapes, 2, 301, CASES[name].heads, CASES[name].depth, CASES[name].points)
    tensors = inputs(case, dtype)
    results = []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        results.append(_run(case, tensors))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("location", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_wild_locations_sample_nothing(location: float, instruction_set: str) -> None:
    case = CASES["pyramid"]
    value, locations, weights, grad = inputs(case, torch.float32)
    locations[:, :, :, 1, 2, 0] = location
    tame, weights_without = locations.clone(), weights.clone()
    tame[:, :, :, 1, 2, 0] = 0.5
    weights_without[:, :, :, 1, 2] = 0
    expected = _run(case, (value, tame, weights_without, grad))
    actual = _run(case, (value, locations, weights, grad))
    torch.testing.assert_close(actual[:2], expected[:2])
    assert actual[2][:, :, :, 1, 2].abs().max() == 0
    assert actual[3][:, :, :, 1, 2].abs().max() == 0


def test_pixel_centres_take_the_right_hand_derivative(instruction_set: str) -> None:
    """As the reference does: rounding must not put a point to the left of its pixel."""
    from intern25.ops.deform_attn import reference

    shapes = ((5, 7), (3, 11))
    value = torch.randn(1, 68, 2, 16)
    grad = torch.randn(1, 77, 32)
    y, x = torch.meshgrid(torch.arange(7), torch.arange(11), indexing="ij")
    locations = torch.stack([
        torch.stack(((x + 0.5) / width, (y + 0.5) / height), dim=-1).view(77, 2) for height, width in shapes
    ], dim=1)  # fmt: skip
    locations = locations[None, :, None, :, None].expand(1, 77, 2, 2, 3, 2).contiguous()
    weights = torch.rand(1, 77, 2, 2, 3)
    for one, other in zip(
        cpu.backward(grad, value, shapes, locations, weights),
        reference.backward(grad, value, shapes, locations, weights),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_ten_thousand_pixels_wide() -> None:
    """Positions keep their digits: the bilinear share of a point far to the right."""
    value = torch.arange(10_000, dtype=torch.float32).view(1, -1, 1, 1)
    locations = torch.tensor([9000.5 + 0.25, 0.5]).div(torch.tensor([10_000.0, 1.0])).view(1, 1, 1, 1, 1, 2)
    output = cpu.forward(value, ((1, 10_000),), locations, torch.ones(1, 1, 1, 1, 1))
    assert abs(output.item() - 9000.25) < 2e-3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": torch.zeros(1, 6, 1, 4, device="meta")}, "got meta, cpu, cpu"),
        ({"value": torch.zeros(1, 6, 1, 4).half()}, "float16"),
        ({"locations": torch.zeros(1, 2, 1, 1, 1, 2).double()}, "float64"),
        ({"shapes": ((1, 2**24 + 1),)}, "1x16777217"),
    ],
    ids=["device", "float16", "mixed", "side"],
)
def test_refuses(change: dict[str, object], words: str) -> None:
    arguments = {
        "value": torch.zeros(1, 6, 1, 4),
        "shapes": ((2, 3),),
        "locations": torch.zeros(1, 2, 1, 1, 1, 2),
        "weights": torch.zeros(1, 2, 1, 1, 1),
    }
    assert cpu.refuses(*arguments.values()) is None  # type: ignore[arg-type]
    assert words in (cpu.refuses(*(arguments | change).values()) or "")  # type: ignore[arg-type]


def test_a_library_without_the_operator_says_to_build_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", object)
    reason = cpu.refuses(
        torch.zeros(1, 6, 1, 4), ((2, 3),), torch.zeros(1, 2, 1, 1, 1, 2), torch.zeros(1, 2, 1, 1, 1)
    )
    assert "built before this operator existed" in (reason or "")
