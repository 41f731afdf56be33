# SPDX-License-Identifier: MIT
"""Architectures of the generalist, from tiny to giant."""

from __future__ import annotations

from dataclasses import dataclass

from intern25.backbones.internimage import (
    INTERNIMAGE_B,
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_T,
    InternImageConfig,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The text core of our own: a transformer over byte-level BPE tokens."""

    vocabulary: int
    """Tokens of the vocabulary, special ones included."""
    width: int
    """Channels of a token."""
    layers: int
    """Transformer layers."""
    heads: int
    """Attention heads; must divide ``width``."""
    feedforward: int
    """Hidden width of the feed-forward parts."""
    max_length: int
    """Most tokens of one text."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide the text core's width={self.width}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProposalConfig:
    """The class-agnostic proposal network: Mask DINO with a binary classifier."""

    channels: int
    """Channels of the pixel decoder's maps and of the queries."""
    heads: int
    """Attention heads; must divide ``channels``."""
    points: int
    """Sampling points per head and level of the deformable attention."""
    encoder_layers: int
    """Layers of deformable attention over the levels 1/8, 1/16 and 1/32."""
    decoder_layers: int
    """Layers that refine the queries."""
    feedforward: int
    """Hidden width of the feed-forward parts."""
    num_queries: int
    """Proposals of an image."""
    denoising: int
    """Noised copies of an image's objects that training adds; 0 = none, which small models do not miss."""

    def __post_init__(self) -> None:
        if self.channels % self.heads:
            raise ValueError(f"heads={self.heads} does not divide the proposals' channels={self.channels}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistConfig:
    """Architecture of one generalist."""

    backbone: InternImageConfig
    """Image encoder."""
    text: TextConfig
    """Text core."""
    proposals: ProposalConfig
    """Proposal network."""
    width: int
    """Channels ``d`` of the unified decoder's tokens, in which images and texts are compared."""
    layers: int
    """Layers of the unified decoder."""
    heads: int
    """Attention heads of the unified decoder; must divide ``width``."""
    feedforward: int
    """Hidden width of the unified decoder's feed-forward parts."""
    experts: int
    """Experts of every linear layer that has them."""
    active_experts: int
    """Experts that are merged for one attribute vector."""
    pooled_tokens: int
    """Global tokens ``M'`` that attention pools from the last stage."""
    global_stage: int
    """Stage whose cells are the other global tokens: 3 (1/32) as in the paper, 2 (1/16) for small images."""
    region_tokens: int
    """Most proposals that tasks without localisation see beside the global tokens."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide the decoder's width={self.width}")
        if not 1 <= self.active_experts <= self.experts:
            raise ValueError(
                f"active_experts={self.active_experts} must lie between 1 and experts={self.experts}"
            )
        if self.global_stage not in (2, 3):
            raise ValueError(f"global_stage={self.global_stage} must be 2 (1/16) or 3 (1/32)")
        if self.region_tokens > self.proposals.num_queries:
            raise ValueError(
                f"region_tokens={self.region_tokens} exceeds num_queries={self.proposals.num_queries}"
            )


INTERN25_TINY = GeneralistConfig(
    backbone=INTERNIMAGE_NANO,
    text=TextConfig(vocabulary=6144, width=192, layers=2, heads=6, feedforward=768, max_length=128),
    proposals=ProposalConfig(
        channels=128,
        heads=8,
        points=4,
        encoder_layers=2,
        decoder_layers=3,
        feedforward=512,
        num_queries=100,
        denoising=0,
    ),
    width=192,
    layers=4,
    heads=6,
    feedforward=768,
    experts=4,
    active_experts=2,
    pooled_tokens=4,
    global_stage=2,
    region_tokens=16,
)
INTERN25_SMALL = GeneralistConfig(
    backbone=INTERNIMAGE_T,
    text=TextConfig(vocabulary=32768, width=384, layers=6, heads=6, feedforward=1536, max_length=256),
    proposals=ProposalConfig(
        channels=256,
        heads=8,
        points=4,
        encoder_layers=3,
        decoder_layers=6,
        feedforward=1024,
        num_queries=100,
        denoising=25,
    ),
    width=384,
    layers=6,
    heads=6,
    feedforward=1536,
    experts=8,
    active_experts=2,
    pooled_tokens=8,
    global_stage=3,
    region_tokens=100,
)
INTERN25_BASE = GeneralistConfig(
    backbone=INTERNIMAGE_B,
    text=TextConfig(vocabulary=49152, width=768, layers=12, heads=12, feedforward=3072, max_length=256),
    proposals=ProposalConfig(
        channels=256,
        heads=8,
        points=4,
        encoder_layers=6,
        decoder_layers=9,
        feedforward=2048,
        num_queries=300,
        denoising=100,
    ),
    width=768,
    layers=6,
    heads=12,
    feedforward=3072,
    experts=8,
    active_experts=2,
    pooled_tokens=16,
    global_stage=3,
    region_tokens=200,
)
INTERN25_LARGE = GeneralistConfig(
    backbone=INTERNIMAGE_L,
    text=TextConfig(vocabulary=49152, width=1024, layers=24, heads=16, feedforward=4096, max_length=256),
    proposals=INTERN25_BASE.proposals,
    width=1024,
    layers=6,
    heads=16,
    feedforward=4096,
    experts=8,
    active_experts=2,
    pooled_tokens=16,
    global_stage=3,
    region_tokens=200,
)
INTERN25_HUGE = GeneralistConfig(
    backbone=INTERNIMAGE_H,
    text=TextConfig(vocabulary=65536, width=2048, layers=24, heads=16, feedforward=8192, max_length=512),
    proposals=INTERN25_BASE.proposals,
    width=1024,
    layers=12,
    heads=16,
    feedforward=4096,
    experts=8,
    active_experts=2,
    pooled_tokens=16,
    global_stage=3,
    region_tokens=200,
)
INTERN25_GIANT = GeneralistConfig(
    backbone=INTERNIMAGE_G,
    text=TextConfig(vocabulary=65536, width=4096, layers=26, heads=32, feedforward=16384, max_length=512),
    proposals=INTERN25_BASE.proposals,
    width=1280,
    layers=12,
    heads=20,
    feedforward=5120,
    experts=8,
    active_experts=2,
    pooled_tokens=16,
    global_stage=3,
    region_tokens=200,
)
