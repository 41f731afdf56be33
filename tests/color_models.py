# SPDX-License-Identifier: MIT
"""Models that need no training: they know objects and classes by their colour, and obey every contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.data.class_names import ClassNames
from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing, Size
from intern25.results import Detections
from intern25.segmentation.mask2former_decoder import QueryPredictions

CLASSES = ClassNames(en=("cat", "dog", "bus"), zh=("猫", "狗", "公交车"))
# Object k has colour k and is of class k % 3; all of them are far apart in RGB.
COLORS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250), (0, 250, 250), (250, 120, 0))
GREY = (128, 128, 128)
DETECTION = DetectionPreprocessing(long_side=160, short_side=96)
SEGMENTATION = SegmentationPreprocessing(long_side=160, short_side=96)


def picture(size: Size, *objects: tuple[int, int, int, int]) -> Image.Image:
    """A grey picture with one filled rectangle (left, top, right, bottom) a colour."""
    pixels = np.full((*size, 3), GREY, dtype=np.uint8)
    for color, (left, top, right, bottom) in zip(COLORS, objects, strict=False):
        pixels[top:bottom, left:right] = color
    return Image.fromarray(pixels)


def distances(images: Tensor) -> Tensor:
    """Largest difference of each pixel from each colour, in grey levels, ``(N, colours, H, W)``."""
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    rgb = (images * std + mean) * 255.0
    return torch.stack([(rgb - torch.tensor(c)[None, :, None, None]).abs().amax(1) for c in COLORS], dim=1)


class ColorDetector(nn.Module):
    """Finds each coloured rectangle; the larger its colour's number, the lower its score."""

    num_classes = len(CLASSES)

    def __init__(self, *, with_masks: bool = True) -> None:
        super().__init__()
        self.with_masks = with_masks
        self.batches: list[tuple[int, ...]] = []

    def forward(
        self, images: Tensor, image_sizes: Sequence[Size], original_sizes: Sequence[Size]
    ) -> list[Detections]:
        self.batches.append(tuple(images.shape))
        near = distances(images) < 60.0
        return [
            self.found(near[row, :, : size[0], : size[1]], original)
            for row, (size, original) in enumerate(zip(image_sizes, original_sizes, strict=True))
        ]

    def found(self, near: Tensor, size: Size) -> Detections:
        masks = F.interpolate(near[None].float(), size=size, mode="nearest")[0] > 0.5
        present = [k for k in range(len(COLORS)) if masks[k].any()]
        boxes = []
        for k in present:
            rows, columns = masks[k].any(1).nonzero().flatten(), masks[k].any(0).nonzero().flatten()
            boxes.append([int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
        return Detections(
            boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
            scores=np.array([0.9 - 0.1 * k for k in present], dtype=np.float32),
            labels=np.array([k % 3 for k in present], dtype=np.int64),
            size=size,
            masks=masks[present].numpy() if self.with_masks else None,
        )


class ColorQueries(nn.Module):
    """One query a colour, sure of its class and its mask; the larger the colour's number, the less sure."""

    num_classes = len(CLASSES)

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []

    def predict_queries(self, images: Tensor) -> QueryPredictions:
        self.batches.append(tuple(images.shape))
        # Bright pixels of one colour have a positive logit on that query alone.
        masks = F.avg_pool2d((60.0 - distances(images)) / 10.0, 2)
        probability = torch.full((len(COLORS), len(CLASSES) + 1), 0.01)
        for query in range(len(COLORS)):
            probability[query, query % 3] = 0.95 - 0.01 * query
            probability[query, -1] = 1.0 - probability[query, :-1].sum()
        return QueryPredictions(probability.log().expand(len(images), -1, -1), masks)

    def scores(self, images: Tensor) -> Tensor:
        classes, masks = self.predict_queries(images)
        return torch.einsum("nqc,nqhw->nchw", classes.softmax(-1)[..., :-1], masks.sigmoid())


class ColorSegmenter(nn.Module):
    """Class 0, 1, 2 for red, green and blue; certain where the colour is clear."""

    num_classes = len(CLASSES)

    def scores(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(-distances(images)[:, :3] / 20.0, 2)

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.scores(images), size=images.shape[-2:], mode="bilinear")
