# SPDX-License-Identifier: MIT
"""Transformer encoder over the cells of all levels, by multi-scale deformable attention.

The encoder of Deformable DETR: DINO's encoder and the pixel decoder of Mask2Former.
"""

# N batch, S cells of all levels, L levels, C channels

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from intern25.layers.attention import build_feedforward
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

SpatialShapes = tuple[tuple[int, int], ...]
"""(height, width) of every level."""


class DeformableEncoderLayer(nn.Module):
    """Deformable self-attention, LayerNorm, feed-forward, LayerNorm; residual, without dropout.

    Args:
        channels: Width of the tokens.
        heads: Attention heads.
        levels: Levels of the maps.
        points: Sampling points per head and level.
        feedforward: Hidden width of the feed-forward part.
        feedforward_slices: Slices of the hidden width, see :class:`ResidualSlicedFeedForward`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        levels: int,
        points: int,
        feedforward: int,
        feedforward_slices: int = 1,
    ) -> None:
        super().__init__()
        self.attention = MultiScaleDeformableAttention(channels, heads=heads, levels=levels, points=points)
        self.norm = nn.LayerNorm(channels)
        self.feedforward = build_feedforward(channels, feedforward, feedforward_slices)

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        spatial_shapes: SpatialShapes,
        reference_points: Tensor,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Same shape as ``tokens``, see :meth:`DeformableEncoder.forward`."""
        attended = self.attention(
            tokens + position, reference_points, tokens, spatial_shapes, padding_mask=padding_mask
        )
        return cast(Tensor, self.feedforward(self.norm(tokens + attended)))


class DeformableEncoder(nn.Module):
    """Encoder layers in a row.

    Args:
        channels: Width of the tokens.
        heads: Attention heads.
        levels: Levels of the maps.
        points: Sampling points per head and level.
        feedforward: Hidden width of the feed-forward parts.
        feedforward_slices: Slices of the hidden width.
        layers: Number of layers.

    Source:
        Deformable DETR, arXiv:2010.04159, section 4.1.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        heads: int = 8,
        levels: int = 4,
        points: int = 4,
        feedforward: int = 2048,
        feedforward_slices: int = 1,
        layers: int = 6,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DeformableEncoderLayer(channels, heads, levels, points, feedforward, feedforward_slices)
            for _ in range(layers)
        )
        self.grad_checkpointing = False

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        spatial_shapes: SpatialShapes,
        reference_points: Tensor,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Encode the cells of all levels.

        Args:
            tokens: ``(N, S, C)`` cells, level after level, rows in order.
            position: ``(N, S, C)`` position and level embedding.
            spatial_shapes: (height, width) of every level; their products sum to S.
            reference_points: ``(N, S, L, 2)`` from :func:`encoder_reference_points`.
            padding_mask: ``(N, S)`` bool, True where padded.

        Returns:
            ``(N, S, C)``.
        """
        for layer in self.layers:
            arguments = (tokens, position, spatial_shapes, reference_points, padding_mask)
            if self.grad_checkpointing and torch.is_grad_enabled():
                tokens = cast(Tensor, checkpoint(layer, *arguments, use_reentrant=False))
            else:
                tokens = layer(*arguments)
        return tokens


def encoder_reference_points(spatial_shapes: SpatialShapes, valid_ratios: Tensor) -> Tensor:
    """Centre of every cell as a fraction of every level's padded map.

    Args:
        spatial_shapes: (height, width) of every level.
        valid_ratios: ``(N, L, 2)`` un-padded share of width and height.

    Returns:
        ``(N, S, L, 2)`` x, y: the centre relative to the un-padded area of its own level, times the
        un-padded share of each level.
    """
    centres = cell_centres(spatial_shapes, dtype=valid_ratios.dtype, device=valid_ratios.device)
    points = [
        centre[None] / (valid_ratios[:, level, None] * centre.new_tensor((width, height)))
        for level, (centre, (height, width)) in enumerate(zip(centres, spatial_shapes, strict=True))
    ]
    return torch.cat(points, dim=1)[:, :, None] * valid_ratios[:, None]


def cell_centres(
    spatial_shapes: SpatialShapes,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> list[Tensor]:
    """``(h * w, 2)`` x, y of the cell centres of every level in cells: 0.5, 1.5, ..."""
    centres = []
    for height, width in spatial_shapes:
        y = torch.arange(height, dtype=dtype, device=device) + 0.5
        x = torch.arange(width, dtype=dtype, device=device) + 0.5
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        centres.append(torch.stack((grid_x, grid_y), dim=-1).flatten(0, 1))
    return centres


def valid_ratios(masks: Sequence[Tensor], *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Un-padded share of every level's map.

    Args:
        masks: One ``(N, h, w)`` bool mask a level, True where padded, padding at right and bottom only.
        dtype: Type of the result.

    Returns:
        ``(N, L, 2)`` shares of width and height.
    """
    ratios = []
    for mask in masks:
        height, width = mask.shape[1:]
        rows = (~mask[:, :, 0]).sum(dim=1).to(dtype) / height
        columns = (~mask[:, 0, :]).sum(dim=1).to(dtype) / width
        ratios.append(torch.stack((columns, rows), dim=-1))
    return torch.stack(ratios, dim=1)
