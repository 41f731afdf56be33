# SPDX-License-Identifier: MIT
"""Text core of our own: one transformer that reads whole texts and writes them token by token."""

# N texts, L tokens, S tokens with the cached ones, H heads, E channels of a head

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from intern25.generalist.config import TextConfig
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.text_core import cached_length, check_tokens
from intern25.generalist.visibility import visibility
from intern25.layers.dot_product import attend

_INIT_STD = 0.02


class TextTransformer(nn.Module):
    r"""Pre-norm transformer over token embeddings with learned positions.

    .. math:: x_0 = E_{ids} + P, \quad x' = x + \mathrm{MHA}(N(x)), \quad x'' = x' + \mathrm{MLP}(N(x'))

    Convention: a given text is read with ``causal=False``, a written one with ``causal=True``, by the same
    weights. Positions count places, so that padding takes positions too. No dropout.

    Args:
        config: Architecture.

    Example:
        >>> from intern25.generalist.config import INTERN25_TINY
        >>> core = TextTransformer(INTERN25_TINY.text)
        >>> ids = torch.tensor([[5, 6, 7]])
        >>> core(ids).shape
        torch.Size([1, 3, 192])
        >>> caches = core.new_caches()
        >>> parts = [core(ids[:, i : i + 1], causal=True, caches=caches) for i in range(3)]
        >>> torch.allclose(torch.cat(parts, 1), core(ids, causal=True), atol=1e-5)
        True

    Source:
        GELU MLP and pre-norm as in GPT-2; one network for prefix and continuation as in Uni-Perceiver,
        arXiv:2112.01522.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self._embedding = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Parameter(torch.empty(config.max_length, config.width))
        self.layers = nn.ModuleList(
            TextLayer(config.width, config.heads, config.feedforward) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.grad_checkpointing = False
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights; those that end a residual are smaller in a deeper network."""
        nn.init.trunc_normal_(self._embedding.weight, std=_INIT_STD)
        nn.init.trunc_normal_(self.position, std=_INIT_STD)
        last_std = _INIT_STD / (2 * max(1, self.config.layers)) ** 0.5
        for layer in self.layers:
            cast(TextLayer, layer).reset_parameters(last_std)

    @property
    def width(self) -> int:
        """Channels of a state."""
        return self.config.width

    @property
    def embedding(self) -> nn.Embedding:
        """Embeddings of the vocabulary."""
        return self._embedding

    def new_caches(self) -> list[KeyValueCache]:
        """Return one empty cache a layer."""
        return [KeyValueCache() for _ in self.layers]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute layers in the backward pass instead of keeping their activations."""
        self.grad_checkpointing = enable

    def forward(
        self,
        ids: Tensor,
        present: Tensor | None = None,
        *,
        causal: bool = False,
        start: int = 0,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """Encode tokens.

        Args:
            ids: ``(N, L)`` int64 tokens.
            present: ``(N, L)`` bool, False where a place is padding, which no other place then sees.
            causal: Each token sees itself and the ones before it; otherwise all see all.
            start: Position of the text's first token; these tokens come behind the cached ones.
            caches: Keys and values of the tokens before, one cache a layer; these tokens see them all and are
                added to them.

        Returns:
            ``(N, L, width)`` normalised states; those of padding mean nothing.

        Raises:
            ValueError: The text is longer than ``max_length``, or shapes do not fit.
        """
        check_tokens(ids, present)
        past = cached_length(caches, len(self.layers))
        x = self._embedding(ids) + self._positions(start + past, ids.shape[1])
        visible = visibility(
            [ids.shape[1]],
            [causal],
            present,
            past=past,
            past_present=caches[0].present if caches else None,
            device=ids.device,
        )
        for index, layer in enumerate(self.layers):
            if caches is not None:
                x = layer(x, visible, cache=caches[index], present=present)
            elif self.grad_checkpointing and torch.is_grad_enabled():
                x = cast(Tensor, checkpoint(layer, x, visible, use_reentrant=False))
            else:
                x = layer(x, visible)
        return cast(Tensor, self.norm(x))

    def _positions(self, start: int, length: int) -> Tensor:
        if start < 0 or start + length > self.config.max_length:
            raise ValueError(
                f"tokens at positions {start} .. {start + length - 1} do not fit into max_length="
                f"{self.config.max_length}; encode with max_length={self.config.max_length} or less"
            )
        return self.position[start : start + length]


class TextLayer(nn.Module):
    """Self-attention and MLP, each behind a LayerNorm and a residual.

    Args:
        width: Channels of the tokens.
        heads: Attention heads; must divide ``width``.
        feedforward: Hidden channels of the MLP.
    """

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, feedforward)
        self.fc2 = nn.Linear(feedforward, width)
        self.reset_parameters(_INIT_STD)

    def reset_parameters(self, last_std: float) -> None:
        """Normal weights, zero biases; ``last_std`` is that of the linears that end a residual."""
        stds = ((self.qkv, _INIT_STD), (self.fc1, _INIT_STD), (self.out, last_std), (self.fc2, last_std))
        for linear, std in stds:
            nn.init.trunc_normal_(linear.weight, std=std)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None = None,
        *,
        cache: KeyValueCache | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Encode tokens.

        Args:
            x: ``(N, L, width)``.
            visible: Bool, True where a token sees a token, broadcastable to ``(N, heads, L, S)``.
            cache: Keys and values of the tokens before.
            present: ``(N, L)`` bool, which the cache is told.

        Returns:
            ``(N, L, width)``.
        """
        x = x + self.out(self._attend(self.norm1(x), visible, cache, present))
        return cast(Tensor, x + self.fc2(F.gelu(self.fc1(self.norm2(x)))))

    def _attend(
        self, x: Tensor, visible: Tensor | None, cache: KeyValueCache | None, present: Tensor | None
    ) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # N L 3 H E
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()
        if cache is not None:
            key, value, _ = cache.append(key, value, present)
        attended = attend(query, key, value, visible)
        return attended.transpose(1, 2).flatten(2)
