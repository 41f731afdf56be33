# SPDX-License-Identifier: MIT
"""Which implementation of DCNv3 runs a call, and why another one does not."""

from __future__ import annotations

import logging
from typing import Protocol

import torch
from torch import Tensor

from intern25.ops.backends import BackendName, Ready, Refusal, Status
from intern25.ops.dcnv3 import cpu, gpu, reference
from intern25.ops.dcnv3.geometry import Geometry

_LOGGER = logging.getLogger(__name__)


class Kernel(Protocol):
    """What every implementation has."""

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
        """Output of the operator."""

    def backward(
        self, grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of ``x``, ``offset`` and ``mask``."""


class NativeKernel(Kernel, Protocol):
    """What an implementation for one kind of device has besides."""

    def status(self) -> Status:
        """Whether it can run on this machine."""

    def refuses(self, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> str | None:
        """Why it cannot run these tensors, or None."""


_REFERENCE: Kernel = reference
_NATIVE: dict[str, tuple[str, NativeKernel]] = {"cpu": ("cpu", cpu), "cuda": ("triton", gpu)}
"""Device type -> name and module of the fast implementation for it."""
_REPORTED: set[str] = set()
"""Implementations whose first fallback was logged."""


def backends() -> dict[str, Status]:
    """Every implementation of the operator on this machine: ready, or the reason why not.

    Example:
        >>> sorted(backends())
        ['cpu', 'reference', 'triton']
    """
    return {"cpu": cpu.status(), "triton": gpu.status(), "reference": Ready("PyTorch operations")}


def choose(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry, *, backward: bool = False) -> Kernel:
    """The fastest implementation that accepts these tensors."""
    native = _NATIVE.get(x.device.type)
    if native is None:
        _report_fallback(x.device.type, f"there is no kernel for device {x.device.type!r}")
        return _REFERENCE
    name, kernel = native
    reason = _refusal_of(kernel, x, offset, mask, geometry)
    if reason is None and backward and name == "triton" and torch.are_deterministic_algorithms_enabled():
        reason = "its backward adds atomically and torch.use_deterministic_algorithms is on"
    if reason is None:
        return kernel
    _report_fallback(name, reason)
    return _REFERENCE


def refusal(
    backend: BackendName | str, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> str | None:
    """Why ``backend`` cannot run these tensors, or None if it can."""
    for device, (name, kernel) in _NATIVE.items():
        if name != backend:
            continue
        if x.device.type != device:
            return f"it runs {device} tensors and x is on {x.device}"
        return _refusal_of(kernel, x, offset, mask, geometry)
    return None


def _refusal_of(
    kernel: NativeKernel, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> str | None:
    """What the machine or the tensors lack for this kernel."""
    status = kernel.status()
    if isinstance(status, Refusal):
        return status.reason
    return kernel.refuses(x, offset, mask, geometry)


def require(backend: BackendName, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> None:
    """Raise RuntimeError with the reason if ``backend`` was forced and refuses."""
    reason = refusal(backend, x, offset, mask, geometry)
    if reason is not None:
        raise RuntimeError(f"backend={backend!r} refuses: {reason}; use backend='auto' to fall back")


def _report_fallback(name: str, reason: str) -> None:
    """Log the first fallback of an implementation, and stay silent from then on."""
    if name not in _REPORTED:
        _REPORTED.add(name)
        _LOGGER.info("dcnv3 runs in PyTorch operations instead of the %s kernel: %s", name, reason)
