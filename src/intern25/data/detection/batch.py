# SPDX-License-Identifier: MIT
"""A batch of pictures of different sizes with their objects, padded to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from intern25.detection.targets import DetectionTarget

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(slots=True)
class DetectionBatch:
    """A batch of a detection data set."""

    images: Tensor
    """Normalised pictures, ``(N, 3, H, W)`` float32; zeros right of and below each picture."""
    image_sizes: list[Size]
    """(height, width) of each picture inside its padding."""
    original_sizes: list[Size]
    """(height, width) of each file, to which detections are scaled back."""
    index: Tensor
    """Position of each picture in its data set, ``(N,)`` int64."""
    targets: list[DetectionTarget] = field(default_factory=list)
    """Objects in pixels of ``images``, masks as large as ``images``; empty in evaluation."""

    def to(self, device: torch.device) -> DetectionBatch:
        """Move all tensors."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            index=self.index.to(device, non_blocking=True),
            targets=[target.to(device) for target in self.targets],
        )

    def pin_memory(self) -> DetectionBatch:
        """Pin the pictures; the loader calls this."""
        return replace(self, images=self.images.pin_memory())

    def __len__(self) -> int:
        return len(self.index)


def pad_together(images: Sequence[Tensor], multiple: int = 32) -> Tensor:
    """Stack pictures ``(C, h, w)`` with zeros to the right and below.

    Args:
        images: Pictures of any sizes.
        multiple: The common height and width become multiples of this.

    Returns:
        ``(N, C, H, W)``.
    """
    height, width = (
        -(-max(image.shape[axis] for image in images) // multiple) * multiple for axis in (-2, -1)
    )
    padded = images[0].new_zeros((len(images), images[0].shape[0], height, width))
    for row, image in zip(padded, images, strict=True):
        row[:, : image.shape[-2], : image.shape[-1]] = image
    return padded
