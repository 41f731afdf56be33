# SPDX-License-Identifier: MIT
"""Backbones: InternImage and the classifiers built on it."""

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import (
    INTERNIMAGE_B,
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_S,
    INTERNIMAGE_T,
    INTERNIMAGE_XL,
    InternImage,
    InternImageConfig,
)

__all__ = [
    "INTERNIMAGE_B",
    "INTERNIMAGE_G",
    "INTERNIMAGE_H",
    "INTERNIMAGE_L",
    "INTERNIMAGE_NANO",
    "INTERNIMAGE_S",
    "INTERNIMAGE_T",
    "INTERNIMAGE_XL",
    "InternImage",
    "InternImageClassifier",
    "InternImageConfig",
]
