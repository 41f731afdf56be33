# SPDX-License-Identifier: MIT
"""Architectures of the segmenters, one constant a published model (sizes of the head differ by data set)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intern25.backbones.internimage import (
    INTERNIMAGE_B,
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_S,
    INTERNIMAGE_T,
    INTERNIMAGE_XL,
    InternImageConfig,
)

IGNORE = 255
"""Label of pixels that no loss and no metric sees."""

Fusion = Literal["concat", "sum"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UperNetConfig:
    """UperNet: pyramid pooling, feature pyramid and an auxiliary head (arXiv:1807.10221)."""

    backbone: InternImageConfig
    """The backbone; its four maps feed the head."""
    num_classes: int
    """Classes of the output, which is what the checkpoint holds (150 for the published Cityscapes heads)."""
    channels: int = 512
    """Width of the head."""
    pool_sizes: tuple[int, ...] = (1, 2, 3, 6)
    """Sides of the grids to which the last map is pooled."""
    fusion: Fusion = "concat"
    """How the four levels meet at 1/4: side by side as in the paper, or summed (a light head)."""
    dropout: float = 0.1
    """Probability of dropping a whole channel before the classifier, in training."""
    auxiliary_channels: int = 256
    """Width of the auxiliary head; 0 for none."""
    auxiliary_weight: float = 0.4
    """Weight of the auxiliary loss."""
    class_weights: tuple[float, ...] = ()
    """Weight of each class in the cross entropy; empty for ones."""
    dice_weight: float = 0.0
    """Weight of a soft dice loss beside the cross entropy; helps with rare classes on small data sets."""

    def __post_init__(self) -> None:
        _read_json(self, "pool_sizes", "class_weights")
        _check_semantic(self.num_classes, self.class_weights)
        if self.fusion not in ("concat", "sum"):
            raise ValueError(f"fusion={self.fusion!r} is unknown; use 'concat' or 'sum'")


@dataclass(frozen=True, kw_only=True, slots=True)
class SegFormerConfig:
    """The all-MLP head of SegFormer (arXiv:2105.15203)."""

    backbone: InternImageConfig
    """The backbone; its four maps feed the head."""
    num_classes: int
    """Classes of the output, which is what the checkpoint holds (150 for the published Cityscapes heads)."""
    channels: int = 256
    """Width of the head."""
    dropout: float = 0.1
    """Probability of dropping a whole channel before the classifier, in training."""
    class_weights: tuple[float, ...] = ()
    """Weight of each class in the cross entropy; empty for ones."""
    dice_weight: float = 0.0
    """Weight of a soft dice loss beside the cross entropy; helps with rare classes on small data sets."""

    def __post_init__(self) -> None:
        _read_json(self, "class_weights")
        _check_semantic(self.num_classes, self.class_weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mask2FormerConfig:
    """Mask2Former: masked attention from queries to a deformable pixel decoder (arXiv:2112.01527)."""

    backbone: InternImageConfig
    """The backbone; its four maps feed the head."""
    num_classes: int
    """Classes without the one for "no object"."""
    channels: int
    """Width of pixel decoder, queries and mask features; a multiple of 32 and of ``heads``."""
    num_queries: int
    """Segments that are predicted for each image."""
    heads: int
    """Heads of every attention."""
    encoder_feedforward: int
    """Hidden width of the feed-forward networks of the pixel decoder."""
    decoder_feedforward: int
    """Hidden width of the feed-forward networks of the transformer decoder."""
    encoder_layers: int = 6
    """Deformable layers of the pixel decoder."""
    decoder_layers: int = 9
    """Layers of the transformer decoder."""
    points: int = 4
    """Sampling points per head and level."""
    class_weight: float = 2.0
    """Weight of the classification, in the matching and in the loss."""
    mask_weight: float = 5.0
    """Weight of the binary cross entropy of masks, in the matching and in the loss."""
    dice_weight: float = 5.0
    """Weight of the dice term of masks, in the matching and in the loss."""
    no_object_weight: float = 0.1
    """Weight of "no object" in the classification loss."""
    loss_points: int = 12544
    """Points at which masks are compared."""
    oversample_ratio: float = 3.0
    """Candidates drawn for each point of the loss."""
    importance_ratio: float = 0.75
    """Share of the points that is taken where the prediction is least certain."""

    def __post_init__(self) -> None:
        _read_json(self)
        _check_semantic(self.num_classes, ())
        for name in ("heads", "norm_groups"):
            if self.channels % getattr(self, name):
                raise ValueError(
                    f"channels={self.channels} is not a multiple of {name}={getattr(self, name)}"
                )

    @property
    def norm_groups(self) -> int:
        """Groups of every group normalisation."""
        return 32


SegmenterConfig = UperNetConfig | SegFormerConfig | Mask2FormerConfig


def _read_json(config: Any, *tuples: str) -> None:
    """Turn what JSON leaves of a config, lists and a dictionary for the backbone, into what it was."""
    for name in tuples:
        object.__setattr__(config, name, tuple(getattr(config, name)))
    if isinstance(config.backbone, Mapping):
        object.__setattr__(config, "backbone", InternImageConfig(**config.backbone))


def _check_semantic(num_classes: int, class_weights: tuple[float, ...]) -> None:
    if not 1 <= num_classes <= IGNORE:
        raise ValueError(f"num_classes={num_classes} must lie in 1..{IGNORE}; label {IGNORE} means 'ignore'")
    if class_weights and len(class_weights) != num_classes:
        raise ValueError(f"class_weights has {len(class_weights)} numbers for {num_classes} classes")


def _downstream(classification: InternImageConfig, drop_path: float) -> InternImageConfig:
    """The backbone as the official segmenters build it: a layer scale of 1 wherever one is possible."""
    scale = None if classification.center_feature_scale else 1.0
    return dataclasses.replace(classification, layer_scale=scale, drop_path=drop_path)


_T = _downstream(INTERNIMAGE_T, 0.2)
_S = _downstream(INTERNIMAGE_S, 0.3)
_B = _downstream(INTERNIMAGE_B, 0.4)
_L = _downstream(INTERNIMAGE_L, 0.4)
_XL = _downstream(INTERNIMAGE_XL, 0.4)
_H = _downstream(INTERNIMAGE_H, 0.5)
_G = _downstream(INTERNIMAGE_G, 0.5)

UPERNET_T = UperNetConfig(backbone=_T, num_classes=150)
UPERNET_S = UperNetConfig(backbone=_S, num_classes=150)
UPERNET_B = UperNetConfig(backbone=_B, num_classes=150)
UPERNET_L = UperNetConfig(backbone=_L, num_classes=150)
UPERNET_XL = UperNetConfig(backbone=_XL, num_classes=150)
UPERNET_H = UperNetConfig(backbone=_H, num_classes=150)
UPERNET_G = UperNetConfig(backbone=_G, num_classes=150)
UPERNET_NANO = UperNetConfig(
    backbone=dataclasses.replace(INTERNIMAGE_NANO, drop_path=0.1),
    num_classes=150,
    channels=80,
    fusion="sum",
    auxiliary_channels=64,
)

SEGFORMER_L = SegFormerConfig(backbone=_L, num_classes=150)
SEGFORMER_XL = SegFormerConfig(backbone=_XL, num_classes=150)

MASK2FORMER_H_ADE20K = Mask2FormerConfig(
    backbone=_H,
    num_classes=150,
    channels=1024,
    num_queries=200,
    heads=32,
    encoder_feedforward=4096,
    decoder_feedforward=4096,
)
MASK2FORMER_H_COCO_STUFF = dataclasses.replace(MASK2FORMER_H_ADE20K, num_classes=171)
MASK2FORMER_H_CITYSCAPES = Mask2FormerConfig(
    backbone=_H,
    num_classes=19,
    channels=256,
    num_queries=100,
    heads=8,
    encoder_feedforward=1024,
    decoder_feedforward=2048,
)
MASK2FORMER_H_MAPILLARY = MASK2FORMER_H_CITYSCAPES
MASK2FORMER_H_PASCAL_CONTEXT_59 = dataclasses.replace(MASK2FORMER_H_CITYSCAPES, num_classes=59)
MASK2FORMER_H_NYU40 = dataclasses.replace(MASK2FORMER_H_CITYSCAPES, num_classes=40)
