# SPDX-License-Identifier: MIT
"""Masks read at points, and points drawn where masks are uncertain (PointRend)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of maps at points.

    Convention: points are ``(x, y)`` in [0, 1] over the map, whose pixels are areas; zeros outside.

    Args:
        maps: ``(N, H, W)`` floating.
        points: ``(N, P, 2)``, or ``(1, P, 2)`` for the same points on every map.

    Returns:
        ``(N, P)``.

    Source:
        PointRend, arXiv:1912.08193, section 3.1.
    """
    if points.shape[0] == 1:  # one grid for all maps: they are channels of one picture
        return F.grid_sample(maps[None], 2 * points[:, None] - 1, align_corners=False)[0, :, 0]
    return F.grid_sample(maps[:, None], 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]


@torch.no_grad()
def uncertain_points(
    mask_logits: Tensor,
    count: int,
    *,
    oversample_ratio: float,
    importance_ratio: float,
    boxes: Tensor | None = None,
) -> Tensor:
    """Random points, most of them where a mask's probability is nearest to one half.

    Args:
        mask_logits: ``(N, H, W)``.
        count: Points for each mask.
        oversample_ratio: Candidates drawn for each point.
        importance_ratio: Share of the points that is chosen from the candidates; the rest is drawn freely.
        boxes: ``(N, 4)`` left, top, right, bottom as shares of the map, in which the points of each mask lie;
            None = anywhere.

    Returns:
        ``(N, count, 2)``, ``(x, y)`` in [0, 1).

    Raises:
        ValueError: ``count`` or a ratio is out of range.

    Source:
        PointRend, arXiv:1912.08193, section 3.1.
    """
    if count < 1 or oversample_ratio < 1 or not 0 <= importance_ratio <= 1:
        raise ValueError(
            f"count={count} must be 1 or more, oversample_ratio={oversample_ratio} 1 or more and "
            f"importance_ratio={importance_ratio} between 0 and 1"
        )
    candidates = _drawn(mask_logits, int(count * oversample_ratio), boxes)
    chosen = int(importance_ratio * count)
    certainty = sample_points(mask_logits, candidates).abs()
    nearest = certainty.topk(chosen, dim=1, largest=False, sorted=False).indices
    uncertain = candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
    return torch.cat((uncertain, _drawn(mask_logits, count - chosen, boxes)), dim=1)


def _drawn(maps: Tensor, count: int, boxes: Tensor | None) -> Tensor:
    """``(N, count, 2)`` points anywhere on ``(N, H, W)`` maps, or in a box of each."""
    points = maps.new_empty((len(maps), count, 2)).uniform_()
    return points if boxes is None else torch.lerp(boxes[:, None, :2], boxes[:, None, 2:], points)
