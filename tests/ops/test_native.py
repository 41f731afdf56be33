# SPDX-License-Identifier: MIT
"""The loader of the native library: reasons when it cannot load, instruction sets, threads."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from intern25.ops import native
from intern25.ops.backends import Refusal
from intern25.ops.dcnv3 import cpu
from intern25.ops.dcnv3.geometry import Geometry

needs_library = pytest.mark.skipif(
    isinstance(native.library(), Refusal),
    reason="the native library is not built: python setup.py build_ext --inplace",
)


@pytest.fixture
def _fresh_loader() -> Iterator[None]:
    """Lets a test load again, and forgets what it loaded."""
    native.library.cache_clear()
    yield
    native.library.cache_clear()


@pytest.mark.usefixtures("_fresh_loader")
def test_a_missing_library_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "_LIBRARY_PATH", tmp_path / "_native.so")
    answer = native.library()
    assert isinstance(answer, Refusal)
    assert "build_ext --inplace" in answer.reason
    assert cpu.status() == answer
    with pytest.raises(RuntimeError, match="was not built"):
        native.instruction_set()


@pytest.mark.usefixtures("_fresh_loader")
def test_a_library_of_another_machine_is_a_reason_not_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "_native.so"
    path.write_bytes(b"not a library")
    monkeypatch.setattr(native, "_LIBRARY_PATH", path)
    answer = native.library()
    assert isinstance(answer, Refusal)
    assert "does not load" in answer.reason


@needs_library
def test_the_library_is_loaded_once() -> None:
    assert native.library() is native.library()


@needs_library
def test_every_available_instruction_set_can_be_selected() -> None:
    best = native.instruction_set()
    try:
        for name in native.available_instruction_sets():
            native.set_instruction_set(name)
            assert native.instruction_set() == name
    finally:
        native.set_instruction_set(best)
    assert "portable" in native.available_instruction_sets()


@needs_library
def test_an_unknown_instruction_set_is_refused_and_changes_nothing() -> None:
    before = native.instruction_set()
    with pytest.raises(ValueError, match=r"'avx1024' is not available here, use one of .*portable"):
        native.set_instruction_set("avx1024")  # type: ignore[arg-type]
    assert native.instruction_set() == before


@needs_library
def test_the_library_does_not_know_sets_beyond_its_own() -> None:
    library = native.library()
    assert isinstance(library, ctypes.CDLL)
    assert not library.intern25_instruction_set_available(99)
    assert library.intern25_set_instruction_set(-1) == 1


@needs_library
def test_own_threads_give_the_same_result_when_torch_offers_none() -> None:
    library = native.library()
    assert isinstance(library, ctypes.CDLL)
    threads = torch.get_num_threads()
    geometry = Geometry(groups=4, softmax=True)
    x, offset, mask = torch.randn(1, 40, 41, 64), torch.randn(1, 40, 41, 72), torch.randn(1, 40, 41, 36)
    grad = torch.randn(1, 40, 41, 64)
    try:
        torch.set_num_threads(3)
        expected = (cpu.forward(x, offset, mask, geometry), *cpu.backward(grad, x, offset, mask, geometry))
        library.intern25_set_parallel_for(None)
        results = (cpu.forward(x, offset, mask, geometry), *cpu.backward(grad, x, offset, mask, geometry))
    finally:
        library.intern25_set_parallel_for(native._torch_parallel_for())
        torch.set_num_threads(threads)
    for result, wanted in zip(results, expected, strict=True):
        assert torch.equal(result, wanted)


@needs_library
@pytest.mark.skipif(
    not hasattr(torch.multiprocessing, "fork") and sys.platform != "linux", reason="needs fork"
)
def test_a_forked_child_runs_the_kernel_on_one_thread() -> None:
    """As data loader workers do: torch's pool does not survive a fork, the library must not need it."""
    program = """
import os, torch
from intern25.ops.dcnv3 import cpu
from intern25.ops.dcnv3.geometry import Geometry
geometry = Geometry(groups=4, softmax=True)
tensors = torch.randn(1, 40, 41, 64), torch.randn(1, 40, 41, 72), torch.randn(1, 40, 41, 36)
expected = cpu.forward(*tensors, geometry)
child = os.fork()
if child == 0:
    torch.set_num_threads(1)
    os._exit(0 if torch.equal(cpu.forward(*tensors, geometry), expected) else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=120, env={"PYTHONPATH": ":".join(sys.path)}
    )
