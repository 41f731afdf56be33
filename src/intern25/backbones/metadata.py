# SPDX-License-Identifier: MIT
"""Classifier that also reads when and where a picture was taken (the published iNaturalist 2018 model).

Many species look alike but live apart: logits of month and place are added to those of the image.
"""
# After OpenGVLab/InternImage classification/models/intern_image_meta_former.py (MIT)

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImageConfig, init_weights

TEMPORAL_FEATURES = 4
SPATIAL_FEATURES = 3
METADATA_FEATURES = TEMPORAL_FEATURES + SPATIAL_FEATURES
METADATA_WIDTH = 64
_BRANCH_NORM_EPS = 1e-5
_FUSION_NORM_EPS = 1e-6


def encode_metadata(
    month: int | None = None, latitude: float | None = None, longitude: float | None = None
) -> Tensor:
    r"""Encode month and place as the model was trained: angles on a circle and on a sphere.

    $$ (\sin\tfrac{2\pi m}{12}, \cos\tfrac{2\pi m}{12}, 0, 0,
        \cos\phi\cos\lambda, \cos\phi\sin\lambda, \sin\phi) $$

    Convention:
        - month: 1 (January) to 12. Unknown values are encoded as zeros.
        - latitude, longitude: degrees, north and east positive.

    Args:
        month: Month of the picture, or None when unknown.
        latitude: Degrees from -90 to 90, or None when the place is unknown.
        longitude: Degrees from -180 to 180, or None when the place is unknown.

    Returns:
        ``(7,)``, float32.

    Raises:
        ValueError: A value is out of range, or only one of latitude and longitude is given.

    Example:
        >>> encode_metadata(month=3, latitude=0.0, longitude=90.0).round(decimals=3) + 0.0
        tensor([1., 0., 0., 0., 0., 1., 0.])
    """
    if month is not None and not 1 <= month <= 12:
        raise ValueError(f"month={month} must be 1 to 12, or None when it is unknown")
    if (latitude is None) != (longitude is None):
        raise ValueError(f"latitude={latitude} and longitude={longitude}: give both, or neither")
    temporal, spatial = [0.0] * TEMPORAL_FEATURES, [0.0] * SPATIAL_FEATURES
    if month is not None:
        angle = 2 * math.pi * month / 12
        temporal[:2] = math.sin(angle), math.cos(angle)
    if latitude is not None and longitude is not None:
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise ValueError(
                f"latitude={latitude} must be within 90 degrees and longitude={longitude} within 180"
            )
        phi, lam = math.radians(latitude), math.radians(longitude)
        spatial = [math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)]
    return torch.tensor(temporal + spatial)


class MetadataBranch(nn.Module):
    """Linear, ReLU, LayerNorm, then one residual pair of the same; ``(N, in)`` to ``(N, 64)``."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        width = METADATA_WIDTH
        self.projection = nn.Linear(in_features, width)
        self.norm = nn.LayerNorm(width, eps=_BRANCH_NORM_EPS)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=_BRANCH_NORM_EPS) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, 64)``."""
        x = self.norm(self.projection(x).relu())
        y = self.norm1(self.linear1(x).relu())
        return cast(Tensor, x + self.norm2(self.linear2(y).relu()))


class InternImageMetaClassifier(InternImageClassifier):
    """InternImage classifier whose logits are the sum of an image part and a month-and-place part.

    Args:
        config: Architecture; the published model is ``INTERNIMAGE_H``.
        num_classes: Width of both last linear layers; 0 returns pooled image features.

    Example:
        >>> from intern25.backbones import INTERNIMAGE_NANO
        >>> model = InternImageMetaClassifier(INTERNIMAGE_NANO, num_classes=10)
        >>> metadata = encode_metadata(month=5, latitude=48.1, longitude=11.6).unsqueeze(0)
        >>> model(torch.zeros(1, 3, 64, 64), metadata).shape
        torch.Size([1, 10])
    """

    def __init__(self, config: InternImageConfig, num_classes: int = 8142) -> None:
        super().__init__(config, num_classes)
        self.temporal = MetadataBranch(TEMPORAL_FEATURES)
        self.spatial = MetadataBranch(SPATIAL_FEATURES)
        self.metadata_norm = nn.LayerNorm(2 * METADATA_WIDTH, eps=_FUSION_NORM_EPS)
        for part in (self.temporal, self.spatial):
            init_weights(part)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace both last linear layers by fresh ones; 0 removes them."""
        super().reset_classifier(num_classes)
        self.metadata_classifier: nn.Module = nn.Identity()
        if num_classes:
            like = next(self.head.parameters())
            self.metadata_classifier = nn.Linear(
                2 * METADATA_WIDTH, num_classes, device=like.device, dtype=like.dtype
            )
            init_weights(self.metadata_classifier)

    def forward(self, x: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Return logits.

        Args:
            x: Normalised images, ``(N, 3, H, W)``.
            metadata: ``(N, 7)`` rows of :func:`encode_metadata`; None means that nothing is known.

        Returns:
            ``(N, num_classes)``, before any softmax.
        """
        logits = super().forward(x)
        if self.num_classes == 0:
            return logits
        if metadata is None:
            metadata = x.new_zeros(x.shape[0], METADATA_FEATURES)
        if metadata.shape != (x.shape[0], METADATA_FEATURES):
            raise ValueError(
                f"metadata has shape {tuple(metadata.shape)}, expected {(x.shape[0], METADATA_FEATURES)}: "
                "one row of encode_metadata() per image"
            )
        temporal, spatial = metadata.to(x.dtype).split((TEMPORAL_FEATURES, SPATIAL_FEATURES), dim=1)
        both = torch.cat((self.temporal(temporal), self.spatial(spatial)), dim=1)
        return logits + cast(Tensor, self.metadata_classifier(self.metadata_norm(both)))
