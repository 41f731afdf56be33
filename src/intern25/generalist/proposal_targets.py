# SPDX-License-Identifier: MIT
"""What the proposal network learns from: boxes of one picture, of any class, with or without masks."""

# N batch, K objects of a picture (the most of the batch), T objects of the batch, P points

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_SLACK = 1e-3
"""How far a corner may stand outside the picture: rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposalTargets:
    """The objects of one picture; a picture without objects has empty tensors.

    Convention: boxes are (left, top, right, bottom) as shares of the network's input picture, padding
    included: 0 to 1. :meth:`of_pixels` takes pixels.

    Args:
        boxes: ``(K, 4)``, floating point.
        masks: ``(K, H, W)`` bool over the same picture at any resolution, None when the data have no masks.

    Raises:
        ValueError: Shapes or types disagree, or boxes are not shares of the picture.

    Example:
        >>> targets = ProposalTargets.of_pixels(torch.tensor([[10.0, 20.0, 50.0, 40.0]]), (80, 100))
        >>> targets.boxes
        tensor([[0.1000, 0.2500, 0.5000, 0.5000]])
    """

    boxes: Tensor
    """``(K, 4)``, (left, top, right, bottom), 0 to 1."""
    masks: Tensor | None = None
    """``(K, H, W)`` bool, the pixels of every object."""

    def __post_init__(self) -> None:
        boxes, masks = self.boxes, self.masks
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
            raise ValueError(
                f"boxes must be a floating-point (K, 4) tensor, got {boxes.dtype} {tuple(boxes.shape)}"
            )
        if masks is not None and (masks.ndim != 3 or len(masks) != len(boxes) or masks.dtype != torch.bool):
            raise ValueError(
                f"masks must be bool ({len(boxes)}, H, W), one a box, got {masks.dtype} {tuple(masks.shape)}"
            )
        inside = ((boxes >= -_SLACK) & (boxes <= 1 + _SLACK)).all(1) & (boxes[:, 2:] >= boxes[:, :2]).all(1)
        if not inside.all():
            wrong = boxes[~inside][0].tolist()
            raise ValueError(
                f"box {wrong} is not (left, top, right, bottom) as shares of the picture, 0 to 1; "
                "use ProposalTargets.of_pixels for pixels"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of_pixels(cls, boxes: Tensor, size: tuple[int, int], masks: Tensor | None = None) -> ProposalTargets:
        """Objects whose boxes are in pixels of the input picture of ``size`` (height, width)."""
        height, width = size
        return cls(boxes=boxes / boxes.new_tensor((width, height, width, height)), masks=masks)

    def to(self, device: torch.device | str) -> ProposalTargets:
        """Return the same targets with every tensor on ``device``."""
        masks = None if self.masks is None else self.masks.to(device)
        return ProposalTargets(boxes=self.boxes.to(device), masks=masks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchTargets:
    """The objects of a batch side by side."""

    boxes: Tensor
    """``(N, K, 4)``, zeros behind a picture's last object."""
    present: Tensor
    """``(N, K)`` bool."""
    counts: list[int]
    """Objects of every picture."""
    masks: MaskTable
    """Masks of the ``T`` objects, picture by picture."""

    @classmethod
    def of(cls, targets: Sequence[ProposalTargets], like: Tensor) -> BatchTargets:
        """Put the targets side by side, in the type and place of ``like``."""
        counts = [len(target) for target in targets]
        boxes = like.new_zeros((len(targets), max(counts, default=0), 4))
        for row, target in zip(boxes, targets, strict=True):
            row[: len(target)] = target.boxes.to(like)
        places = torch.arange(boxes.shape[1], device=like.device)
        present = places < torch.tensor(counts, device=like.device)[:, None]
        return cls(boxes=boxes, present=present, counts=counts, masks=MaskTable.of(targets, like.device))

    @property
    def starts(self) -> Tensor:
        """``(N,)`` int64 objects of the batch before each picture's first."""
        counts = torch.tensor(self.counts, dtype=torch.int64, device=self.boxes.device)
        return counts.cumsum(0) - counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskTable:
    """Masks of different sizes end to end, to be read at points without enlarging any of them."""

    pixels: Tensor
    """Bool, all masks, row by row."""
    starts: Tensor
    """``(T,)`` int64 first pixel of each."""
    sizes: Tensor
    """``(T, 2)`` int64 width and height; zeros for an object without a mask."""

    @classmethod
    def of(cls, targets: Sequence[ProposalTargets], device: torch.device) -> MaskTable:
        """Masks of a batch."""
        pixels, sizes = [torch.zeros(0, dtype=torch.bool, device=device)], []
        for target in targets:
            if target.masks is None:
                sizes += [(0, 0)] * len(target)
            else:
                pixels.append(target.masks.to(device).flatten())
                sizes += [(target.masks.shape[2], target.masks.shape[1])] * len(target)
        size = torch.tensor(sizes, dtype=torch.int64, device=device).view(-1, 2)
        areas = size.prod(dim=1)
        return cls(pixels=torch.cat(pixels), starts=areas.cumsum(0) - areas, sizes=size)

    @property
    def known(self) -> Tensor:
        """``(T,)`` bool, objects that have a mask."""
        return self.sizes[:, 0] > 0

    def read(self, objects: Tensor, points: Tensor) -> Tensor:
        """Masks at points.

        Args:
            objects: ``(M,)`` int64 objects of the batch; they must have masks.
            points: ``(M, P, 2)`` x, y in [0, 1) of the picture.

        Returns:
            ``(M, P)`` in the type of the points: 1 where the pixel around the point belongs to the object.
        """
        size = self.sizes[objects][:, None]
        cell = (points * size).long().clamp(min=0).minimum(size - 1)
        index = self.starts[objects][:, None] + cell[..., 1] * size[..., 0] + cell[..., 0]
        return self.pixels[index].to(points.dtype)
