# SPDX-License-Identifier: MIT
"""Transformer decoder whose queries look at a feature pyramid and move their boxes layer by layer."""

# N batch, S cells of all levels, L levels, Q queries, C channels

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from intern25.layers.attention import ResidualAttention, build_feedforward
from intern25.layers.boxes import inverse_sigmoid
from intern25.layers.deformable_encoder import SpatialShapes
from intern25.layers.mlp import MLP
from intern25.layers.sine_embedding import sine_box_embedding
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

PRIOR_PROBABILITY = 0.01
"""Score of every class at initialisation."""


class MemoryLayout(Protocol):
    """How the cells of the levels stand in the memory."""

    @property
    def spatial_shapes(self) -> SpatialShapes:
        """(height, width) of every level."""

    @property
    def valid_ratios(self) -> Tensor:
        """``(N, L, 2)`` un-padded share of width and height; N may be 1."""

    @property
    def padding_mask(self) -> Tensor | None:
        """``(N, S)`` bool, True where padded; None without padding."""


@dataclass(frozen=True, slots=True, eq=False)
class WholeMaps:
    """Layout of levels without padding."""

    spatial_shapes: SpatialShapes
    """(height, width) of every level."""
    valid_ratios: Tensor
    """``(1, L, 2)`` ones."""
    padding_mask: None = None
    """Nothing is padded."""

    @classmethod
    def of(cls, spatial_shapes: SpatialShapes, like: Tensor) -> WholeMaps:
        """Layout in the place of ``like``."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        return cls(spatial_shapes, torch.ones((1, len(spatial_shapes), 2), dtype=dtype, device=like.device))


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """What every layer of a decoder says."""

    states: list[Tensor]
    """``(N, Q, C)`` normalised queries behind each layer."""
    boxes: list[Tensor]
    """``(N, Q, 4)`` boxes of each layer, to be supervised."""
    starts: list[Tensor]
    """``(N, Q, 4)`` boxes each layer started from, and the last one's."""


def class_head(channels: int, num_classes: int) -> nn.Linear:
    """Linear classifier whose scores start at :data:`PRIOR_PROBABILITY`."""
    head = nn.Linear(channels, num_classes)
    nn.init.constant_(head.bias, -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY))
    return head


def box_head(channels: int) -> MLP:
    """MLP of the change of a box; starts at no change."""
    head = MLP(channels, channels, 4, 3)
    last = cast(nn.Linear, head.layers[-1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return head


class DeformableDecoderLayer(nn.Module):
    """Self-attention of the queries, deformable attention to the memory, feed-forward; post-norm.

    Args:
        channels: Width of queries and memory.
        heads: Attention heads.
        levels: Levels of the memory.
        points: Sampling points per head and level.
        feedforward: Hidden width of the feed-forward part.
        feedforward_slices: Slices of the hidden width.
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
        self.self_attention = ResidualAttention(channels, heads)
        self.cross_attention = MultiScaleDeformableAttention(
            channels, heads=heads, levels=levels, points=points
        )
        self.cross_norm = nn.LayerNorm(channels)
        self.feedforward = build_feedforward(channels, feedforward, feedforward_slices)

    def forward(
        self,
        queries: Tensor,
        position: Tensor,
        references: Tensor,
        memory: Tensor,
        layout: MemoryLayout,
        blocked: Tensor | None,
    ) -> Tensor:
        """Same shape as ``queries``, ``(N, Q, C)``; ``references`` are ``(N, Q, L, 4)`` boxes."""
        queries = self.self_attention(queries, position, blocked=blocked)
        attended = self.cross_attention(
            queries + position,
            references,
            memory,
            layout.spatial_shapes,
            padding_mask=layout.padding_mask,
        )
        return cast(Tensor, self.feedforward(self.cross_norm(queries + attended)))


class DeformableDecoder(nn.Module):
    """Decoder layers, each of which moves the boxes of the queries; its children add what queries say.

    A layer's box is the change it predicts added to the boxes before it in logit space. The next layer
    attends with that box cut off from the gradient, but the next layer's loss reaches back through it: look
    forward twice.

    Args:
        channels: Width of queries and memory.
        heads: Attention heads.
        levels: Levels of the memory.
        points: Sampling points per head and level.
        feedforward: Hidden width of the feed-forward parts.
        feedforward_slices: Slices of the hidden width.
        layers: Number of layers.

    Source:
        DINO, arXiv:2203.03605, section 3.5.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        levels: int,
        points: int,
        feedforward: int,
        feedforward_slices: int = 1,
        layers: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DeformableDecoderLayer(channels, heads, levels, points, feedforward, feedforward_slices)
            for _ in range(layers)
        )
        self.position = MLP(2 * channels, channels, channels, 2)
        self.norm = nn.LayerNorm(channels)

    def refine(
        self,
        queries: Tensor,
        references: Tensor,
        memory: Tensor,
        layout: MemoryLayout,
        blocked: Tensor | None,
        *,
        box_heads: Iterable[nn.Module],
    ) -> Refined:
        """Decode.

        Args:
            queries: ``(N, Q, C)`` content.
            references: ``(N, Q, 4)`` boxes in [0, 1] (centre x, centre y, width, height).
            memory: ``(N, S, C)`` encoded tokens.
            layout: Layout of the memory.
            blocked: ``(Q, Q)`` bool, True where a query must not see another.
            box_heads: One a layer, from states to the change of the box.
        """
        ratios = torch.cat((layout.valid_ratios, layout.valid_ratios), dim=-1)[:, None]
        width = queries.shape[-1] // 2
        states, boxes, starts = [], [], [references]
        for layer, predict_change in zip(self.layers, box_heads, strict=True):
            padded_references = references[:, :, None] * ratios
            embedding = sine_box_embedding(padded_references[:, :, 0], width)
            position = self.position(embedding.to(queries.dtype))
            queries = layer(queries, position, padded_references, memory, layout, blocked)
            states.append(self.norm(queries))
            boxes.append((predict_change(states[-1]) + inverse_sigmoid(starts[-1])).sigmoid())
            moved = (predict_change(queries) + inverse_sigmoid(references)).sigmoid()
            starts.append(moved)
            references = moved.detach()
        return Refined(states, boxes, starts)
