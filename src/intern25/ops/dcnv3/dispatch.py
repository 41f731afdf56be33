# SPDX-License-Identifier: MIT
"""The implementations of DCNv3."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from intern25.ops.backends import Status
from intern25.ops.dcnv3 import cpu, gpu, reference
from intern25.ops.dcnv3.geometry import Geometry
from intern25.ops.dispatch import Dispatcher


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


DISPATCHER: Dispatcher[Kernel, NativeKernel] = Dispatcher(
    "dcnv3", reference, {"cpu": ("cpu", cpu), "cuda": ("triton", gpu)}
)
