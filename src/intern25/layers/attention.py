# SPDX-License-Identifier: MIT
"""Post-norm parts of a transformer layer: attention or MLP, residual, LayerNorm. No dropout."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.layers.dot_product import attend, fused_backward_is_slow


class ResidualAttention(nn.Module):
    r"""Multi-head attention as a post-norm residual, :math:`N(q + \mathrm{MHA}(q + p_q, k + p_k, k))`.

    Positions are added to queries and keys, never to values.

    Args:
        channels: Width of queries and keys.
        heads: Attention heads; must divide ``channels``.

    Example:
        >>> layer = ResidualAttention(256, 8)
        >>> queries, position = torch.zeros(2, 900, 256), torch.zeros(2, 900, 256)
        >>> layer(queries, position).shape
        torch.Size([2, 900, 256])
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform projections, zero biases."""
        nn.init.xavier_uniform_(self.attention.in_proj_weight)
        nn.init.xavier_uniform_(self.attention.out_proj.weight)
        nn.init.zeros_(self.attention.in_proj_bias)
        nn.init.zeros_(self.attention.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        query_position: Tensor,
        key: Tensor | None = None,
        key_position: Tensor | None = None,
        *,
        blocked: Tensor | None = None,
    ) -> Tensor:
        """Attend to ``key``, or to the queries themselves.

        Args:
            query: ``(N, Q, channels)``.
            query_position: Position of the queries, broadcastable to ``query``.
            key: ``(N, S, channels)``; None = self-attention.
            key_position: Position of the keys; with self-attention that of the queries.
            blocked: Bool, True where a query must not look: ``(Q, S)`` or ``(N * heads, Q, S)``.

        Returns:
            ``(N, Q, channels)``, normalised.
        """
        positioned = query + query_position
        if key is None:
            keys, value = positioned, query
        else:
            keys, value = key if key_position is None else key + key_position, key
        if fused_backward_is_slow(positioned, self.attention.in_proj_weight):
            return cast(Tensor, self.norm(query + self._attend(positioned, keys, value, blocked)))
        attended, _ = self.attention(positioned, keys, value, attn_mask=blocked, need_weights=False)
        return cast(Tensor, self.norm(query + attended))

    def _attend(self, query: Tensor, keys: Tensor, value: Tensor, blocked: Tensor | None) -> Tensor:
        """What ``self.attention`` computes, with the attention itself by :func:`attend`."""
        heads = self.attention.num_heads
        weights = self.attention.in_proj_weight.chunk(3)
        biases = self.attention.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(-1, (heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query, keys, value), weights, biases, strict=True)
        )
        if blocked is not None and blocked.ndim == 3:
            blocked = blocked.unflatten(0, (-1, heads))
        attended = attend(q, k, v, None if blocked is None else ~blocked)
        return cast(Tensor, self.attention.out_proj(attended.transpose(1, 2).flatten(2)))


class ResidualFeedForward(nn.Module):
    r"""Two linear layers as a post-norm residual, :math:`N(x + W_2 \mathrm{ReLU}(W_1 x))`.

    Args:
        channels: Width of the tokens.
        hidden_channels: Width between the layers.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden_channels)
        self.fc2 = nn.Linear(hidden_channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights, zero biases."""
        for linear in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(..., channels)``."""
        return cast(Tensor, self.norm(x + self.fc2(self.fc1(x).relu())))


class ResidualSlicedFeedForward(nn.Module):
    r"""The same function as :class:`ResidualFeedForward`, its hidden width in slices one after another.

    .. math:: N(x + b_2 + \sum_i W_{2i} \mathrm{ReLU}(W_{1i} x + b_{1i}))

    The slices are how the published InternImage-G detector stores its weights; kept apart, they convert
    both ways by names alone and only one slice of the hidden activations is alive at a time in inference.

    Args:
        channels: Width of the tokens.
        hidden_channels: Width between the layers.
        slices: Number of slices; must divide ``hidden_channels``.

    Raises:
        ValueError: ``slices`` does not divide ``hidden_channels``.
    """

    def __init__(self, channels: int, hidden_channels: int, slices: int) -> None:
        super().__init__()
        if hidden_channels % slices:
            raise ValueError(f"slices={slices} does not divide the hidden width {hidden_channels}")
        width = hidden_channels // slices
        self.fc1 = nn.ModuleList(nn.Linear(channels, width) for _ in range(slices))
        self.fc2 = nn.ModuleList(nn.Linear(width, channels, bias=False) for _ in range(slices))
        self.bias = nn.Parameter(torch.empty(channels))
        self.norm = nn.LayerNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights, zero biases."""
        for fc1, fc2 in zip(self.fc1, self.fc2, strict=True):
            nn.init.xavier_uniform_(cast(nn.Linear, fc1).weight)
            nn.init.zeros_(cast(nn.Linear, fc1).bias)
            nn.init.xavier_uniform_(cast(nn.Linear, fc2).weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(..., channels)``."""
        total = self.bias
        for fc1, fc2 in zip(self.fc1, self.fc2, strict=True):
            total = total + fc2(fc1(x).relu())
        return cast(Tensor, self.norm(x + total))


def build_feedforward(channels: int, hidden_channels: int, slices: int = 1) -> nn.Module:
    """Feed-forward part of a layer, whole or in slices."""
    if slices == 1:
        return ResidualFeedForward(channels, hidden_channels)
    return ResidualSlicedFeedForward(channels, hidden_channels, slices)
