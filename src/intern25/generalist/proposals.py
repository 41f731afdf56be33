# SPDX-License-Identifier: MIT
"""Class-agnostic proposals: what may be an object, where it is and which pixels it has.

Mask DINO with a binary classifier, whose queries come from dense proposals that many cells learn.
"""

# N batch, S cells of all levels, Q queries, P denoising queries, C channels, layers counts the initial one

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from intern25.generalist.config import ProposalConfig
from intern25.generalist.dense_proposals import DenseOutput, DenseProposals, select_cells
from intern25.generalist.proposal_denoising import NoisedProposals, noise_proposals
from intern25.generalist.proposal_targets import ProposalTargets
from intern25.layers.boxes import cells_inside, xyxy_to_cxcywh
from intern25.layers.deformable_decoder import DeformableDecoder, WholeMaps, box_head, class_head
from intern25.layers.denoising import PADDING, blocked_attention
from intern25.layers.mlp import MLP
from intern25.layers.pixel_decoder import LEVELS, PixelDecoder, unflatten_levels

OUTSIDE = -10.0
"""Logit of a mask outside its box."""
SELECTION_NMS = 0.8
"""IoU above which two cells propose the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerPredictions:
    """What queries say before the first and behind each decoder layer, the last one last."""

    objectness: Tensor
    """``(layers, N, Q)`` logits of the IoU of the box with an object, 0 for none."""
    boxes: Tensor
    """``(layers, N, Q, 4)`` centre x, centre y, width, height as shares of the picture."""
    mask_embeddings: Tensor
    """``(layers, N, Q, C)``, whose products with the mask features are the masks' logits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenoisingPredictions:
    """What the denoising queries say behind each decoder layer."""

    objectness: Tensor
    """``(layers - 1, N, P)``."""
    boxes: Tensor
    """``(layers - 1, N, P, 4)``."""
    queries: NoisedProposals
    """What they were made from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    r"""Proposals of a batch: :math:`\{q_{sem}, q_{box}, q_{mask}\}` and how likely each is an object.

    Convention: out of training the best comes first; in training the order is that of the selected cells.
    """

    semantic: Tensor
    """``(N, Q, C)`` content of the queries."""
    layers: LayerPredictions
    """Boxes, objectness and masks; the last layer's alone where no loss asks for the others."""
    mask_features: Tensor
    """``(N, C, H/4, W/4)``."""
    dense: DenseOutput
    """Dense proposals of all cells."""
    denoising: DenoisingPredictions | None = None
    """In training with targets."""

    @property
    def boxes(self) -> Tensor:
        """``(N, Q, 4)`` centre x, centre y, width, height as shares of the picture."""
        return self.layers.boxes[-1]

    @property
    def objectness(self) -> Tensor:
        """``(N, Q)`` logits of the IoU with an object: detection scores before the sigmoid."""
        return self.layers.objectness[-1]

    def mask_logits(self, indices: Tensor | None = None) -> Tensor:
        """Masks, made when they are asked for; nothing belongs to an object outside its box.

        Args:
            indices: ``(N, K)`` int64 queries; None = all.

        Returns:
            ``(N, K, H/4, W/4)``.
        """
        embeddings, boxes = self.layers.mask_embeddings[-1], self.boxes
        if indices is not None:
            embeddings, boxes = take_rows(embeddings, indices), take_rows(boxes, indices)
        size = self.mask_features.shape[2], self.mask_features.shape[3]
        products: Tensor = (embeddings @ self.mask_features.flatten(2)).unflatten(2, size)
        return products.masked_fill(~cells_inside(boxes, size), OUTSIDE)

    def best(self, count: int) -> Tensor:
        """``(N, min(count, Q))`` int64 queries of the highest objectness, best first."""
        return self.objectness.topk(min(count, self.objectness.shape[1]), dim=1).indices

    def select(self, indices: Tensor) -> Proposals:
        """Return the proposals ``indices`` ``(N, K)`` in this order."""
        pictures = torch.arange(len(indices), device=indices.device)[:, None]
        layers = LayerPredictions(
            objectness=self.layers.objectness[:, pictures, indices],
            boxes=self.layers.boxes[:, pictures, indices],
            mask_embeddings=self.layers.mask_embeddings[:, pictures, indices],
        )
        return replace(self, semantic=take_rows(self.semantic, indices), layers=layers)


class ProposalDecoder(DeformableDecoder):
    """Decoder layers that move boxes, and heads shared by all of them for objectness and masks.

    Args:
        config: Widths and depths.
    """

    def __init__(self, config: ProposalConfig) -> None:
        super().__init__(
            config.channels,
            heads=config.heads,
            levels=LEVELS,
            points=config.points,
            feedforward=config.feedforward,
            layers=config.decoder_layers,
        )
        self.box_heads = nn.ModuleList(box_head(config.channels) for _ in range(config.decoder_layers))
        self.objectness = class_head(config.channels, 1)
        self.mask_embedding = MLP(config.channels, config.channels, config.channels, 3)


class ProposalNetwork(nn.Module):
    """The region proposal network of the generalist.

    Convention:
        - pictures fill their batch: padding, where there is any, is part of the picture.
        - boxes are shares of the picture; ``objectness`` foretells the IoU of the box with an object.

    Args:
        config: Widths, depths and the number of queries.
        in_channels: Channels of the backbone's maps at 1/4, 1/8, 1/16 and 1/32.

    Example:
        >>> config = ProposalConfig(
        ...     channels=32, heads=4, points=2, encoder_layers=1, decoder_layers=2,
        ...     feedforward=64, num_queries=9, denoising=0,
        ... )
        >>> network = ProposalNetwork(config, [8, 16, 32, 64]).eval()
        >>> maps = [torch.zeros(1, 8 * 2**i, 32 // 2**i, 40 // 2**i) for i in range(4)]
        >>> proposals = network(maps)
        >>> proposals.boxes.shape, proposals.mask_logits(proposals.best(3)).shape
        (torch.Size([1, 9, 4]), torch.Size([1, 3, 32, 40]))

    Source:
        Mask DINO, arXiv:2206.02777; binary classifier: Uni-Perceiver v2, arXiv:2211.09808, section 3.1.
    """

    def __init__(self, config: ProposalConfig, in_channels: Sequence[int]) -> None:
        super().__init__()
        channels = config.channels
        self.num_denoising = config.denoising
        self.pixel_decoder = PixelDecoder(
            in_channels,
            channels,
            heads=config.heads,
            points=config.points,
            feedforward=config.feedforward,
            layers=config.encoder_layers,
        )
        self.dense = DenseProposals(channels, levels=LEVELS)
        self.content_projection = nn.Linear(channels, channels)
        self.content = nn.Parameter(torch.empty(config.num_queries, channels))
        self.denoising_content = nn.Parameter(torch.empty(channels)) if config.denoising else None
        self.decoder = ProposalDecoder(config)
        nn.init.trunc_normal_(self.content, std=0.02)
        if self.denoising_content is not None:
            nn.init.trunc_normal_(self.denoising_content, std=0.02)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the encoder's layers in the backward pass."""
        self.pixel_decoder.encoder.grad_checkpointing = enable

    def forward(
        self,
        maps: Sequence[Tensor],
        targets: Sequence[ProposalTargets] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Proposals:
        """Propose.

        Args:
            maps: Maps of the backbone at 1/4, 1/8, 1/16 and 1/32.
            targets: Objects of every picture, of which noised copies are made in training. With targets the
                predictions of all layers are kept, for the losses.
            generator: Source of the noise on the maps' device; None = the global one.

        Raises:
            ValueError: There is not one target a picture.
        """
        if targets is not None and len(targets) != len(maps[0]):
            raise ValueError(f"got {len(targets)} targets for {len(maps[0])} pictures")
        memory, shapes = self.pixel_decoder.encode(maps)
        levels = unflatten_levels(memory, shapes)
        dense = self.dense(levels)
        cells = select_cells(dense, len(self.content), nms_iou=SELECTION_NMS)
        queries = self.content_projection(take_rows(memory, cells)) + self.content[: cells.shape[1]]
        boxes = xyxy_to_cxcywh(take_rows(dense.boxes, cells).clamp(0, 1))
        noised = None
        if targets is not None and self.training and self.num_denoising > 0:
            noised = noise_proposals(
                targets, boxes.detach(), num_denoising=self.num_denoising, generator=generator
            )
        every_layer = self.training or targets is not None
        states, found = self._decode(queries, boxes, noised, memory, WholeMaps.of(shapes, memory))
        count = 0 if noised is None else noised.noised.count
        first = 0 if every_layer else -1
        initial = [self.decoder.norm(queries), *(state[:, count:] for state in states)]
        own = torch.stack(initial[first:])
        all_boxes = torch.stack([boxes, *(box[:, count:] for box in found)][first:])
        proposals = Proposals(
            semantic=own[-1],
            layers=LayerPredictions(
                objectness=self.decoder.objectness(own)[..., 0],
                boxes=all_boxes,
                mask_embeddings=self.decoder.mask_embedding(own),
            ),
            mask_features=self.pixel_decoder.refine(maps[0], levels[-1]),
            dense=dense,
            denoising=None if noised is None else self._denoised(states, found, noised),
        )
        return proposals if self.training else proposals.select(proposals.best(cells.shape[1]))

    def _decode(
        self,
        queries: Tensor,
        boxes: Tensor,
        noised: NoisedProposals | None,
        memory: Tensor,
        layout: WholeMaps,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """States and boxes behind each layer, denoising queries first."""
        references, blocked = boxes.detach(), None
        if noised is not None and self.denoising_content is not None:
            # Also without any object: the vector must be part of the graph in every process.
            known = (noised.noised.labels != PADDING)[..., None]
            copies = (self.denoising_content * known).to(queries.dtype)
            blocked = blocked_attention(noised.noised, queries.shape[1])
            queries = torch.cat((copies, queries), dim=1)
            references = torch.cat((noised.noised.references.sigmoid(), references), dim=1)
        refined = self.decoder.refine(
            queries, references, memory, layout, blocked, box_heads=self.decoder.box_heads
        )
        return refined.states, refined.boxes

    def _denoised(
        self, states: list[Tensor], boxes: list[Tensor], noised: NoisedProposals
    ) -> DenoisingPredictions:
        count = noised.noised.count
        own = torch.stack([state[:, :count] for state in states])
        return DenoisingPredictions(
            objectness=self.decoder.objectness(own)[..., 0],
            boxes=torch.stack([box[:, :count] for box in boxes]),
            queries=noised,
        )


def take_rows(values: Tensor, indices: Tensor) -> Tensor:
    """Rows ``indices`` ``(N, K)`` of ``(N, Q, channels)``."""
    return values.gather(1, indices[..., None].expand(-1, -1, values.shape[-1]))
