# SPDX-License-Identifier: MIT
"""The encoder of Uni-Perceiver and Uni-Perceiver-MoE, as the published weights need it.

The generalist of this package is another network; this one is here for the authors' files alone.
"""

# N samples, F frames, G cells of a side, L tokens of a segment, S tokens of all segments, d width

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.generalist.attributes import Attributes
from intern25.generalist.decoder import Segment
from intern25.generalist.experts import DenseLinear, ExpertLinear, Gates, Router
from intern25.generalist.visibility import visibility
from intern25.layers.dot_product import attend

SPE_ID, END_ID = 49410, 49407
"""``<|spe|>``, the last token, and ``<|endoftext|>`` of CLIP's byte pairs with three more tokens."""
FAMILIES = (
    "img_cls", "video_cls", "text_mlm", "text_caption", "caption", "mlm", "retrieve", "tqa_mlm",
    "tqa_caption", "tqa_retrieve", "downstream",
)  # fmt: skip
"""Task families, each with a temperature of its own, as the authors abbreviate them."""
HEAD_WIDTH = 64
"""Channels of an attention head, in every size."""
_LARGEST_SCALE = 100.0
_INITIAL_SCALE = 1 / 0.07
_INITIAL_LAYER_SCALE = 1e-3
_INITIAL_DEVIATION = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class UniPerceiverConfig:
    """Sizes of one encoder."""

    width: int
    """Channels ``d`` of a token."""
    layers: int
    """Transformer layers."""
    heads: int
    """Attention heads; must divide ``width``."""
    feedforward: int
    """Hidden width of the feed-forward parts."""
    experts: int = 0
    """Experts of the linear layers of every second layer, from the first; 0 = none."""
    active_experts: int = 2
    """Experts that are merged for one attribute vector."""
    vocabulary: int = 49411
    """Tokens, special ones included."""
    text_positions: int = 512
    """Most tokens of a text."""
    grid: int = 14
    """Patches of a side of a picture."""
    patch: int = 16
    """Pixels of a side of a patch."""
    frames: int = 8
    """Most frames of a video."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide width={self.width}")


UNI_PERCEIVER_BASE = UniPerceiverConfig(width=768, layers=12, heads=12, feedforward=3072)
UNI_PERCEIVER_LARGE = UniPerceiverConfig(width=1024, layers=24, heads=16, feedforward=4096)
UNI_PERCEIVER_MOE_BASE = UniPerceiverConfig(width=768, layers=12, heads=12, feedforward=3072, experts=8)
UNI_PERCEIVER_MOE_LARGE = UniPerceiverConfig(width=1024, layers=24, heads=16, feedforward=4096, experts=8)


class UniPerceiverLayer(nn.Module):
    r"""Attention and feed-forward part, pre-norm, with LayerScale, with or without experts.

    .. math:: x' = x + \gamma_1 W_o\,\mathrm{MHA}(W_{qkv} N_1(x)), \qquad
        y = x' + \gamma_2 W_2\,\mathrm{GELU}(W_1 N_2(x'))

    Convention: with experts, the projections of queries, keys and values and the one behind them share a
    choice of experts, the two of the feed-forward part another.

    Args:
        config: Sizes of the encoder.
        routed: Whether the layer has experts.
    """

    def __init__(self, config: UniPerceiverConfig, *, routed: bool) -> None:
        super().__init__()
        width = config.width
        linear = partial(ExpertLinear, experts=config.experts) if routed else DenseLinear
        router = partial(Router, width, config.experts, config.active_experts)
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_router = router() if routed else None
        self.qkv = linear(width, 3 * width)
        self.out = linear(width, width)
        self.attention_scale = nn.Parameter(torch.full((width,), _INITIAL_LAYER_SCALE))
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward_router = router() if routed else None
        self.fc1 = linear(width, config.feedforward)
        self.fc2 = linear(config.feedforward, width)
        self.feedforward_scale = nn.Parameter(torch.full((width,), _INITIAL_LAYER_SCALE))

    def forward(
        self, tokens: Sequence[Tensor], attributes: Sequence[Attributes], mask: Tensor | None = None
    ) -> list[Tensor]:
        """Update the tokens ``(N, L, d)`` of all segments; ``mask`` is True where a token may look."""
        attention = [_gates(self.attention_router, group) for group in attributes]
        feedforward = [_gates(self.feedforward_router, group) for group in attributes]
        groups = list(zip(tokens, attention, strict=True))
        qkv = torch.cat([self.qkv.merged(gates)(self.attention_norm(x)) for x, gates in groups], dim=1)
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        attended = attend(query, key, value, mask).transpose(1, 2).flatten(2)
        parts = attended.split([x.shape[1] for x in tokens], dim=1)
        middle = [
            x + self.attention_scale * self.out.merged(gates)(part)
            for (x, gates), part in zip(groups, parts, strict=True)
        ]
        return [self._feed_forward(x, gates) for x, gates in zip(middle, feedforward, strict=True)]

    def _feed_forward(self, x: Tensor, gates: Gates | None) -> Tensor:
        hidden = F.gelu(self.fc1.merged(gates)(self.feedforward_norm(x)))
        return x + self.feedforward_scale * self.fc2.merged(gates)(hidden)


class UniPerceiverEncoder(nn.Module):
    r"""One transformer for pictures, videos and texts, and the read-out that compares them.

    .. math:: P(x, y) \propto \exp(s \cos(W N(f(x)_0), W N(f(y)_0))), \qquad s = \min(e^{t}, 100)

    Convention:
        - pictures are normalised with ImageNet's mean and deviation, after resizing the short side to 8/7 of
          ``grid * patch`` pixels, bicubic, and a centre crop.
        - a picture counts as a video of one frame: it gets the first frame's position too.
        - texts are lower-case CLIP byte pairs closed by :data:`END_ID`, without a token for their start.
        - ``<SPE>`` has neither position nor type, and stands in front of every input and target; its output
          represents them.
        - a text that is written sees the prefix and itself up to each place. What comes at place ``n`` is
          the output of a further ``<SPE>``, in a segment of its own, with the position ``n``.
        - attribute vectors are those of :mod:`intern25.generalist.routing`, whose first eight bits are the
          published ones. Without experts they change nothing.

    Args:
        config: Sizes.

    Example:
        >>> from intern25.generalist.routing import MATCHING
        >>> config = UniPerceiverConfig(width=64, layers=2, heads=1, feedforward=128, vocabulary=50)
        >>> encoder = UniPerceiverEncoder(config)
        >>> picture = Segment(
        ...     tokens=encoder.picture_tokens(torch.zeros(1, 3, 224, 224)), attributes=MATCHING.image
        ... )
        >>> encoder.embed(encoder([picture])[0][:, 0]).shape
        torch.Size([1, 64])

    Source:
        Uni-Perceiver, arXiv:2112.01522; Uni-Perceiver-MoE, arXiv:2206.04674.
    """

    def __init__(self, config: UniPerceiverConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.words = nn.Embedding(config.vocabulary, width)
        self.word_positions = nn.Embedding(config.text_positions, width)
        self.word_type = nn.Parameter(torch.zeros(width))
        self.word_norm = nn.LayerNorm(width)
        self.patches = nn.Conv2d(3, width, config.patch, stride=config.patch)
        self.cell_positions = nn.Embedding(config.grid**2, width)
        self.frame_positions = nn.Embedding(config.frames, width)
        self.picture_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            UniPerceiverLayer(config, routed=config.experts > 0 and index % 2 == 0)
            for index in range(config.layers)
        )
        self.output_norm = nn.LayerNorm(width)
        self.output_projection = nn.Linear(width, width)
        self.log_scale = nn.ParameterDict(
            {family: nn.Parameter(torch.tensor(math.log(_INITIAL_SCALE))) for family in FAMILIES}
        )
        for table in (self.words, self.word_positions, self.cell_positions, self.frame_positions):
            nn.init.trunc_normal_(table.weight, std=_INITIAL_DEVIATION)

    def picture_tokens(self, pictures: Tensor, *, special: bool = True) -> Tensor:
        """Tokens of pictures or videos.

        Args:
            pictures: ``(N, 3, H, W)``, or ``(N, F, 3, H, W)`` frames, normalised; both sides are
                ``grid * patch``.
            special: Put ``<SPE>`` in front.

        Returns:
            ``(N, [1 +] F * G * G, d)``.

        Raises:
            ValueError: The pictures have another size, or there are too many frames.
        """
        frames = pictures[:, None] if pictures.ndim == 4 else pictures
        side = self.config.grid * self.config.patch
        if frames.ndim != 5 or tuple(frames.shape[2:]) != (3, side, side):
            raise ValueError(
                f"pictures {tuple(pictures.shape)} must be (N, 3, {side}, {side}), or "
                f"(N, F, 3, {side}, {side}) for videos"
            )
        number = frames.shape[1]
        if not 1 <= number <= self.config.frames:
            raise ValueError(f"a video of {number} frames; give 1 to {self.config.frames}")
        cells = self.patches(frames.flatten(0, 1)).flatten(2).transpose(1, 2)
        cells = cells.unflatten(0, (-1, number)) + self.cell_positions.weight
        cells = cells + self.frame_positions.weight[:number, None]
        tokens = cast(Tensor, self.picture_norm(cells.flatten(1, 2)))
        return self._with_special(tokens) if special else tokens

    def text_tokens(self, ids: Tensor, *, positions: Tensor | None = None, special: bool = True) -> Tensor:
        """Tokens of texts.

        Args:
            ids: ``(N, L)`` int64.
            positions: ``(L,)`` or ``(N, L)`` int64 places; None for 0, 1, ...
            special: Put ``<SPE>`` in front; not for text that follows a picture in one input.

        Returns:
            ``(N, [1 +] L, d)``.

        Raises:
            ValueError: The texts are too long.
        """
        if ids.shape[1] > self.config.text_positions:
            raise ValueError(f"a text of {ids.shape[1]} tokens; give {self.config.text_positions} at most")
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.word_norm(self.words(ids) + self.word_positions(positions) + self.word_type)
        return self._with_special(tokens) if special else tokens

    def forward(self, segments: Sequence[Segment]) -> list[Tensor]:
        """Let the tokens of all segments attend to one another.

        Args:
            segments: Parts of the input in order; ``<SPE>`` belongs to the first.

        Returns:
            One ``(N, L, d)`` a segment; those of absent tokens mean nothing.

        Raises:
            ValueError: There is no segment.
        """
        if not segments:
            raise ValueError("the encoder needs at least one segment")
        tokens = [segment.tokens for segment in segments]
        mask = visibility(
            [x.shape[1] for x in tokens],
            [segment.causal for segment in segments],
            _present(segments),
            device=tokens[0].device,
        )
        attributes = [segment.attributes for segment in segments]
        for layer in self.layers:
            tokens = layer(tokens, attributes, mask)
        return tokens

    def embed(self, states: Tensor) -> Tensor:
        """Turn outputs ``(..., d)`` into embeddings ``(..., d)`` of length 1."""
        return F.normalize(self.output_projection(self.output_norm(states)), dim=-1)

    def logits(self, x: Tensor, y: Tensor, family: str) -> Tensor:
        """Logits ``(N, M)`` of embeddings of inputs ``(N, d)`` over those of targets ``(M, d)``.

        Raises:
            ValueError: There is no such family.
        """
        if family not in self.log_scale:
            raise ValueError(f"there is no task family {family!r}; there are {', '.join(FAMILIES)}")
        return cast(Tensor, self.log_scale[family].exp().clamp(max=_LARGEST_SCALE)) * (x @ y.mT)

    def _with_special(self, tokens: Tensor) -> Tensor:
        # The last token of the vocabulary.
        special = self.word_norm(self.words.weight[-1])
        return torch.cat((special.expand(tokens.shape[0], 1, -1), tokens), dim=1)


def _gates(router: nn.Module | None, attributes: Attributes) -> Gates | None:
    return None if router is None else cast(Gates, router(attributes))


def _present(segments: Sequence[Segment]) -> Tensor | None:
    """``(N, S)`` presence of the tokens of all segments; None where all are present."""
    if all(segment.present is None for segment in segments):
        return None
    everywhere = [torch.ones_like(segment.tokens[..., 0], dtype=torch.bool) for segment in segments]
    given = [segment.present for segment in segments]
    return torch.cat([e if p is None else p for e, p in zip(everywhere, given, strict=True)], dim=1)
