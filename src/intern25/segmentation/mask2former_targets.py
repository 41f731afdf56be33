# SPDX-License-Identifier: MIT
"""What Mask2Former learns from: one binary mask a segment, made of a class map or of instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from intern25.segmentation.config import IGNORE


class Segments(Protocol):
    """Anything with the labels and masks of one picture, such as a detector's target."""

    @property
    def labels(self) -> Tensor:
        """``(K,)`` class numbers."""

    @property
    def masks(self) -> Tensor | None:
        """``(K, H, W)`` zeros and ones."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentTarget:
    """Segments of one picture: stuff regions, instances or both."""

    labels: Tensor
    """``(K,)`` int64 class numbers."""
    masks: Tensor
    """``(K, H, W)`` bool, the pixels of each segment."""


def semantic_targets(labels: Tensor) -> list[SegmentTarget]:
    """One segment for each class of each picture.

    Args:
        labels: ``(N, H, W)`` class numbers, 255 belonging to no segment.

    Returns:
        One target a picture, classes ascending.
    """
    targets = []
    for picture in labels:
        classes = picture.unique()
        classes = classes[classes != IGNORE].long()
        targets.append(SegmentTarget(classes, picture[None] == classes[:, None, None]))
    return targets


def check_segments(targets: Sequence[Segments], images: Tensor, num_classes: int) -> list[SegmentTarget]:
    """Take labels and masks from the targets of a batch.

    Raises:
        ValueError: Not one target a picture, no masks, masks of another size, or a label that is no class.
    """
    if len(targets) != len(images):
        raise ValueError(f"{len(targets)} targets for {len(images)} images")
    segments = []
    for index, target in enumerate(targets):
        labels, masks = target.labels, target.masks
        if masks is None:
            raise ValueError(f"target {index} has no masks; Mask2Former learns from masks, not from boxes")
        expected = (len(labels), *images.shape[-2:])
        if tuple(masks.shape) != expected:
            raise ValueError(f"target {index} has masks of {tuple(masks.shape)}, expected {expected}")
        if labels.device.type == "cpu" and ((labels < 0) | (labels >= num_classes)).any():
            raise ValueError(
                f"target {index} has labels {labels.tolist()}; classes are 0 to {num_classes - 1}"
            )
        segments.append(SegmentTarget(labels.long(), masks.bool()))
    return segments
