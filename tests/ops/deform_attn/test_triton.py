# SPDX-License-Identifier: MIT
"""The Triton kernels: numerics in the interpreter, compilation for absent GPUs, and a present one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from intern25 import ops
from intern25.ops.deform_attn import gpu, reference
from tests.ops.deform_attn.cases import CASES, inputs
from tests.ops.deform_attn.triton_interpreter import INTERPRETED

pytest.importorskip("triton", reason="triton is not installed")

ROOT = Path(__file__).resolve().parents[3]
TOLERANCES = {
    "float64": 1e-12,
    "float32": 2e-5,  # positions are rounded on maps of up to 9 pixels
    "bfloat16": 2**-7,  # the interpreter cuts off where a GPU rounds
    "float16": 2**-10,
}
RUNS = [*(f"{name}-float64" for name in INTERPRETED), *(f"pyramid-{d}" for d in TOLERANCES if d != "float64")]


@pytest.fixture(scope="module")
def differences() -> dict[str, list[float]]:
    """What the interpreter computes, one run for all cases."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    run = subprocess.run(
        [sys.executable, "-m", "tests.ops.deform_attn.triton_interpreter"],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    result: dict[str, list[float]] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize("run", RUNS)
def test_interpreted_kernels_equal_the_reference(run: str, differences: dict[str, list[float]]) -> None:
    dtype = run.split("-")[-1]
    names = ("output", "gradient of value", "gradient of locations", "gradient of weights")
    worst = dict(zip(names, differences[run], strict=True))
    assert {what: value for what, value in worst.items() if not value <= TOLERANCES[dtype]} == {}


@pytest.mark.parametrize(
    ("target", "kind"), [("cuda-80", "fp64"), ("cuda-90", "bf16"), ("hip-gfx942", "fp32")], ids=str
)
@pytest.mark.parametrize("name", ["forward_kernel", "backward_kernel"])
def test_compiles_for(
    target: str, kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through to the machine code, which needs no GPU: the interpreter accepts what the compiler may not."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from intern25.ops.deform_attn import gpu_kernels

    kernel = getattr(gpu_kernels, name)
    wide = "fp64" if kind == "fp64" else "fp32"
    constants = {
        "HEADS": 8, "D": 20, "D_PADDED": 32, "LEVELS": 4, "POINTS": 3,
        "ACC": tl.float64 if kind == "fp64" else tl.float32, "BLOCK": 32,
    }  # fmt: skip
    stored = {"value_ptr": kind, "grad_ptr": kind, "out_ptr": kind, "sizes_ptr": "i32"}
    signature = {
        argument: "constexpr" if argument in constants
        else f"*{stored.get(argument, wide)}" if argument.endswith("_ptr") else "i32"
        for argument in kernel.arg_names
    }  # fmt: skip
    places = {(kernel.arg_names.index(argument),): value for argument, value in constants.items()}
    system, architecture = target.split("-")
    device = GPUTarget(
        system, int(architecture) if system == "cuda" else architecture, 32 if system == "cuda" else 64
    )
    compiled = compile(ASTSource(kernel, signature, places), target=device)
    assert len(compiled.asm["cubin" if system == "cuda" else "hsaco"]) > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", CASES)
def test_on_a_gpu(name: str, dtype: torch.dtype) -> None:
    shapes = CASES[name].shapes
    value, locations, weights, grad = inputs(CASES[name], dtype)
    exact = (value.double(), shapes, locations.double(), weights.double())
    expected = [reference.forward(*exact), *reference.backward(grad.double(), *exact)]
    device = (value.cuda(), shapes, locations.cuda(), weights.cuda())
    actual = [gpu.forward(*device), *gpu.backward(grad.cuda(), *device)]
    tolerance = TOLERANCES[str(dtype).removeprefix("torch.")]
    for one, other in zip(actual, expected, strict=True):
        assert_close(one.cpu().double(), other, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_auto_on_a_gpu_is_triton() -> None:
    case = CASES["pyramid"]
    value, locations, weights, _ = (tensor.cuda() for tensor in inputs(case, torch.float32))
    forced = ops.deform_attn(value, case.shapes, locations, weights, backend="triton")
    assert_close(ops.deform_attn(value, case.shapes, locations, weights), forced, rtol=0, atol=0)
