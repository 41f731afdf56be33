# SPDX-License-Identifier: MIT
"""Which implementation of an operator runs a call, and why another one does not."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from intern25.ops.backends import BackendName, Ready, Refusal, Status

_LOGGER = logging.getLogger(__name__)


class NativeKernel(Protocol):
    """What an implementation for one kind of device says of itself."""

    def status(self) -> Status:
        """Whether it can run on this machine."""

    @property
    def refuses(self) -> Any:
        """Function of the operator's arguments: why it cannot run them, or None."""


Kernel = TypeVar("Kernel")
Native = TypeVar("Native", bound=NativeKernel)


@dataclass(slots=True)
class Dispatcher(Generic[Kernel, Native]):
    """The implementations of one operator; the first of its arguments, a tensor, names the device."""

    operator: str
    """Name of the operator, for messages."""
    reference: Kernel
    """Runs everything, everywhere."""
    native: dict[str, tuple[str, Native]]
    """Device type -> name and module of the fast implementation for it."""
    reported: set[str] = field(default_factory=set)
    """Implementations whose first fallback was logged."""

    def backends(self) -> dict[str, Status]:
        """Every implementation of the operator on this machine: ready, or the reason why not."""
        native = {name: kernel.status() for name, kernel in self.native.values()}
        return {**native, "reference": Ready("PyTorch operations")}

    def choose(self, first: Tensor, *others: Any, backward: bool = False) -> Kernel | Native:
        """The fastest implementation that accepts these arguments."""
        device = first.device.type
        native = self.native.get(device)
        if native is None:
            self._report_fallback(device, f"there is no kernel for device {device!r}")
            return self.reference
        name, kernel = native
        reason = _refusal_of(kernel, first, *others)
        if reason is None and backward and name == "triton" and torch.are_deterministic_algorithms_enabled():
            reason = "its backward adds atomically and torch.use_deterministic_algorithms is on"
        if reason is None:
            return kernel
        self._report_fallback(name, reason)
        return self.reference

    def refusal(self, backend: BackendName | str, first: Tensor, *others: Any) -> str | None:
        """Why ``backend`` cannot run these arguments, or None if it can."""
        for device, (name, kernel) in self.native.items():
            if name != backend:
                continue
            if first.device.type != device:
                return f"it runs {device} tensors, got one on {first.device}"
            return _refusal_of(kernel, first, *others)
        return None

    def require(self, backend: BackendName, first: Tensor, *others: Any) -> None:
        """Raise RuntimeError with the reason if ``backend`` was forced and refuses."""
        reason = self.refusal(backend, first, *others)
        if reason is not None:
            raise RuntimeError(f"backend={backend!r} refuses: {reason}; use backend='auto' to fall back")

    def _report_fallback(self, name: str, reason: str) -> None:
        """Log the first fallback of an implementation, and stay silent from then on."""
        if name not in self.reported:
            self.reported.add(name)
            _LOGGER.info(
                "%s runs in PyTorch operations instead of the %s kernel: %s", self.operator, name, reason
            )


def _refusal_of(kernel: NativeKernel, *arguments: Any) -> str | None:
    """What the machine or the arguments lack for this kernel."""
    status = kernel.status()
    if isinstance(status, Refusal):
        return status.reason
    reason: str | None = kernel.refuses(*arguments)
    return reason
