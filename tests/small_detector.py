# SPDX-License-Identifier: MIT
"""Small detectors and segmenters in self-describing files, for tests of what users touch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import nn

from intern25.data.class_names import class_names
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.detection.dino import DINO
from intern25.detection.dino_config import DINO_NANO
from intern25.detection.mask_rcnn import MaskRCNN
from intern25.detection.rcnn_config import MASK_RCNN_NANO
from intern25.segmentation.config import UPERNET_NANO
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.upernet import UperNet
from intern25.weights.files import save_model
from tests.segmentation.models import TINY_MASK2FORMER

DETECTION = DetectionPreprocessing(long_side=128, short_side=96)
SEGMENTATION = SegmentationPreprocessing(long_side=128, short_side=96)


def mask_rcnn() -> MaskRCNN:
    """Random weights that find something in every picture."""
    torch.manual_seed(0)
    model = MaskRCNN(MASK_RCNN_NANO).eval()
    with torch.no_grad():
        # Random scores of 81 classes are below every threshold: the logits are spread.
        for name, parameter in model.named_parameters():
            if "box_head" in name and parameter.shape[:1] == (MASK_RCNN_NANO.num_classes + 1,):
                parameter.normal_(std=3.0)
    return model


def save_mask_rcnn(path: Path, *, damaged: bool = False) -> Path:
    """Write a Mask R-CNN with the classes of COCO; a damaged one computes NaN."""
    model = mask_rcnn()
    if damaged:
        with torch.no_grad():
            next(model.backbone.parameters()).fill_(float("nan"))
    return _save(path, model, "coco", DETECTION)


def save_dino(path: Path) -> Path:
    """Write a detector without masks."""
    torch.manual_seed(0)
    return _save(path, DINO(DINO_NANO), "coco", DETECTION)


def save_upernet(path: Path) -> Path:
    """Write a segmenter with the classes of ADE20K."""
    torch.manual_seed(0)
    return _save(path, UperNet(UPERNET_NANO), "ade20k", SEGMENTATION)


def mask2former(num_classes: int) -> Mask2Former:
    """Random weights that find segments in every picture."""
    torch.manual_seed(0)
    model = Mask2Former(dataclasses.replace(TINY_MASK2FORMER, num_classes=num_classes)).eval()
    with torch.no_grad():
        # Random queries are as unsure of every class: the logits are spread.
        for parameter in model.decoder.parameters():
            if parameter.shape[:1] == (num_classes + 1,):
                parameter.normal_(std=1.0)
    return model


def save_mask2former(path: Path, classes: str = "cityscapes") -> Path:
    """Write a segmenter with queries."""
    return _save(path, mask2former(len(class_names(classes))), classes, SEGMENTATION)


def _save(
    path: Path,
    model: nn.Module,
    classes: str,
    preprocessing: DetectionPreprocessing | SegmentationPreprocessing,
) -> Path:
    save_model(path, model, classes=class_names(classes), preprocessing=preprocessing)
    return path
