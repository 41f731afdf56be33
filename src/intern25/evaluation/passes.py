# SPDX-License-Identifier: MIT
"""What the suites share: one pass of an operator, the native kernels, threads, progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from intern25.evaluation.timing import Contestants
from intern25.ops import native
from intern25.ops.backends import Refusal

Pass = Literal["forward", "train"]
"""``train`` is one forward and backward pass."""
DType = Literal["float32", "bfloat16"]
Report = Callable[[str], None]


def operator_pass(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], kind: Pass
) -> Callable[[], object]:
    """Run ``function`` of ``tensors``; backwards too, to each of them that needs it, when training."""
    if kind == "forward":

        def forward() -> None:
            with torch.inference_mode():
                function(*tensors)

        return forward

    def step() -> None:
        output = function(*tensors)
        torch.autograd.grad(output, tensors, torch.ones_like(output))

    return step


def native_contestants(function: Callable[[], object]) -> Contestants:
    """``function`` once for each instruction set of this machine, by its name."""
    if isinstance(native.library(), Refusal):
        return {}
    return {name: _with_instruction_set(name, function) for name in native.available_instruction_sets()}


def _with_instruction_set(
    name: native.InstructionSet, function: Callable[[], object]
) -> Callable[[], object]:
    def run() -> None:
        before = native.instruction_set()
        native.set_instruction_set(name)
        try:
            function()
        finally:
            native.set_instruction_set(before)

    return run


@contextlib.contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """So many threads of torch, None = as many as there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if number is None else number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def say(report: Report | None, line: str) -> None:
    """Tell whoever wants to know."""
    if report is not None:
        report(line)
