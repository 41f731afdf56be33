# SPDX-License-Identifier: MIT
"""Whether the Triton kernels can run."""

from __future__ import annotations

import functools
import importlib.util

import torch

from intern25.ops.backends import Ready, Refusal, Status


@functools.cache
def status() -> Status:
    """Whether Triton and a GPU are there; asked once."""
    if importlib.util.find_spec("triton") is None:
        return Refusal("triton is not installed; it comes with the CUDA and ROCm builds of torch")
    if not torch.cuda.is_available():
        return Refusal("torch sees no CUDA or ROCm device")
    return Ready(f"Triton on {torch.cuda.get_device_name()}")
