# SPDX-License-Identifier: MIT
"""Tensor names of the official Mask R-CNN and Cascade Mask R-CNN files and ours, as literal tables."""
# Names after mmdetection 2.28 (Apache-2.0): FPN, RPNHead, ConvFCBBoxHead, FCNMaskHead

from __future__ import annotations

from intern25.detection.rcnn_config import MaskRCNNConfig, RCNNConfig
from intern25.weights.adapters.official import Pairs, backbone_pairs, expand

# (ours, official) prefixes of modules; weight, bias and running statistics keep their last name.
_FPN = (
    ("fpn.laterals.{level}", "neck.lateral_convs.{level}.conv"),
    ("fpn.outputs.{level}", "neck.fpn_convs.{level}.conv"),
)
_RPN = (
    ("rpn.conv", "rpn_head.rpn_conv"),
    ("rpn.objectness", "rpn_head.rpn_cls"),
    ("rpn.boxes", "rpn_head.rpn_reg"),
)
_BOX_CONV = (
    ("box_head{stage}.convs.{layer}.conv", "roi_head.bbox_head{stage}.shared_convs.{layer}.conv"),
    ("box_head{stage}.convs.{layer}.norm", "roi_head.bbox_head{stage}.shared_convs.{layer}.bn"),
)
_BOX_LINEAR = (("box_head{stage}.fcs.{layer}", "roi_head.bbox_head{stage}.shared_fcs.{layer}"),)
_BOX_OUTPUT = (
    ("box_head{stage}.classes", "roi_head.bbox_head{stage}.fc_cls"),
    ("box_head{stage}.boxes", "roi_head.bbox_head{stage}.fc_reg"),
)
_MASK_CONV = (("mask_head{stage}.convs.{layer}", "roi_head.mask_head{stage}.convs.{layer}.conv"),)
_MASK_OUTPUT = (
    ("mask_head{stage}.upsample", "roi_head.mask_head{stage}.upsample"),
    ("mask_head{stage}.logits", "roi_head.mask_head{stage}.conv_logits"),
)
_PYRAMID_LEVELS = 4


def pairs(config: RCNNConfig) -> Pairs:
    """Names of a detector's modules and tensors in both layouts; no tensor changes its shape.

    Args:
        config: Architecture; a ``MaskRCNNConfig`` has one stage without a number in its names, every other
            config numbers its stages.

    Returns:
        ``(ours, official)`` of every module, and of every tensor that is not a module's own.

    Example:
        >>> from intern25.detection.rcnn_config import CASCADE_L
        >>> dict(pairs(CASCADE_L))["box_head.2.classes"]
        'roi_head.bbox_head.2.fc_cls'
    """
    rows = backbone_pairs(config.backbone)
    for level in range(_PYRAMID_LEVELS):
        rows += expand(_FPN, level=level)
    rows += _RPN
    single = isinstance(config, MaskRCNNConfig)
    for stage in [""] if single else [f".{index}" for index in range(len(config.stage_ious))]:
        rows += _head_pairs(config, stage)
    return rows


def _head_pairs(config: RCNNConfig, stage: str) -> Pairs:
    rows: Pairs = []
    for layer in range(config.box_head_convs):
        rows += expand(_BOX_CONV, stage=stage, layer=layer)
    for layer in range(config.box_head_fcs):
        rows += expand(_BOX_LINEAR, stage=stage, layer=layer)
    rows += expand(_BOX_OUTPUT, stage=stage)
    if config.with_mask:
        for layer in range(config.mask_head_convs):
            rows += expand(_MASK_CONV, stage=stage, layer=layer)
        rows += expand(_MASK_OUTPUT, stage=stage)
    return rows
