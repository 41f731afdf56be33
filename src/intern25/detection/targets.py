# SPDX-License-Identifier: MIT
"""What a detector learns from: the objects of one picture in the pixels of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionTarget:
    """The objects of one picture; a picture without objects has empty tensors.

    Convention: boxes are (left, top, right, bottom) in pixels of the input picture (after resizing, before
    padding), corners on the continuous grid where pixel ``i`` covers ``[i, i + 1]``.

    Args:
        boxes: ``(K, 4)``, floating point.
        labels: ``(K,)``, int64, from 0.
        masks: ``(K, H, W)``, bool or uint8 of zeros and ones, None when the data have no masks.
        ignored: ``(M, 4)`` regions that are neither object nor background (crowds), None for no regions.

    Raises:
        ValueError: Shapes or types disagree.

    Example:
        >>> target = DetectionTarget(boxes=torch.tensor([[10.0, 20.0, 50.0, 40.0]]), labels=torch.tensor([3]))
        >>> len(target)
        1
    """

    boxes: Tensor
    """``(K, 4)``, (left, top, right, bottom) in input pixels."""
    labels: Tensor
    """``(K,)``, int64 class numbers."""
    masks: Tensor | None = None
    """``(K, H, W)``, the pixels of every object."""
    ignored: Tensor | None = None
    """``(M, 4)``, regions nothing is learnt from."""

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or not self.boxes.is_floating_point():
            raise ValueError(f"boxes must be a floating-point (K, 4) tensor, got {_described(self.boxes)}")
        count = len(self.boxes)
        if self.labels.shape != (count,) or self.labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64 ({count},), one a box, got {_described(self.labels)}")
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != count):
            raise ValueError(f"masks must be ({count}, H, W), one a box, got shape {tuple(self.masks.shape)}")
        if self.ignored is not None and (self.ignored.ndim != 2 or self.ignored.shape[1] != 4):
            raise ValueError(f"ignored must be (M, 4), got shape {tuple(self.ignored.shape)}")

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> DetectionTarget:
        """Return the same target with every tensor on ``device``."""
        return DetectionTarget(
            boxes=self.boxes.to(device),
            labels=self.labels.to(device),
            masks=None if self.masks is None else self.masks.to(device),
            ignored=None if self.ignored is None else self.ignored.to(device),
        )


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"
