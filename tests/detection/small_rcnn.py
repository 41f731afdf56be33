# SPDX-License-Identifier: MIT
"""A detector that learns within seconds, and pictures simple enough for it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from intern25.backbones.internimage import InternImageConfig
from intern25.detection.rcnn_config import CascadeMaskRCNNConfig, MaskRCNNConfig
from intern25.detection.targets import DetectionTarget

BACKBONE = InternImageConfig(channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8))
_SIZES = {
    "backbone": BACKBONE,
    "num_classes": 3,
    "fpn_channels": 32,
    "anchor_scales": (4.0,),
    "proposals_per_level": 50,
    "proposals_per_level_training": 100,
    "max_proposals": 50,
    "max_proposals_training": 64,
    "rpn_samples": 64,
    "box_samples": 64,
    "box_head_width": 64,
    "mask_head_convs": 1,
    "mask_head_channels": 32,
}
SMALL_MASK_RCNN = MaskRCNNConfig(**_SIZES)
SMALL_CASCADE = CascadeMaskRCNNConfig(**{**_SIZES, "box_head_convs": 1})
SMALL_CROWD = replace(
    SMALL_CASCADE,
    num_classes=1,
    with_mask=False,
    class_agnostic=True,
    box_head_convs=0,
    box_head_fcs=2,
    box_loss="smooth_l1",
    box_loss_weight=1.0,
)
SIZE = (96, 128)


def rectangle_target(
    boxes: list[list[int]], labels: list[int], size: tuple[int, int] = SIZE
) -> DetectionTarget:
    """Objects that fill their boxes."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return DetectionTarget(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
    )


def two_pictures() -> tuple[Tensor, list[DetectionTarget]]:
    """A red and a blue rectangle, and a green ellipse, on noise."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, *SIZE, generator=generator) * 0.1
    first = rectangle_target([[12, 20, 60, 70], [70, 30, 120, 60]], [0, 2])
    second = rectangle_target([[30, 16, 98, 80]], [1])
    assert first.masks is not None
    assert second.masks is not None
    y, x = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    second.masks[0] &= ((x - 64) / 34) ** 2 + ((y - 48) / 32) ** 2 <= 1
    for image, target in zip(images, (first, second), strict=True):
        assert target.masks is not None
        for label, mask in zip(target.labels.tolist(), target.masks, strict=True):
            image[label][mask] += 2.0
    return images, [first, second]
