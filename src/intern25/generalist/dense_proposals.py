# SPDX-License-Identifier: MIT
"""Dense class-agnostic proposals: every cell of a pyramid says whether it sees an object and where it ends.

Many cells learn from one object, so that the maps are taught from the first step on. The best cells become
the queries of the proposal network.
"""

# N batch, S cells of all levels, C channels

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from intern25.layers.convolution import ConvNormReLU
from intern25.layers.deformable_decoder import PRIOR_PROBABILITY
from intern25.layers.deformable_encoder import cell_centres

INITIAL_DISTANCE = 2.0
"""Cells from a cell's centre to each side of its box at initialisation."""
MAX_LOG_DISTANCE = 7.0
"""A distance is at most ``exp`` of this: larger ones would overflow before the loss could pull them back."""
NMS_POOL = 4
"""Cells that suppress each other, for each one that is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseOutput:
    """What every cell says, one level after another, rows in order."""

    logits: Tensor
    """``(N, S)`` logits of the IoU of the cell's box with an object, 0 for background."""
    boxes: Tensor
    """``(N, S, 4)`` left, top, right, bottom as shares of the picture, not clipped."""
    centres: Tensor
    """``(S, 2)`` x, y of the cells as shares of the picture."""
    cells: Tensor
    """``(S, 2)`` width and height of the cells as shares of the picture."""


class DenseProposals(nn.Module):
    r"""A small tower shared by all levels, a foreground score and four distances.

    .. math:: d = \exp(s_l \cdot \mathrm{conv}(x)) \text{ cells to the left, top, right and bottom}

    Args:
        channels: Channels of the maps, a multiple of 32.
        levels: Number of maps; each has its own :math:`s_l`.
        convs: 3x3 convolutions of the tower.

    Source:
        FCOS, arXiv:1904.01355; one score that foretells the IoU: Generalized Focal Loss, arXiv:2006.04388.
    """

    def __init__(self, channels: int, *, levels: int, convs: int = 2) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(ConvNormReLU(channels, channels, 3, norm="GN") for _ in range(convs)))
        self.objectness = nn.Conv2d(channels, 1, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(levels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scores at the prior, boxes of twice :data:`INITIAL_DISTANCE` cells."""
        for conv, bias in (
            (self.objectness, -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)),
            (self.distances, math.log(INITIAL_DISTANCE)),
        ):
            nn.init.normal_(conv.weight, std=0.01)
            assert conv.bias is not None, "built with a bias"
            nn.init.constant_(conv.bias, bias)

    def forward(self, levels: Sequence[Tensor]) -> DenseOutput:
        """Score the cells of maps ``(N, C, h, w)`` that cover the same picture."""
        logits, distances = [], []
        centres, cells = picture_cells(levels)
        for level, scale in zip(levels, self.scales, strict=True):
            x = self.tower(level)
            logits.append(self.objectness(x).flatten(1))
            # Half types are too coarse for coordinates.
            logarithm = (scale * self.distances(x).to(centres.dtype)).clamp(max=MAX_LOG_DISTANCE)
            distances.append(logarithm.exp().flatten(2).transpose(1, 2))
        reach = torch.cat(distances, dim=1) * cells.repeat(1, 2)
        boxes = torch.cat((centres - reach[..., :2], centres + reach[..., 2:]), dim=-1)
        return DenseOutput(logits=torch.cat(logits, dim=1), boxes=boxes, centres=centres, cells=cells)


def picture_cells(levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Centres and sides of the cells of all levels, both ``(S, 2)`` x, y as shares of the picture."""
    shapes = tuple((level.shape[-2], level.shape[-1]) for level in levels)
    dtype = torch.promote_types(levels[0].dtype, torch.float32)
    grids = cell_centres(shapes, dtype=dtype, device=levels[0].device)
    sides = [
        grid.new_tensor((1 / width, 1 / height)).expand_as(grid)
        for grid, (height, width) in zip(grids, shapes, strict=True)
    ]
    cells = torch.cat(sides)
    return torch.cat(grids) * cells, cells


@torch.no_grad()
def select_cells(output: DenseOutput, count: int, *, nms_iou: float) -> Tensor:
    """Choose cells that do not repeat each other.

    Args:
        output: What the cells say.
        count: Cells wanted.
        nms_iou: A box that overlaps a better one by more comes behind all others.

    Returns:
        ``(N, min(count, S))`` int64 cells: the best that repeat no other, then the best of the rest.
    """
    batch, total = output.logits.shape
    count = min(count, total)
    pool = min(total, NMS_POOL * count)
    scores, cells = output.logits.float().topk(pool, dim=1)
    boxes = output.boxes.float().gather(1, cells[..., None].expand(-1, -1, 4)).clamp(0, 1)
    # Pictures stand two sides apart, so that one call serves them all.
    apart = boxes + 2 * torch.arange(batch, device=boxes.device)[:, None, None]
    repeated = torch.ones(batch * pool, dtype=torch.bool, device=boxes.device)
    # Half of the time of loading a model would be this import, which most tasks do without.
    from torchvision.ops import nms

    repeated[nms(apart.flatten(0, 1), scores.flatten(), nms_iou)] = False
    order = repeated.view(batch, pool).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]
    return cells.gather(1, order)
