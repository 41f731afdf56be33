# SPDX-License-Identifier: MIT
"""Transformer of DINO: tokens of all levels, selection of the queries' boxes, decoder that refines them."""

# N batch, S cells of all levels, L levels, Q queries, C channels, K classes

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.detection.dino_config import DINOConfig
from intern25.layers.deformable_decoder import DeformableDecoder, box_head, class_head
from intern25.layers.deformable_encoder import (
    SpatialShapes,
    cell_centres,
    encoder_reference_points,
    valid_ratios,
)
from intern25.layers.sine_embedding import sine_position_embedding

POSITION_TEMPERATURE = 20.0
"""Temperature of the sine embedding of the cells."""
PROPOSAL_SIDE = 0.05
"""Side of the first level's proposals as a share of the picture; doubles from level to level."""
PROPOSAL_BORDER = 0.01
"""Proposals whose centre or side is closer to 0 or 1 are left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """Cells of all levels, one level after another, rows in order."""

    content: Tensor
    """``(N, S, C)``."""
    position: Tensor
    """``(N, S, C)`` embedding of place and level."""
    padding_mask: Tensor
    """``(N, S)`` bool, True where padded."""
    spatial_shapes: SpatialShapes
    """(height, width) of every level."""
    valid_ratios: Tensor
    """``(N, L, 2)`` un-padded share of width and height."""

    @property
    def reference_points(self) -> Tensor:
        """``(N, S, L, 2)`` centre of every cell on every level."""
        return encoder_reference_points(self.spatial_shapes, self.valid_ratios)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """The cells chosen as object queries."""

    logits: Tensor
    """``(N, Q, K)`` class logits."""
    references: Tensor
    """``(N, Q, 4)`` logits of centre x, centre y, width, height."""
    indices: Tensor
    """``(N, Q)`` int64 cells, best first."""


def coordinate_dtype(x: Tensor) -> torch.dtype:
    """Type of coordinates: half types are too coarse for them."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def flatten_levels(maps: Sequence[Tensor], level_embedding: Tensor, padding_mask: Tensor) -> Tokens:
    """Turn the neck's maps into tokens.

    Args:
        maps: One ``(N, C, h, w)`` a level.
        level_embedding: ``(L, C)``.
        padding_mask: ``(N, H, W)`` bool of the pictures, True where padded.
    """
    masks = [
        F.interpolate(padding_mask[:, None].float(), size=x.shape[2:], mode="nearest")[:, 0] > 0 for x in maps
    ]
    dtype = coordinate_dtype(maps[0])
    positions = []
    for x, mask, level in zip(maps, masks, level_embedding, strict=True):
        embedding = sine_position_embedding(
            mask, x.shape[1] // 2, temperature=POSITION_TEMPERATURE, dtype=dtype
        )
        positions.append(embedding.flatten(2).transpose(1, 2).to(x.dtype) + level)
    return Tokens(
        content=torch.cat([x.flatten(2).transpose(1, 2) for x in maps], dim=1),
        position=torch.cat(positions, dim=1),
        padding_mask=torch.cat([mask.flatten(1) for mask in masks], dim=1),
        spatial_shapes=tuple((x.shape[2], x.shape[3]) for x in maps),
        valid_ratios=valid_ratios(masks, dtype=dtype),
    )


class QuerySelection(nn.Module):
    """Mixed query selection: boxes of the best cells, content learned.

    Every cell proposes a box at its centre; the cells with the highest class logit become the initial boxes
    of the object queries. Their content comes from a table and not from the cells.

    Args:
        config: Architecture of the detector.

    Source:
        DINO, arXiv:2203.03605, section 3.4.
    """

    def __init__(self, config: DINOConfig) -> None:
        super().__init__()
        self.projection = nn.Linear(config.channels, config.channels)
        self.norm = nn.LayerNorm(config.channels)
        self.class_head = class_head(config.channels, config.num_classes)
        self.box_head = box_head(config.channels)
        self.content = nn.Parameter(torch.empty(config.num_queries, config.channels))
        nn.init.normal_(self.content)
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, memory: Tensor, tokens: Tokens) -> Selection:
        """Choose ``min(num_queries, S)`` cells of the encoded ``(N, S, C)`` memory."""
        logits, references = self.propose(memory, tokens)
        count = min(len(self.content), logits.shape[1])
        indices = logits.amax(dim=-1).topk(count, dim=1).indices
        return Selection(
            logits=_take(logits, indices), references=_take(references, indices), indices=indices
        )

    def propose(self, memory: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Class logits ``(N, S, K)`` and logits of boxes ``(N, S, 4)`` of every cell."""
        proposals, usable = cell_proposals(tokens)
        memory = self.norm(self.projection(memory.masked_fill(~usable[..., None], 0)))
        return self.class_head(memory), self.box_head(memory) + proposals


def cell_proposals(tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Box that every cell proposes.

    Returns:
        ``(N, S, 4)`` logits of centre x, centre y, width, height relative to the un-padded picture, infinite
        where unusable, and ``(N, S)`` bool, False for padded cells and for boxes at the border.
    """
    ratios = tokens.valid_ratios
    centres = cell_centres(tokens.spatial_shapes, dtype=ratios.dtype, device=ratios.device)
    proposals = []
    for level, (centre, (height, width)) in enumerate(zip(centres, tokens.spatial_shapes, strict=True)):
        # Whole numbers of un-padded cells.
        valid = (ratios[:, level, None] * ratios.new_tensor((width, height))).round()
        place = centre[None] / valid
        proposals.append(torch.cat((place, torch.full_like(place, PROPOSAL_SIDE * 2.0**level)), dim=-1))
    boxes = torch.cat(proposals, dim=1)
    inside = ((boxes > PROPOSAL_BORDER) & (boxes < 1 - PROPOSAL_BORDER)).all(dim=-1)
    usable = inside & ~tokens.padding_mask
    return torch.log(boxes / (1 - boxes)).masked_fill(~usable[..., None], math.inf), usable


def _take(values: Tensor, indices: Tensor) -> Tensor:
    """Rows ``indices`` ``(N, Q)`` of ``(N, S, channels)``."""
    return values.gather(1, indices[..., None].expand(-1, -1, values.shape[-1]))


class DINODecoder(DeformableDecoder):
    """Decoder layers, each of which classifies the queries and moves their boxes.

    Args:
        config: Architecture of the detector.

    Source:
        DINO, arXiv:2203.03605, section 3.5.
    """

    def __init__(self, config: DINOConfig) -> None:
        super().__init__(
            config.channels,
            heads=config.heads,
            levels=config.levels,
            points=config.points,
            feedforward=config.feedforward,
            feedforward_slices=config.feedforward_slices,
            layers=config.decoder_layers,
        )
        count = config.decoder_layers
        self.class_heads = nn.ModuleList(
            class_head(config.channels, config.num_classes) for _ in range(count)
        )
        self.box_heads = nn.ModuleList(box_head(config.channels) for _ in range(count))

    def forward(
        self,
        queries: Tensor,
        references: Tensor,
        memory: Tensor,
        tokens: Tokens,
        blocked: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode.

        Args:
            queries: ``(N, Q, C)`` content.
            references: ``(N, Q, 4)`` boxes in [0, 1] (centre x, centre y, width, height).
            memory: ``(N, S, C)`` encoded tokens.
            tokens: Layout of the memory.
            blocked: ``(Q, Q)`` bool, True where a query must not see another.

        Returns:
            Of every layer class logits ``(layers, N, Q, K)`` and boxes ``(layers, N, Q, 4)``, and the boxes
            each layer started from and the last one's, ``(layers + 1, N, Q, 4)``.
        """
        refined = self.refine(queries, references, memory, tokens, blocked, box_heads=self.box_heads)
        logits = [head(state) for head, state in zip(self.class_heads, refined.states, strict=True)]
        return torch.stack(logits), torch.stack(refined.boxes), torch.stack(refined.starts)
