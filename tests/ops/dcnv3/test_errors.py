# SPDX-License-Identifier: MIT
"""Every user mistake is named with both sides, every refusal with its reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from intern25 import ops
from intern25.ops.backends import Refusal
from intern25.ops.dcnv3 import cpu, gpu
from intern25.ops.dcnv3.dispatch import DISPATCHER
from intern25.ops.dcnv3.geometry import Geometry
from intern25.ops.layers import build_activation, build_norm

GROUPS = 4


def _call(**changes: Any) -> torch.Tensor:
    """A right call of dcnv3 with some arguments changed."""
    arguments: dict[str, Any] = {
        "x": torch.zeros(2, 5, 6, 16),
        "offset": torch.zeros(2, 5, 6, GROUPS * 18),
        "mask": torch.zeros(2, 5, 6, GROUPS * 9),
        "groups": GROUPS,
    }
    arguments.update(changes)
    return ops.dcnv3(arguments.pop("x"), arguments.pop("offset"), arguments.pop("mask"), **arguments)


def test_the_unchanged_call_is_right() -> None:
    assert _call().shape == (2, 5, 6, 16)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offset": torch.zeros(2, 5, 6, 71)}, ["offset", "(2, 5, 6, 71)", "(2, 5, 6, 72)", "groups*K*2"]),
        ({"mask": torch.zeros(2, 5, 6, 35)}, ["mask", "(2, 5, 6, 35)", "(2, 5, 6, 36)", "groups*K"]),
        ({"offset": torch.zeros(2, 6, 5, 72)}, ["(2, 6, 5, 72)", "(2, 5, 6, 72)"]),
        ({"mask": torch.zeros(1, 5, 6, 36)}, ["(1, 5, 6, 36)", "(2, 5, 6, 36)"]),
        ({"mask": torch.zeros(2, 36, 6)}, ["(2, 36, 6)", "(2, 5, 6, 36)"]),
        ({"stride": 2}, ["(2, 5, 6, 72)", "(2, 3, 3, 72)"]),
        ({"remove_center": True}, ["(2, 5, 6, 72)", "(2, 5, 6, 64)", "K=8"]),
        ({"groups": 5}, ["groups=5", "channels=16", "1, 2, 4, 8, 16"]),
        ({"groups": 0}, ["groups=0", "at least 1"]),
        ({"x": torch.zeros(5, 6, 16)}, ["(5, 6, 16)", "(N, H, W, C)"]),
        ({"kernel_size": 0}, ["kernel_size=(0, 0)", "at least 1"]),
        ({"stride": (1, 0)}, ["stride=(1, 0)", "at least 1"]),
        ({"padding": -1}, ["padding=(-1, -1)", "at least 0"]),
        ({"dilation": 0}, ["dilation=(0, 0)", "at least 1"]),
        ({"kernel_size": (3, 3, 3)}, ["kernel_size=(3, 3, 3)", "(height, width)"]),
        ({"kernel_size": 9}, ["5x6", "kernel_size=(9, 9)"]),
        ({"kernel_size": (3, 5), "remove_center": True}, ["odd square", "(3, 5)"]),
        ({"kernel_size": 4, "remove_center": True}, ["odd square", "(4, 4)"]),
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
        ({"offset": torch.zeros(2, 5, 6, 72).double()}, ["float64", "float32", "cast"]),
        ({"mask": torch.zeros(2, 5, 6, 36).bfloat16()}, ["bfloat16", "float32", "cast"]),
        (
            {
                name: torch.zeros(2, 5, 6, size, dtype=torch.int64)
                for name, size in (("x", 16), ("offset", 72), ("mask", 36))
            },
            ["int64", "float32", "bfloat16"],
        ),
        ({"offset": torch.zeros(2, 5, 6, 72, device="meta")}, ["cpu", "meta"]),
        ({"kernel_size": 2.5}, ["kernel_size=2.5", "(height, width)"]),
    ],
    ids=["float64-offset", "bfloat16-mask", "integers", "devices", "fraction"],
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
    assert _call().shape == (2, 5, 6, 16)


def test_triton_refuses_without_triton_or_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "triton is not installed" in gpu.status.__wrapped__().reason
    monkeypatch.undo()
    pytest.importorskip("triton")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA or ROCm device" in gpu.status.__wrapped__().reason


@pytest.mark.parametrize(
    ("x_shape", "out_shape", "words"),
    [
        ((1, 4, 4, 5000), (1, 4, 4), ["5000", "4096"]),
        ((2**15, 2**8, 2**8, 1), (2**15, 2**8, 2**8), [str(2**31), "more than"]),
    ],
    ids=["channels", "rows"],
)
def test_triton_refuses_sizes(x_shape: tuple[int, ...], out_shape: tuple[int, ...], words: list[str]) -> None:
    x = torch.empty(x_shape, device="meta")
    offset, mask = torch.empty(*out_shape, 18, device="meta"), torch.empty(*out_shape, 9, device="meta")
    reason = gpu.refuses(x, offset, mask, Geometry(groups=1)) or ""
    assert [word for word in words if word not in reason] == []


def test_triton_accepts_the_rest() -> None:
    x, offset, mask = torch.zeros(1, 4, 4, 16), torch.zeros(1, 4, 4, 18), torch.zeros(1, 4, 4, 9)
    assert gpu.refuses(x, offset, mask, Geometry(groups=1)) is None


def test_the_reference_never_refuses() -> None:
    x, offset, mask = torch.zeros(1, 4, 4, 16), torch.zeros(1, 4, 4, 18), torch.zeros(1, 4, 4, 9)
    assert DISPATCHER.refusal("reference", x, offset, mask, Geometry(groups=1)) is None


def test_second_derivatives_point_to_the_form_that_has_them() -> None:
    x = torch.randn(1, 4, 4, 8, dtype=torch.float64, requires_grad=True)
    offset, mask = torch.rand(1, 4, 4, 18, dtype=torch.float64), torch.rand(1, 4, 4, 9, dtype=torch.float64)
    mask.requires_grad_()
    output = ops.dcnv3(x, offset, mask, groups=1)
    (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"first derivatives only; reference\.forward_exportable"):
        torch.autograd.grad(gradient.sum(), mask)


@pytest.mark.parametrize("build", [lambda: build_norm(8, "GN"), lambda: build_activation("gelu")])  # type: ignore[arg-type]
def test_unknown_layers_show_the_choices(build: Any) -> None:
    with pytest.raises(ValueError, match=r"('GN'.*LN, BN)|('gelu'.*GELU, SiLU, ReLU)"):
        build()


def test_module_names_the_divisors() -> None:
    with pytest.raises(ValueError, match="groups=3 does not divide channels=16; use one of 1, 2, 4, 8, 16"):
        ops.DCNv3(16, groups=3)
