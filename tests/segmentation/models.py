# SPDX-License-Identifier: MIT
"""Segmenters small enough to train in a test."""

from __future__ import annotations

import dataclasses

from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.segmentation.config import UPERNET_NANO, Mask2FormerConfig, SegFormerConfig

TINY = dataclasses.replace(INTERNIMAGE_NANO, channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8))
TINY_UPERNET = dataclasses.replace(
    UPERNET_NANO, backbone=TINY, num_classes=4, channels=16, auxiliary_channels=16
)
TINY_SEGFORMER = SegFormerConfig(backbone=TINY, num_classes=4, channels=16)
TINY_MASK2FORMER = Mask2FormerConfig(
    backbone=TINY,
    num_classes=4,
    channels=32,
    num_queries=8,
    heads=4,
    encoder_feedforward=64,
    decoder_feedforward=64,
    encoder_layers=1,
    decoder_layers=3,
    loss_points=256,
)
