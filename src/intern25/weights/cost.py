# SPDX-License-Identifier: MIT
"""What one picture costs a model of any kind, at the sizes the authors' tables use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from intern25.backbones.flops import MacCount, count_macs
from intern25.data.preprocessing import Preprocessing
from intern25.weights.card import ModelCard
from intern25.weights.kinds import CLASSIFIERS, AnyPreprocessing, ModelKind, Task

Size = tuple[int, int]

DETECTION_SIZE: Size = (800, 1280)
"""Picture of the authors' tables of detectors."""
PROPOSALS = 1000
"""Regions a two-stage detector decides about."""
MASKS = 100
"""Regions of them that get a mask."""


def cost_of(model: nn.Module, kind: ModelKind, size: int | Size) -> MacCount:
    """Count the operations of a model on one picture; works on the meta device.

    Two-stage detectors count with 1000 proposals and 100 masks, as the authors' program does.
    """
    if kind in ("mask_rcnn", "cascade_mask_rcnn"):
        return count_macs(model, size, run=_run_two_stage)
    return count_macs(model, size, run=_run_dino if kind == "dino" else None)


def table_size(task: Task, card: ModelCard | None) -> Size:
    """Height and width of the picture whose cost the authors state for a model, or would."""
    if card is not None and card.counted_size is not None:
        return card.counted_size
    if task == "detection":
        return DETECTION_SIZE
    preprocessing = None if card is None else card.preprocessing
    return _input_size(task, preprocessing)


def _input_size(task: Task, preprocessing: AnyPreprocessing | None) -> Size:
    """The published input; 224 or 512 pixels where nothing is published."""
    if isinstance(preprocessing, Preprocessing):
        return preprocessing.image_size, preprocessing.image_size
    if preprocessing is not None:
        return preprocessing.short_side, preprocessing.long_side
    side = 224 if task == "classification" else 512
    return side, side


def flops_of(count: MacCount, kind: ModelKind) -> int:
    """The number that the authors' tables call FLOPs: of classifiers the plain multiply-accumulates."""
    return count.total if kind in CLASSIFIERS else count.authors


def _run_two_stage(model: Any, image: Tensor) -> None:
    """Every part once; proposals depend on values, so regions without values stand for them."""
    pyramid = model.fpn(model.backbone(image))
    model.rpn(pyramid)
    for head, number, side in (
        (model.box_head, PROPOSALS, model.config.box_roi_size),
        (model.mask_head, MASKS, model.config.mask_roi_size),
    ):
        stages = head if isinstance(head, nn.ModuleList) else [head]
        for stage in stages if head is not None else ():
            stage(torch.empty(number, pyramid[0].shape[1], side, side, device="meta", dtype=image.dtype))


def _run_dino(model: Any, image: Tensor) -> None:
    """Up to the raw predictions; what follows picks the best of them by value."""
    model.predict(image)
