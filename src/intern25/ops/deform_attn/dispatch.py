# SPDX-License-Identifier: MIT
"""The implementations of multi-scale deformable attention."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from intern25.ops.backends import Status
from intern25.ops.deform_attn import cpu, gpu, reference
from intern25.ops.deform_attn.reference import SpatialShapes
from intern25.ops.dispatch import Dispatcher


class Kernel(Protocol):
    """What every implementation has."""

    def forward(
        self,
        value: Tensor,
        spatial_shapes: SpatialShapes,
        sampling_locations: Tensor,
        attention_weights: Tensor,
    ) -> Tensor:
        """Output of the operator."""

    def backward(
        self,
        grad: Tensor,
        value: Tensor,
        spatial_shapes: SpatialShapes,
        sampling_locations: Tensor,
        attention_weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of ``value``, ``sampling_locations`` and ``attention_weights``."""


class NativeKernel(Kernel, Protocol):
    """What an implementation for one kind of device has besides."""

    def status(self) -> Status:
        """Whether it can run on this machine."""

    def refuses(
        self,
        value: Tensor,
        spatial_shapes: SpatialShapes,
        sampling_locations: Tensor,
        attention_weights: Tensor,
    ) -> str | None:
        """Why it cannot run these tensors, or None."""


DISPATCHER: Dispatcher[Kernel, NativeKernel] = Dispatcher(
    "deform_attn", reference, {"cpu": ("cpu", cpu), "cuda": ("triton", gpu)}
)
