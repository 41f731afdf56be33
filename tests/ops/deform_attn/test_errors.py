# SPDX-License-Identifier: MIT
"""Every user mistake is named with both sides, every refusal with its reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from intern25 import ops
from intern25.ops.backends import Refusal
from intern25.ops.deform_attn import cpu, gpu
from intern25.ops.deform_attn.dispatch import DISPATCHER
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

SHAPES = ((4, 6), (2, 3))


def _call(**changes: Any) -> torch.Tensor:
    """A right call of deform_attn with some arguments changed."""
    arguments: dict[str, Any] = {
        "value": torch.zeros(2, 30, 3, 8),
        "spatial_shapes": SHAPES,
        "sampling_locations": torch.zeros(2, 5, 3, 2, 4, 2),
        "attention_weights": torch.zeros(2, 5, 3, 2, 4),
    }
    arguments.update(changes)
    return ops.deform_attn(**arguments)


def test_the_unchanged_call_is_right() -> None:
    assert _call().shape == (2, 5, 24)
    assert _call(spatial_shapes=[[4, 6], [2, 3]]).shape == (2, 5, 24)  # as JSON has them


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"value": torch.zeros(2, 29, 3, 8)},
            ["29 tokens", "((4, 6), (2, 3))", "30 = sum of height * width"],
        ),
        ({"spatial_shapes": ((4, 6),)}, ["30 tokens", "((4, 6),)", "24"]),
        ({"value": torch.zeros(2, 30, 24)}, ["(2, 30, 24)", "(N, S, heads, head_channels)"]),
        ({"value": torch.zeros(2, 30, 4, 8)}, ["(2, 5, 3, 2, 4)", "(2, 5, 4, 2, 4)"]),
        ({"value": torch.zeros(2, 30, 3, 0)}, ["(2, 30, 3, 0)", "at least one level, head and channel"]),
        ({"spatial_shapes": ()}, ["spatial_shapes=()", "at least one level"]),
        ({"spatial_shapes": ((4, 6), (0, 3))}, ["(0, 3)", "at least 1x1"]),
        ({"attention_weights": torch.zeros(2, 5, 3, 8)}, ["(2, 5, 3, 8)", "(N, Q, heads, levels, points)"]),
        ({"attention_weights": torch.zeros(2, 5, 3, 2, 0)}, ["(2, 5, 3, 2, 0)", "at least one point"]),
        ({"attention_weights": torch.zeros(1, 5, 3, 2, 4)}, ["(1, 5, 3, 2, 4)", "(2, 5, 3, 2, 4)"]),
        ({"attention_weights": torch.zeros(2, 5, 3, 3, 4)}, ["(2, 5, 3, 3, 4)", "2 levels"]),
        (
            {"sampling_locations": torch.zeros(2, 5, 3, 2, 4)},
            ["sampling_locations", "(2, 5, 3, 2, 4)", "(2, 5, 3, 2, 4, 2)", "points, 2)"],
        ),
        ({"sampling_locations": torch.zeros(2, 6, 3, 2, 4, 2)}, ["(2, 6, 3, 2, 4, 2)", "(2, 5, 3, 2, 4, 2)"]),
        ({"backend": "cuda"}, ["'cuda'", "auto", "reference", "cpu", "triton"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_wrong_values_show_both_sides(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are checked below
        _call(**changes)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial_shapes": torch.tensor(SHAPES)}, ["tensor", "tolist()"]),
        ({"spatial_shapes": ((4.0, 6.0), (2, 3))}, ["(4.0, 6.0)", "pair of ints"]),
        ({"spatial_shapes": (4, 6)}, ["has 4;", "(height, width)"]),
        ({"spatial_shapes": ((4, 6), (6,))}, ["(6,)", "(height, width)"]),
        (
            {"sampling_locations": torch.zeros(2, 5, 3, 2, 4, 2).double()},
            ["sampling_locations", "float64", "float32", "cast"],
        ),
        (
            {"attention_weights": torch.zeros(2, 5, 3, 2, 4).bfloat16()},
            ["attention_weights", "bfloat16", "cast"],
        ),
        ({"value": torch.zeros(2, 30, 3, 8, dtype=torch.int64)}, ["int64", "float32", "bfloat16"]),
        ({"attention_weights": torch.zeros(2, 5, 3, 2, 4, device="meta")}, ["cpu", "meta", "one device"]),
    ],
    ids=[
        "tensor-of-shapes",
        "fractions",
        "flat-shapes",
        "one-side",
        "float64",
        "bfloat16",
        "integers",
        "devices",
    ],
)
def test_wrong_types_show_both_sides(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(TypeError) as error:
        _call(**changes)
    assert [word for word in words if word not in str(error.value)] == []


def test_forced_triton_on_cpu_tensors_says_why() -> None:
    with pytest.raises(RuntimeError, match="backend='triton' refuses: it runs cuda tensors, got one on cpu"):
        _call(backend="triton")


def test_forced_cpu_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "status", lambda: Refusal("the library was not built"))
    with pytest.raises(RuntimeError, match="backend='cpu' refuses: the library was not built"):
        _call(backend="cpu")
    assert _call().shape == (2, 5, 24)


@pytest.mark.parametrize(
    ("depth", "queries", "words"),
    [(5000, 1, ["5000", "4096"]), (1, 2**31, [str(2**31), "more than"]), (32, 1, [])],
    ids=["channels", "rows", "accepted"],
)
def test_triton_refuses_sizes(depth: int, queries: int, words: list[str]) -> None:
    value = torch.empty(1, 6, 1, depth, device="meta")
    weights = torch.empty(1, queries, 1, 1, 1, device="meta")
    reason = gpu.refuses(value, ((2, 3),), torch.empty(*weights.shape, 2, device="meta"), weights)
    assert (reason is None) == (not words)
    assert [word for word in words if word not in (reason or "")] == []


def test_the_reference_never_refuses() -> None:
    value, weights = torch.zeros(1, 6, 1, 4), torch.zeros(1, 1, 1, 1, 1)
    assert DISPATCHER.refusal("reference", value, ((2, 3),), weights.unsqueeze(-1), weights) is None


def test_second_derivatives_point_to_the_form_that_has_them() -> None:
    value = torch.randn(1, 6, 1, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(1, 2, 1, 1, 3, dtype=torch.float64, requires_grad=True)
    output = ops.deform_attn(value, ((2, 3),), torch.rand(1, 2, 1, 1, 3, 2, dtype=torch.float64), weights)
    (gradient,) = torch.autograd.grad(output.square().sum(), value, create_graph=True)
    with pytest.raises(RuntimeError, match=r"first derivatives only; reference\.forward_exportable"):
        torch.autograd.grad(gradient.sum(), weights)


def test_layer_names_wrong_heads_and_references() -> None:
    with pytest.raises(ValueError, match=r"heads=7 does not divide channels=64; use one of 1, 2, 4"):
        MultiScaleDeformableAttention(64, heads=7)
    layer = MultiScaleDeformableAttention(16, heads=2, levels=2)
    with pytest.raises(ValueError, match=r"\(1, 5, 2, 3\).*\(N, Q, 2, 2\) points or \(N, Q, 2, 4\) boxes"):
        layer(torch.zeros(1, 5, 16), torch.zeros(1, 5, 2, 3), torch.zeros(1, 30, 16), SHAPES)
