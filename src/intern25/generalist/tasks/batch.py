# SPDX-License-Identifier: MIT
"""What batches of all tasks have in common: they move to a device, and pictures travel as bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from intern25.data.picture_views import normalised
from intern25.generalist.model import Generalist


@dataclass(slots=True, kw_only=True)
class TaskBatch:
    """A batch of one task."""

    task: str
    """Name of the task."""
    images: Tensor
    """Pictures, ``(N, 3, H, W)``: uint8, a quarter of the bytes on the way from a loader process, or
    normalised float32."""

    def to(self, device: torch.device) -> Self:
        """Move all tensors, those inside other parts included."""
        return dataclasses.replace(
            self, **{f.name: _moved(getattr(self, f.name), device) for f in dataclasses.fields(self)}
        )

    @property
    def pictures(self) -> Tensor:
        """``(N, 3, H, W)`` float32, normalised."""
        return normalised(self.images) if self.images.dtype == torch.uint8 else self.images


def seen_by(model: Generalist, images: Sequence[Tensor]) -> Tensor:
    """``(N, 3, H, W)`` normalised, on the device of the model, of uint8 pictures ``(3, H, W)``."""
    return normalised(stacked(images).to(model.device))


def _moved(value: Any, device: torch.device) -> Any:
    if hasattr(value, "to"):
        return value.to(device)
    if isinstance(value, list):
        return [_moved(item, device) for item in value]
    return value


def stacked(images: Sequence[Tensor]) -> Tensor:
    """Stack pictures ``(3, H, W)`` of one size."""
    return torch.stack(list(images))
