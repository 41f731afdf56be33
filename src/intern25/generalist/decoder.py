# SPDX-License-Identifier: MIT
"""The unified decoder: one pre-norm transformer for the tokens of every modality and task."""

# N batch, L tokens of a segment, S tokens of all segments, T tokens that can be seen, d width

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.generalist.attributes import Attributes
from intern25.generalist.config import GeneralistConfig
from intern25.generalist.experts import DenseLinear, ExpertLinear, Gates, MergedLinear, Router
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.visibility import visibility
from intern25.layers.dot_product import attend


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Tokens of one kind: a picture's, a question's, a caption's."""

    tokens: Tensor
    """``(N, L, d)``."""
    attributes: Attributes
    """What they are; chooses their experts."""
    present: Tensor | None = None
    """``(N, L)`` bool, False where a token is padding; None where all are tokens."""
    causal: bool = False
    """Whether a token sees only those before it; else all that are not causal see one another."""

    def __post_init__(self) -> None:
        shape = tuple(self.tokens.shape)
        if len(shape) != 3:
            raise ValueError(f"the tokens of a segment have shape {shape}, expected (N, L, width)")
        present = self.present
        if present is not None and (tuple(present.shape) != shape[:2] or present.dtype != torch.bool):
            raise ValueError(
                f"present {tuple(present.shape)} of {present.dtype} must be bool and (N, L) = {shape[:2]}"
            )


class LayerWeights(NamedTuple):
    """The linear layers of one decoder layer as one attribute vector sees them."""

    qkv: MergedLinear
    out: MergedLinear
    fc1: MergedLinear
    fc2: MergedLinear


class DecoderLayer(nn.Module):
    r"""Attention and feed-forward part, pre-norm, with or without experts.

    .. math:: x' = x + W_o\,\mathrm{MHA}(W_{qkv} N_1(x)), \qquad y = x' + W_2\,\mathrm{GELU}(W_1 N_2(x'))

    With experts, attention and feed-forward part choose theirs apart; two linear layers share a choice.

    Convention: in evaluation without gradients, merged weights are kept for each attribute vector until
    a parameter is replaced, written in place or given a gradient, the mode is set, or the layer runs with
    gradients. Writing through ``.data`` goes unnoticed: call ``eval()`` after that.

    Args:
        config: Architecture of the generalist.
        routed: Whether the layer has experts.
    """

    def __init__(self, config: GeneralistConfig, *, routed: bool) -> None:
        super().__init__()
        width, hidden = config.width, config.feedforward
        routed = routed and config.experts > 1
        linear = partial(ExpertLinear, experts=config.experts) if routed else DenseLinear
        router = partial(Router, width, config.experts, config.active_experts)
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_router = router() if routed else None
        self.qkv = linear(width, 3 * width)
        self.out = linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward_router = router() if routed else None
        self.fc1 = linear(width, hidden)
        self.fc2 = linear(hidden, width)
        self._kept: tuple[tuple[Any, ...], dict[Attributes, LayerWeights]] = ((), {})

    def forward(
        self,
        tokens: Sequence[Tensor],
        attributes: Sequence[Attributes],
        mask: Tensor | None = None,
        present: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> list[Tensor]:
        """Update the tokens of all segments.

        Args:
            tokens: One ``(N, L, d)`` a segment.
            attributes: One a segment.
            mask: Bool, True where a token may look, broadcastable to ``(N, heads, S, T)``; None = everywhere.
            present: ``(N, S)`` bool, which the cache is told.
            cache: Keys and values of earlier calls; those of this call are added.
        """
        merged = {key: self.merged(key) for key in dict.fromkeys(attributes)}
        weights = [merged[key] for key in attributes]
        qkv = [w.qkv(self.attention_norm(x)) for w, x in zip(weights, tokens, strict=True)]
        attended = self._attend(_joined(qkv), mask, present, cache)
        parts = attended.split([x.shape[1] for x in tokens], dim=1)
        return [
            self._feed_forward(x + w.out(part), w) for x, part, w in zip(tokens, parts, weights, strict=True)
        ]

    def merged(self, attributes: Attributes) -> LayerWeights:
        """Weights for one attribute vector, merged at every call in training and kept in evaluation."""
        if self.attention_router is None or torch.compiler.is_compiling():
            return self._merge(attributes)
        if self.training or torch.is_grad_enabled() or any(p.grad is not None for p in self.parameters()):
            # An optimiser's step may come; fused ones write without counting up a parameter's version.
            self._kept = ((), {})
            return self._merge(attributes)
        state = self._state()
        if self._kept[0] != state:
            self._kept = (state, {})
        kept = self._kept[1]
        if attributes not in kept:
            kept[attributes] = self._merge(attributes)
        return kept[attributes]

    def train(self, mode: bool = True) -> Self:
        """Change the mode and forget merged weights."""
        self._kept = ((), {})
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": ((), {})}

    def _merge(self, attributes: Attributes) -> LayerWeights:
        attention = _gates(self.attention_router, attributes)
        feedforward = _gates(self.feedforward_router, attributes)
        return LayerWeights(
            qkv=self.qkv.merged(attention),
            out=self.out.merged(attention),
            fc1=self.fc1.merged(feedforward),
            fc2=self.fc2.merged(feedforward),
        )

    def _state(self) -> tuple[Any, ...]:
        """What merged weights depend on: changes when a parameter is replaced or written in place."""
        # Tensors made in inference mode have no version, and nothing writes them in place outside of it.
        versions = [(p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.parameters()]
        device = self.attention_norm.weight.device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        return (autocast, *versions)

    def _attend(
        self, qkv: Tensor, mask: Tensor | None, present: Tensor | None, cache: KeyValueCache | None
    ) -> Tensor:
        """Attention of ``(N, S, 3 d)`` queries, keys and values of all segments: ``(N, S, d)``."""
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            key, value, _ = cache.append(key, value, present)
        attended = attend(query, key, value, mask)
        return attended.transpose(1, 2).flatten(2)

    def _feed_forward(self, x: Tensor, weights: LayerWeights) -> Tensor:
        return x + weights.fc2(F.gelu(weights.fc1(self.feedforward_norm(x))))


class UnifiedDecoder(nn.Module):
    """Transformer that every modality and every task shares.

    Layers 0, 2, ... have experts. Segments that are not causal see one another; causal ones see those, the
    causal segments before them, and themselves up to each token's place: a prefix and the text after it.

    Args:
        config: Architecture of the generalist.

    Example:
        >>> from intern25.generalist.config import INTERN25_TINY
        >>> decoder = UnifiedDecoder(INTERN25_TINY).eval()
        >>> image = Segment(tokens=torch.zeros(2, 37, 192), attributes=Attributes.from_bits("11011000"))
        >>> words = Segment(
        ...     tokens=torch.zeros(2, 9, 192), attributes=Attributes.from_bits("11010101"), causal=True
        ... )
        >>> [tuple(states.shape) for states in decoder([image, words])]
        [(2, 37, 192), (2, 9, 192)]

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.1; experts in attention and feed-forward part as in
        Uni-Perceiver-MoE, arXiv:2206.04674.
    """

    def __init__(self, config: GeneralistConfig) -> None:
        super().__init__()
        self.width = config.width
        self.layers = nn.ModuleList(
            DecoderLayer(config, routed=index % 2 == 0) for index in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(
        self, segments: Sequence[Segment], caches: Sequence[KeyValueCache] | None = None
    ) -> list[Tensor]:
        """Let the tokens of all segments attend to one another.

        With caches, tokens also see all that is cached and present, and are added to it: what is not causal
        belongs into the first call, text may follow in calls of any length.

        Args:
            segments: Parts of the sequence, in order.
            caches: One a layer, from :meth:`new_caches`.

        Returns:
            One ``(N, L, d)`` a segment, normalised; those of absent tokens are finite and mean nothing.

        Raises:
            ValueError: Segments of other batches or widths, none at all, or a wrong number of caches.
        """
        self._check(segments, caches)
        present = _present(segments)
        mask = visibility(
            [segment.tokens.shape[1] for segment in segments],
            [segment.causal for segment in segments],
            present,
            past=caches[0].length if caches else 0,
            past_present=caches[0].present if caches else None,
            device=segments[0].tokens.device,
        )
        tokens = [segment.tokens for segment in segments]
        attributes = [segment.attributes for segment in segments]
        for index, layer in enumerate(self.layers):
            cache = caches[index] if caches else None
            tokens = layer(tokens, attributes, mask, present, cache)
        return [cast(Tensor, self.norm(x)) for x in tokens]

    def new_caches(self) -> list[KeyValueCache]:
        """Return one empty cache for each layer."""
        return [KeyValueCache() for _ in self.layers]

    def _check(self, segments: Sequence[Segment], caches: Sequence[KeyValueCache] | None) -> None:
        if not segments:
            raise ValueError("the decoder needs at least one segment")
        shapes = [tuple(segment.tokens.shape) for segment in segments]
        if len({shape[0] for shape in shapes}) > 1 or {shape[2] for shape in shapes} != {self.width}:
            raise ValueError(f"segments of shapes {shapes} must agree in N and have width {self.width}")
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(f"{len(caches)} caches for {len(self.layers)} layers; use new_caches()")


def _gates(router: nn.Module | None, attributes: Attributes) -> Gates | None:
    return None if router is None else cast(Gates, router(attributes))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _present(segments: Sequence[Segment]) -> Tensor | None:
    """``(N, S)`` presence of the tokens of all segments; None where all are present."""
    if all(segment.present is None for segment in segments):
        return None
    parts = [
        torch.ones(segment.tokens.shape[:2], dtype=torch.bool, device=segment.tokens.device)
        if segment.present is None
        else segment.present
        for segment in segments
    ]
    return _joined(parts)
