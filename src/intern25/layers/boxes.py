# SPDX-License-Identifier: MIT
"""Boxes: two notations, clipping, overlap of pairs and of all combinations, the inverse of the sigmoid."""

from __future__ import annotations

import torch
from torch import Tensor

OVERLAP_EPS = 1e-6
"""Smallest union and smallest enclosing area, as in the official detectors."""


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """``(centre x, centre y, width, height)`` to ``(left, top, right, bottom)``, any leading shape."""
    centre, half = boxes[..., :2], boxes[..., 2:] * 0.5
    return torch.cat((centre - half, centre + half), dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """``(left, top, right, bottom)`` to ``(centre x, centre y, width, height)``, any leading shape."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) * 0.5, high - low), dim=-1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Move the corners of ``(..., 4)`` boxes inside a picture of ``size`` (height, width)."""
    height, width = size
    limits = boxes.new_tensor((width, height, width, height))
    return torch.minimum(boxes.clamp(min=0), limits)


def box_area(boxes: Tensor) -> Tensor:
    """Area of ``(..., 4)`` boxes, negative for one whose corners are swapped along one axis."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou_matrix(first: Tensor, second: Tensor, *, eps: float = OVERLAP_EPS) -> Tensor:
    r"""Intersection over union of all combinations, :math:`|A \cap B| / |A \cup B|`.

    Args:
        first: ``(M, 4)`` boxes, left, top, right, bottom.
        second: ``(K, 4)`` boxes.
        eps: Smallest union.

    Returns:
        ``(M, K)``.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        >>> iou_matrix(box, box)
        tensor([[1.]])
    """
    intersection, union = _intersection_and_union(first[:, None], second[None], eps)
    return intersection / union


def giou_matrix(first: Tensor, second: Tensor, *, eps: float = OVERLAP_EPS) -> Tensor:
    """Generalised IoU of all combinations, ``(M, 4)`` and ``(K, 4)`` to ``(M, K)``, see :func:`giou`."""
    return giou(first[:, None], second[None], eps=eps)


def iou(first: Tensor, second: Tensor, *, eps: float = OVERLAP_EPS) -> Tensor:
    """Intersection over union of pairs, ``(..., 4)`` and ``(..., 4)`` to ``(...)``; shapes broadcast."""
    intersection, union = _intersection_and_union(first, second, eps)
    return intersection / union


def giou(first: Tensor, second: Tensor, *, eps: float = OVERLAP_EPS) -> Tensor:
    r"""Generalised IoU of pairs, :math:`\mathrm{IoU} - |C \setminus (A \cup B)| / |C|`, C the enclosing box.

    Args:
        first: ``(..., 4)`` boxes, left, top, right, bottom.
        second: ``(..., 4)`` boxes; the shapes broadcast.
        eps: Smallest union and smallest enclosing area.

    Returns:
        ``(...)``, from -1 (far apart) to 1 (equal).

    Source:
        Generalized Intersection over Union, arXiv:1902.09630.
    """
    intersection, union = _intersection_and_union(first, second, eps)
    low = torch.minimum(first[..., :2], second[..., :2])
    high = torch.maximum(first[..., 2:], second[..., 2:])
    enclosing = (high - low).clamp(min=0).prod(dim=-1).clamp(min=eps)
    return intersection / union - (enclosing - union) / enclosing


def _intersection_and_union(first: Tensor, second: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    union = box_area(first) + box_area(second) - intersection
    return intersection, union.clamp(min=eps)


def inverse_sigmoid(x: Tensor, *, eps: float = 1e-3) -> Tensor:
    r"""Inverse of the sigmoid, :math:`\log(x / (1 - x))`, finite: both terms are at least ``eps``."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def cells_inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells of a map whose middle lies in a box.

    Args:
        boxes: ``(..., 4)`` centre x, centre y, width, height as shares of the map.
        size: (rows, columns) of the map.

    Returns:
        ``(..., rows, columns)`` bool.
    """
    left, top, right, bottom = cxcywh_to_xyxy(boxes)[..., None].unbind(-2)
    y, x = ((torch.arange(count, device=boxes.device) + 0.5) / count for count in size)
    return ((y >= top) & (y <= bottom))[..., :, None] & ((x >= left) & (x <= right))[..., None, :]
