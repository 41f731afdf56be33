# SPDX-License-Identifier: MIT
"""Batches of pictures with a class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

IGNORED = 255
"""Label of pixels that neither train nor count in a score."""

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(slots=True)
class SegmentationBatch:
    """A training batch of a segmentation data set."""

    images: Tensor
    """Normalised pictures, ``(N, 3, H, W)`` float32."""
    masks: Tensor
    """Class of each pixel, ``(N, H, W)`` int64, 255 = ignored."""
    index: Tensor
    """Position of each picture in its data set, ``(N,)`` int64."""

    def to(self, device: torch.device) -> SegmentationBatch:
        """Move all tensors."""
        return SegmentationBatch(*(t.to(device, non_blocking=True) for t in self._tensors()))

    def pin_memory(self) -> SegmentationBatch:
        """Pin all tensors; the loader calls this."""
        return SegmentationBatch(*(t.pin_memory() for t in self._tensors()))

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.images, self.masks, self.index

    def __len__(self) -> int:
        return len(self.index)


@dataclass(slots=True)
class SegmentationEvaluationBatch:
    """Pictures of one input size with the masks of their files, which may differ in size."""

    images: Tensor
    """Normalised pictures, ``(N, 3, H, W)`` float32."""
    masks: list[Tensor]
    """Class of each pixel of the file, ``(h, w)`` uint8, 255 = ignored."""
    index: Tensor
    """Position of each picture in its data set, ``(N,)`` int64."""

    @property
    def original_sizes(self) -> list[Size]:
        """(height, width) of each file."""
        return [(mask.shape[0], mask.shape[1]) for mask in self.masks]

    def to(self, device: torch.device) -> SegmentationEvaluationBatch:
        """Move all tensors."""
        return SegmentationEvaluationBatch(
            self.images.to(device, non_blocking=True),
            [mask.to(device, non_blocking=True) for mask in self.masks],
            self.index.to(device, non_blocking=True),
        )

    def pin_memory(self) -> SegmentationEvaluationBatch:
        """Pin the pictures; the loader calls this."""
        return SegmentationEvaluationBatch(self.images.pin_memory(), self.masks, self.index)

    def __len__(self) -> int:
        return len(self.index)
