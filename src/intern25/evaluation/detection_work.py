# SPDX-License-Identifier: MIT
"""What a detector did in one call: regions its box head decided about, boxes and masks it returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from intern25.detection.roi_heads import BoxHead
from intern25.results import Detections

Found = Mapping[str, Any]
"""Objects of one picture as the peers return them: ``boxes``, ``masks``."""


def work_of(model: nn.Module, images: Tensor) -> dict[str, int]:
    """Run ``model`` on ``images`` and count ``regions``, ``boxes`` and ``masks``, those that it has.

    Two R-CNNs compare only where they do the same work, and nothing else shows that they do.
    """
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

    regions = 0

    def count(_: nn.Module, inputs: tuple[Tensor, ...], __: object) -> None:
        nonlocal regions
        regions += len(inputs[0])

    heads = [module for module in model.modules() if isinstance(module, BoxHead | FastRCNNPredictor)]
    handles = [head.register_forward_hook(count) for head in heads]
    try:
        with torch.inference_mode():
            pictures: Sequence[Found | Detections] = model(images)
    finally:
        for handle in handles:
            handle.remove()
    counts = {"regions": regions, "boxes": _total(pictures, "boxes"), "masks": _total(pictures, "masks")}
    return {name: number for name, number in counts.items() if number}


def _total(pictures: Sequence[Found | Detections], name: str) -> int:
    parts = [getattr(p, name) if isinstance(p, Detections) else p.get(name) for p in pictures]
    return sum(len(part) for part in parts if part is not None)
