# SPDX-License-Identifier: MIT
"""The operator and its layer against outputs of the authors' code: a packaged part, and all if at hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intern25 import ops
from intern25.ops.backends import Refusal

PACKAGED = Path(__file__).resolve().parents[2] / "goldens"
RESULTS = ("output", "grad_input", "grad_offset", "grad_mask")
TOLERANCES = {  # absolute; of the goldens' README
    torch.float64: (1e-6, 1e-6, 1e-6, 1e-6),  # they are stored in float32
    torch.float32: (5e-6, 5e-6, 3e-5, 3e-5),
}
dtypes = pytest.mark.parametrize("dtype", TOLERANCES, ids=["float64", "float32"])
sources = pytest.mark.parametrize("source", ["packaged", pytest.param("shared", marks=pytest.mark.shared)])
backends = pytest.mark.parametrize("backend", ["reference", "cpu"])


@pytest.fixture
def goldens(source: str, request: pytest.FixtureRequest) -> Path:
    return PACKAGED if source == "packaged" else request.getfixturevalue("shared_root") / "goldens"


@pytest.fixture(autouse=True)
def _skip_unready(backend: str) -> None:
    status = ops.backends()[backend]
    if isinstance(status, Refusal):
        pytest.skip(f"{backend}: {status.reason}")


def _cases(goldens: Path, part: str) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Description and arrays of every case of a file."""
    cases = json.loads((goldens / "op" / f"dcnv3_{part}.json").read_text())["cases"]
    with np.load(goldens / "op" / f"dcnv3_{part}.npz") as archive:
        for case in cases:
            prefix = case["name"] + "/"
            yield case, {key.removeprefix(prefix): archive[key] for key in archive if key.startswith(prefix)}


def _keywords(case: dict[str, Any]) -> dict[str, Any]:
    """The authors' arguments in our words."""
    words = {"kernel_size": "kernel", "stride": "stride", "padding": "pad", "dilation": "dilation"}
    pairs = {ours: (case[f"{theirs}_h"], case[f"{theirs}_w"]) for ours, theirs in words.items()}
    return {
        **pairs,
        "groups": case["group"],
        "offset_scale": case["offset_scale"],
        "remove_center": bool(case["remove_center"]),
    }


@backends
@sources
@dtypes
@pytest.mark.parametrize("part", ["cases", "discrepancies"])
def test_operator(part: str, dtype: torch.dtype, source: str, backend: str, goldens: Path) -> None:
    wrong = {}
    for case, arrays in _cases(goldens, part):
        tensors = {name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}
        leaves = [tensors[name].requires_grad_() for name in ("input", "offset", "mask")]
        output = ops.dcnv3(*leaves, **_keywords(case), backend=backend)
        actual = (output, *torch.autograd.grad(output, leaves, tensors["grad_output"]))
        for name, value, tolerance in zip(RESULTS, actual, TOLERANCES[dtype], strict=True):
            difference = (value - tensors[name]).abs().max().item()
            if not difference <= tolerance:
                wrong[f"{case['name']} {name}"] = difference
    assert wrong == {}


OUR_NAMES = {
    "dw_conv.0": "dw_conv",
    "dw_conv.1.1": "dw_norm",  # behind a permute
    "dw_conv.1.0": "dw_norm",  # batch normalisation, before it
    "center_feature_scale_proj_weight": "center_feature_scale.weight",
    "center_feature_scale_proj_bias": "center_feature_scale.bias",
}


def _our_name(name: str) -> str:
    for theirs, ours in OUR_NAMES.items():
        if name.startswith(theirs):
            return name.replace(theirs, ours, 1)
    return name


def _weights(goldens: Path, case: dict[str, Any]) -> dict[str, Tensor]:
    """The layer's state under our names."""
    if goldens == PACKAGED:
        with np.load(goldens / "op" / "dcnv3_module.npz") as archive:
            arrays = {name: archive[f"weights/{name}"] for name, _, _ in case["tensors"]}
    else:
        spec = importlib.util.spec_from_file_location("golden_weights", goldens / "weights.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        arrays = {name: module.tensor_for(name, shape) for name, shape, _ in case["tensors"]}
    prefix = case["name"] + ".dcn."
    return {_our_name(name.removeprefix(prefix)): torch.from_numpy(value) for name, value in arrays.items()}


def _layer(case: dict[str, Any], backend: str) -> nn.Module:
    words = {"group": "groups", "pad": "padding", "norm_layer": "norm", "act_layer": "activation"}
    arguments = {words.get(name, name): value for name, value in case["kwargs"].items()}
    return ops.DCNv3(**arguments, backend=backend).eval()


@backends
@sources
@dtypes
def test_layer(dtype: torch.dtype, source: str, backend: str, goldens: Path) -> None:
    # values of order 1 to 10; float64 leaves the rounding of the stored float32, float32 that of two products
    tolerance = {torch.float64: 3e-6, torch.float32: 2e-4}[dtype]
    norm_tolerance = {torch.float64: 1e-5, torch.float32: 1e-2}[dtype]  # of the goldens' README
    for case, arrays in _cases(goldens, "module"):
        layer = _layer(case, backend)
        layer.load_state_dict(_weights(goldens, case))
        layer.to(dtype)
        x = torch.from_numpy(arrays["input"]).to(dtype).requires_grad_()
        output = layer(x)
        output.backward(torch.from_numpy(arrays["grad_output"]).to(dtype))
        for name, value in (("output", output), ("grad_input", x.grad)):
            expected = torch.from_numpy(arrays[name]).to(dtype)
            torch.testing.assert_close(
                value,
                expected,
                rtol=tolerance,
                atol=tolerance,
                msg=lambda text, case=case: f"{case['name']}: {text}",
            )
        parameters = dict(layer.named_parameters())
        norms = {_our_name(name): norm for name, norm in case["param_grad_norms"].items()}
        assert norms.keys() == parameters.keys()
        for name, norm in norms.items():
            assert parameters[name].grad.norm().item() == pytest.approx(norm, rel=norm_tolerance), name
