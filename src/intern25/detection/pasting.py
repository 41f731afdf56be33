# SPDX-License-Identifier: MIT
"""Masks of regions put back into the picture: small squares of probabilities become masks of its size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_BYTES = 2**30
"""Memory a chunk of masks may take on an accelerator."""
_BYTES_PER_PIXEL = 20
"""Sampling grid, sampled values and their comparison."""


def paste_masks(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], *, threshold: float = 0.5
) -> Tensor:
    """Sample every mask bilinearly at the pixel centres of the picture and compare with ``threshold``.

    Convention: a mask covers its box, the centre of its first cell half a cell inside; outside the mask is 0.

    Args:
        probabilities: ``(K, S, S)``.
        boxes: ``(K, 4)``, left, top, right, bottom in pixels of the picture.
        size: Height and width of the picture.
        threshold: Probability from which a pixel belongs to the object.

    Returns:
        ``(K, H, W)`` bool.

    Example:
        >>> paste_masks(torch.ones(1, 28, 28), torch.tensor([[1.0, 0.0, 3.0, 1.0]]), (2, 4))[0]
        tensor([[False,  True,  True, False],
                [False, False, False, False]])
    """
    height, width = size
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool, device=boxes.device)
    one_by_one = _one_by_one(boxes)
    chunk = 1 if one_by_one else max(CHUNK_BYTES // (height * width * _BYTES_PER_PIXEL), 1)
    for start in range(0, len(boxes), chunk):
        part = slice(start, start + chunk)
        rows, columns = (
            _surroundings(boxes[start], size) if one_by_one else (slice(0, height), slice(0, width))
        )
        pasted = _sample(probabilities[part], boxes[part], rows, columns)
        masks[part, rows, columns] = pasted >= threshold
    return masks


def _one_by_one(boxes: Tensor) -> bool:
    """On a CPU each mask costs what its box has pixels; elsewhere a launch costs more than pixels."""
    return boxes.device.type == "cpu"


def _surroundings(box: Tensor, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns within a pixel of the box."""
    left, top, right, bottom = box.tolist()
    rows = slice(max(int(top) - 1, 0), min(int(bottom) + 2, size[0]))
    return rows, slice(max(int(left) - 1, 0), min(int(right) + 2, size[1]))


def _sample(probabilities: Tensor, boxes: Tensor, rows: slice, columns: slice) -> Tensor:
    """Values ``(K, rows, columns)`` of the masks at pixel centres."""
    x = _coordinates(columns, boxes[:, 0], boxes[:, 2])
    y = _coordinates(rows, boxes[:, 1], boxes[:, 3])
    shape = (len(boxes), y.shape[1], x.shape[1])
    grid = torch.stack((x[:, None, :].expand(shape), y[:, :, None].expand(shape)), dim=-1)
    return F.grid_sample(probabilities[:, None], grid, mode="bilinear", align_corners=False)[:, 0]


def _coordinates(pixels: slice, low: Tensor, high: Tensor) -> Tensor:
    """Pixel centres as ``(K, pixels)`` from -1 at ``low`` to 1 at ``high``; 0 for a box without extent."""
    centres = torch.arange(pixels.start, pixels.stop, device=low.device, dtype=low.dtype) + 0.5
    places = (centres - low[:, None]) / (high - low)[:, None] * 2 - 1
    return torch.where(places.isfinite(), places, 0.0)
