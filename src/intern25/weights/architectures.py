# SPDX-License-Identifier: MIT
"""Names of architectures: backbones with a classification head, detectors, segmenters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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
from intern25.detection.dino_config import CB_DINO_H, DINO_G, DINO_H, DINO_L, DINO_NANO, DINO_T
from intern25.detection.rcnn_config import (
    CASCADE_L,
    CASCADE_XL,
    CASCADE_XL_CROWDHUMAN,
    FASTER_RCNN_NANO,
    MASK_RCNN_B,
    MASK_RCNN_NANO,
    MASK_RCNN_S,
    MASK_RCNN_T,
)
from intern25.segmentation.config import (
    MASK2FORMER_H_ADE20K,
    MASK2FORMER_H_CITYSCAPES,
    MASK2FORMER_H_COCO_STUFF,
    MASK2FORMER_H_NYU40,
    MASK2FORMER_H_PASCAL_CONTEXT_59,
    SEGFORMER_L,
    SEGFORMER_XL,
    UPERNET_B,
    UPERNET_G,
    UPERNET_H,
    UPERNET_L,
    UPERNET_NANO,
    UPERNET_S,
    UPERNET_T,
    UPERNET_XL,
)
from intern25.weights.kinds import ModelConfig

BACKBONES: Mapping[str, InternImageConfig] = MappingProxyType(
    {
        "internimage_nano": INTERNIMAGE_NANO,
        "internimage_t": INTERNIMAGE_T,
        "internimage_s": INTERNIMAGE_S,
        "internimage_b": INTERNIMAGE_B,
        "internimage_l": INTERNIMAGE_L,
        "internimage_xl": INTERNIMAGE_XL,
        "internimage_h": INTERNIMAGE_H,
        "internimage_g": INTERNIMAGE_G,
    }
)
"""Backbones, which with a classification head are the classifiers."""

DETECTORS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        "faster_rcnn_internimage_nano": FASTER_RCNN_NANO,
        "mask_rcnn_internimage_nano": MASK_RCNN_NANO,
        "mask_rcnn_internimage_t": MASK_RCNN_T,
        "mask_rcnn_internimage_s": MASK_RCNN_S,
        "mask_rcnn_internimage_b": MASK_RCNN_B,
        "cascade_mask_rcnn_internimage_l": CASCADE_L,
        "cascade_mask_rcnn_internimage_xl": CASCADE_XL,
        "cascade_rcnn_internimage_xl_crowd_human": CASCADE_XL_CROWDHUMAN,
        "dino_internimage_nano": DINO_NANO,
        "dino_internimage_t": DINO_T,
        "dino_internimage_l": DINO_L,
        "dino_internimage_h": DINO_H,
        "dino_internimage_g": DINO_G,
        "cb_dino_internimage_h": CB_DINO_H,
    }
)
"""Detectors."""

SEGMENTERS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        "upernet_internimage_nano": UPERNET_NANO,
        "upernet_internimage_t": UPERNET_T,
        "upernet_internimage_s": UPERNET_S,
        "upernet_internimage_b": UPERNET_B,
        "upernet_internimage_l": UPERNET_L,
        "upernet_internimage_xl": UPERNET_XL,
        "upernet_internimage_h": UPERNET_H,
        "upernet_internimage_g": UPERNET_G,
        "segformer_internimage_l": SEGFORMER_L,
        "segformer_internimage_xl": SEGFORMER_XL,
        "mask2former_internimage_h": MASK2FORMER_H_ADE20K,
        "mask2former_internimage_h_coco_stuff": MASK2FORMER_H_COCO_STUFF,
        "mask2former_internimage_h_cityscapes": MASK2FORMER_H_CITYSCAPES,
        "mask2former_internimage_h_pascal_context_59": MASK2FORMER_H_PASCAL_CONTEXT_59,
        "mask2former_internimage_h_nyu40": MASK2FORMER_H_NYU40,
    }
)
"""Segmenters; the wide and the narrow Mask2Former differ by the data set they were published for."""

ARCHITECTURES: Mapping[str, ModelConfig] = MappingProxyType({**BACKBONES, **DETECTORS, **SEGMENTERS})
"""Architecture name to its config."""


def backbone_name(config: InternImageConfig) -> str | None:
    """Name of the backbone with these sizes; settings of training and initial values may differ."""
    for name, known in BACKBONES.items():
        if (config.channels, config.depths, config.groups) == (known.channels, known.depths, known.groups):
            return name
    return None
