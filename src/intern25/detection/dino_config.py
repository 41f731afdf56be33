# SPDX-License-Identifier: MIT
"""Architectures of the DINO detectors: T, L, H, G, the composite H, and a nano for one CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

from intern25.backbones.internimage import (
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_T,
    InternImageConfig,
)

NORM_GROUPS = 32
"""Groups of the group normalisation in the neck."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DINOConfig:
    """Architecture of one DINO detector, and how it learns and answers."""

    backbone: InternImageConfig
    """Backbone; its stages 2 to 4 feed the neck."""
    num_classes: int = 80
    """Classes; every class has its own sigmoid, there is no background class."""
    composite: bool = False
    """Two backbones of this architecture, the second fed by the first (CB-InternImage)."""
    channels: int = 256
    """Width of tokens and queries; a multiple of 32."""
    heads: int = 8
    """Heads of every attention."""
    levels: int = 4
    """Levels of the neck; those beyond the backbone's maps come from strided convolutions."""
    points: int = 4
    """Sampling points per head and level."""
    encoder_layers: int = 6
    """Layers of the encoder."""
    decoder_layers: int = 6
    """Layers of the decoder."""
    feedforward: int = 2048
    """Hidden width of the feed-forward parts."""
    feedforward_slices: int = 1
    """Slices the hidden width is stored in; 4 in the published G detector, the same function."""
    num_queries: int = 900
    """Object queries; fewer when a picture has fewer cells."""
    num_denoising: int = 100
    """Noised copies of the objects a picture learns from; each also has a negative twin."""
    label_noise: float = 0.5
    """Half of this share of the denoising labels is replaced by random ones."""
    box_noise: float = 1.0
    """Largest shift of a corner of a denoising box, in halves of its sides."""
    federated_classes: int | None = None
    """Classes the classification loss looks at in one step (50 for LVIS); None = all."""
    max_detections: int = 300
    """Detections of a picture."""
    score_threshold: float = 0.0
    """Detections with a lower score are left out; the authors keep all. There is no NMS."""

    def __post_init__(self) -> None:
        if isinstance(self.backbone, dict):  # type: ignore[unreachable]
            # A config saved as JSON comes back with a dict in its place.
            object.__setattr__(self, "backbone", InternImageConfig(**self.backbone))  # type: ignore[unreachable]
        if self.channels % NORM_GROUPS or self.channels % self.heads:
            raise ValueError(
                f"channels={self.channels} must be a multiple of {NORM_GROUPS} and of heads={self.heads}"
            )
        counts = (
            "num_classes",
            "levels",
            "encoder_layers",
            "decoder_layers",
            "num_queries",
            "max_detections",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more")
        if self.federated_classes is not None and self.federated_classes < 1:
            raise ValueError(f"federated_classes={self.federated_classes} must be 1 or more, or None")


DINO_NANO = DINOConfig(
    backbone=INTERNIMAGE_NANO,
    channels=192,
    heads=6,
    encoder_layers=3,
    decoder_layers=3,
    feedforward=1024,
    num_queries=300,
    max_detections=100,
)
DINO_T = DINOConfig(backbone=replace(INTERNIMAGE_T, layer_scale=1.0, drop_path=0.2), max_detections=100)
DINO_L = DINOConfig(backbone=replace(INTERNIMAGE_L, layer_scale=1.0, drop_path=0.4))
DINO_H = DINOConfig(backbone=replace(INTERNIMAGE_H, drop_path=0.5), num_denoising=1000)
DINO_G = DINOConfig(backbone=replace(INTERNIMAGE_G, drop_path=0.5), num_denoising=1000, feedforward_slices=4)
CB_DINO_H = replace(DINO_H, composite=True)
