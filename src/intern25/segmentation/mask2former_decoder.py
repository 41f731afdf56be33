# SPDX-License-Identifier: MIT
"""Transformer decoder of Mask2Former: queries that look only where their own last mask was."""

# N batch, Q queries, C channels, h w cells of a level

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from intern25.layers.attention import ResidualAttention, ResidualFeedForward
from intern25.layers.convolution import resize
from intern25.layers.mlp import MLP
from intern25.layers.pixel_decoder import LEVELS, flat_position
from intern25.segmentation.config import Mask2FormerConfig


class QueryPredictions(NamedTuple):
    """What the queries say after one layer."""

    class_logits: Tensor
    """``(N, Q, num_classes + 1)``; the last is "no object"."""
    mask_logits: Tensor
    """``(N, Q, H/4, W/4)``."""


class MaskedDecoderLayer(nn.Module):
    """Masked cross-attention, self-attention, feed-forward; each with residual and LayerNorm after it."""

    def __init__(self, channels: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.cross_attention = ResidualAttention(channels, heads)
        self.self_attention = ResidualAttention(channels, heads)
        self.feedforward = ResidualFeedForward(channels, feedforward)

    def forward(
        self, queries: Tensor, query_position: Tensor, keys: Tensor, key_position: Tensor, blocked: Tensor
    ) -> Tensor:
        """Same shape as ``queries``, ``(N, Q, C)``; ``blocked`` is ``(N * heads, Q, h * w)``."""
        queries = self.cross_attention(queries, query_position, keys, key_position, blocked=blocked)
        queries = self.self_attention(queries, query_position)
        return cast(Tensor, self.feedforward(queries))


class MaskedDecoder(nn.Module):
    """Queries to classes and masks.

    Args:
        config: Widths and depths.

    Source:
        Mask2Former, arXiv:2112.01527, section 3.2.
    """

    def __init__(self, config: Mask2FormerConfig) -> None:
        super().__init__()
        channels = config.channels
        self.heads = config.heads
        self.query_features = nn.Embedding(config.num_queries, channels)
        self.query_position = nn.Embedding(config.num_queries, channels)
        self.level_embedding = nn.Embedding(LEVELS, channels)
        self.layers = nn.ModuleList(
            MaskedDecoderLayer(channels, config.heads, config.decoder_feedforward)
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.classifier = nn.Linear(channels, config.num_classes + 1)
        self.mask_embedding = MLP(channels, channels, channels, 3)

    def forward(
        self, mask_features: Tensor, levels: Sequence[Tensor], *, every_layer: bool = False
    ) -> list[QueryPredictions]:
        """Predict.

        Args:
            mask_features: ``(N, C, H/4, W/4)``.
            levels: ``(N, C, h, w)`` at 1/32, 1/16 and 1/8.
            every_layer: Return the predictions before the first and after each layer, for the losses.

        Returns:
            Predictions, the last layer's last.
        """
        batch = mask_features.shape[0]
        keys = [
            level.flatten(2).transpose(1, 2) + embedding
            for level, embedding in zip(levels, self.level_embedding.weight, strict=True)
        ]
        positions = [flat_position(level) for level in levels]
        # Resizing is linear: the masks of a level come from resized features, far cheaper than resized masks.
        coarse_features = [resize(mask_features, (level.shape[-2], level.shape[-1])) for level in levels]
        queries = self.query_features.weight.expand(batch, -1, -1)
        query_position = self.query_position.weight
        predictions = []
        for index, layer in enumerate(self.layers):
            if every_layer:
                predictions.append(self._predict(queries, mask_features))
            level = index % LEVELS
            blocked = self._blocked(queries, coarse_features[level])
            queries = layer(queries, query_position, keys[level], positions[level], blocked)
        predictions.append(self._predict(queries, mask_features))
        return predictions

    def _predict(self, queries: Tensor, mask_features: Tensor) -> QueryPredictions:
        queries = self.norm(queries)
        return QueryPredictions(self.classifier(queries), self._masks(queries, mask_features))

    def _masks(self, normalised: Tensor, features: Tensor) -> Tensor:
        """Product of each query's mask embedding with the features at each cell, ``(N, Q, h, w)``."""
        height, width = features.shape[-2:]
        products = torch.bmm(self.mask_embedding(normalised), features.flatten(2))
        return products.view(*products.shape[:2], height, width)

    @torch.no_grad()
    def _blocked(self, queries: Tensor, features: Tensor) -> Tensor:
        """Cells outside each query's mask, ``(N * heads, Q, h * w)``; a query without any cell sees all."""
        outside = self._masks(self.norm(queries), features).flatten(2) < 0
        outside &= ~outside.all(dim=-1, keepdim=True)
        return outside.repeat_interleave(self.heads, dim=0)
