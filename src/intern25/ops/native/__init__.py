# SPDX-License-Identifier: MIT
"""Loads the native CPU library, a plain C library that runs on torch's own threads.

Loading happens at the first use and once a process. The library keeps no threads and no state besides the
selected instruction set, so it survives a fork wherever torch itself does: a child forked after the parent
ran parallel torch code must not run parallel code itself (use spawn, or one thread in the child).
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Literal, get_args

import torch

from intern25.ops.backends import Ready, Refusal, Status

InstructionSet = Literal["portable", "avx2", "avx512"]

_INSTRUCTION_SETS: tuple[InstructionSet, ...] = get_args(InstructionSet)
"""In the order of the library's numbers."""
_LIBRARY_PATH = Path(__file__).with_name("_native.dll" if sys.platform == "win32" else "_native.so")
_TORCH_LIBRARY = {"win32": "torch_cpu.dll", "darwin": "libtorch_cpu.dylib"}.get(
    sys.platform, "libtorch_cpu.so"
)


@functools.cache
def library() -> ctypes.CDLL | Refusal:
    """The library, or why there is none.

    Example:
        >>> native = library()
        >>> isinstance(native, Refusal) or native.intern25_instruction_set() >= 0
        True
    """
    if sys.byteorder != "little":
        return Refusal("the native library supports little-endian machines only")
    if not _LIBRARY_PATH.exists():
        return Refusal(
            f"the native library {_LIBRARY_PATH.name} was not built, because no C++ compiler worked when "
            "intern25 was installed; install one and run `pip install --force-reinstall --no-deps "
            "--no-binary intern25 intern25`, or in a checkout `python setup.py build_ext --inplace`"
        )
    try:
        native = ctypes.CDLL(str(_LIBRARY_PATH))
        native.intern25_set_parallel_for.argtypes = [ctypes.c_void_p]
        native.intern25_set_parallel_for.restype = None
    except (OSError, AttributeError) as error:
        return Refusal(f"the native library {_LIBRARY_PATH} does not load on this machine: {error}")
    native.intern25_set_parallel_for(_torch_parallel_for())
    return native


def status() -> Status:
    """Whether the library runs here, and with which instructions."""
    native = library()
    return native if isinstance(native, Refusal) else Ready(instruction_set())


def instruction_set() -> InstructionSet:
    """The instruction set the kernels use: the best of this machine unless another one was set."""
    number: int = _require().intern25_instruction_set()
    return _INSTRUCTION_SETS[number]


def available_instruction_sets() -> tuple[InstructionSet, ...]:
    """The instruction sets that this machine has and this build contains, the lowest first."""
    native = _require()
    return tuple(
        name for i, name in enumerate(_INSTRUCTION_SETS) if native.intern25_instruction_set_available(i)
    )


def set_instruction_set(name: InstructionSet) -> None:
    """Make all kernels use ``name``, for tests and benchmarks.

    Raises:
        ValueError: This machine or this build does not have it.
    """
    available = available_instruction_sets()
    if name not in available:
        raise ValueError(f"instruction set {name!r} is not available here, use one of {', '.join(available)}")
    _require().intern25_set_instruction_set(_INSTRUCTION_SETS.index(name))


def _require() -> ctypes.CDLL:
    native = library()
    if isinstance(native, Refusal):
        raise RuntimeError(native.reason)
    return native


def _torch_parallel_for() -> int | None:
    """Address of torch's parallel loop, a C function; None makes the library start threads itself."""
    path = Path(torch.__file__).parent / "lib" / _TORCH_LIBRARY
    try:
        function = ctypes.CDLL(str(path)).torch_parallel_for
    except (OSError, AttributeError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value
