# SPDX-License-Identifier: MIT
"""A picture with its objects, and the geometry that moves both together.

Objects that a crop cuts get the box of what is left of their mask, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from intern25.data.detection.annotations import Annotation, Size
from intern25.data.detection.masks import mask_box


@dataclass(frozen=True, slots=True)
class DetectionSample:
    """A picture on its way through augmentation."""

    image: Tensor
    """``(3, H, W)`` uint8, RGB."""
    boxes: Tensor
    """``(K, 4)`` float32, (left, top, right, bottom)."""
    labels: Tensor
    """``(K,)`` int64."""
    masks: Tensor | None
    """``(K, H, W)`` uint8 of zeros and ones."""
    ignored: Tensor
    """``(M, 4)`` float32: regions nothing is learnt from."""

    @property
    def size(self) -> Size:
        """(height, width)."""
        return self.image.shape[-2], self.image.shape[-1]


def sample_of(image: Image.Image, annotation: Annotation, *, masks: bool) -> DetectionSample:
    """Make a sample of a picture and what is known about it.

    Args:
        image: Upright RGB picture.
        annotation: Its objects.
        masks: Whether to decode the masks.

    Raises:
        ValueError: An object has no mask and ``masks`` is asked for.
    """
    objects = annotation.select(np.flatnonzero(~annotation.ignored))
    pixels = np.array(image, dtype=np.uint8)
    return DetectionSample(
        image=torch.from_numpy(pixels).permute(2, 0, 1),
        boxes=torch.from_numpy(objects.boxes.copy()),
        labels=torch.from_numpy(objects.labels.copy()),
        masks=torch.from_numpy(objects.decode_masks().view(np.uint8)) if masks else None,
        ignored=torch.from_numpy(annotation.boxes[annotation.ignored]),
    )


def resize(sample: DetectionSample, size: Size) -> DetectionSample:
    """Resize to ``size``: the picture bilinear without antialiasing, masks to the nearest pixel centre."""
    if size == sample.size:
        return sample
    masks = sample.masks
    if masks is not None:
        masks = TF.resize(masks, list(size), interpolation=InterpolationMode.NEAREST_EXACT, antialias=False)
    vertical, horizontal = (new / old for new, old in zip(size, sample.size, strict=True))
    scale = torch.tensor([horizontal, vertical, horizontal, vertical])
    return replace(
        sample,
        image=TF.resize(sample.image, list(size), antialias=False),
        boxes=sample.boxes * scale,
        masks=masks,
        ignored=sample.ignored * scale,
    )


def crop(sample: DetectionSample, top: int, left: int, height: int, width: int) -> DetectionSample:
    """Cut a window out; objects outside are dropped, those on its border get new boxes."""
    shift = torch.tensor([left, top, left, top], dtype=torch.float32)
    limit = torch.tensor([width, height, width, height], dtype=torch.float32)
    moved = sample.boxes - shift
    boxes = moved.clamp(min=0).minimum(limit)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1).nonzero()[:, 0]
    cut = (boxes[kept] != moved[kept]).any(dim=1)
    masks = sample.masks
    boxes = boxes[kept]
    if masks is not None:
        masks = TF.crop(masks[kept], top, left, height, width)
        for row in cut.nonzero()[:, 0].tolist():
            boxes[row] = torch.tensor(mask_box(masks[row].numpy().view(np.bool_)))
    ignored = (sample.ignored - shift).clamp(min=0).minimum(limit)
    cropped = DetectionSample(
        image=TF.crop(sample.image, top, left, height, width),
        boxes=boxes,
        labels=sample.labels[kept],
        masks=masks,
        ignored=ignored[(ignored[:, 2:] > ignored[:, :2]).all(dim=1)],
    )
    return without_small(cropped, 0.0)


def with_boxes_of_masks(sample: DetectionSample) -> DetectionSample:
    """Give every object the box of its mask, so that the rounding of two resizings does not add up."""
    if sample.masks is None:
        return sample
    boxes = [mask_box(mask.numpy().view(np.bool_)) for mask in sample.masks]
    return without_small(replace(sample, boxes=torch.tensor(boxes).reshape(-1, 4)), 0.0)


def flip_horizontal(sample: DetectionSample) -> DetectionSample:
    """Mirror left and right."""
    return replace(
        sample,
        image=TF.horizontal_flip(sample.image),
        boxes=TF.horizontal_flip(_on_canvas(sample.boxes, sample.size)).as_subclass(Tensor),
        masks=None if sample.masks is None else TF.horizontal_flip(sample.masks),
        ignored=TF.horizontal_flip(_on_canvas(sample.ignored, sample.size)).as_subclass(Tensor),
    )


def flip_vertical(sample: DetectionSample) -> DetectionSample:
    """Mirror top and bottom."""
    return replace(
        sample,
        image=TF.vertical_flip(sample.image),
        boxes=TF.vertical_flip(_on_canvas(sample.boxes, sample.size)).as_subclass(Tensor),
        masks=None if sample.masks is None else TF.vertical_flip(sample.masks),
        ignored=TF.vertical_flip(_on_canvas(sample.ignored, sample.size)).as_subclass(Tensor),
    )


def turn_left(sample: DetectionSample) -> DetectionSample:
    """Turn by a quarter, counter-clockwise."""
    width = sample.size[1]

    def turned(boxes: Tensor) -> Tensor:
        left, top, right, bottom = boxes.unbind(dim=1)
        return torch.stack([top, width - right, bottom, width - left], dim=1)

    return replace(
        sample,
        image=sample.image.rot90(1, (1, 2)),
        boxes=turned(sample.boxes),
        masks=None if sample.masks is None else sample.masks.rot90(1, (1, 2)),
        ignored=turned(sample.ignored),
    )


def _on_canvas(boxes: Tensor, size: Size) -> tv_tensors.BoundingBoxes:
    return tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size)


def without_small(sample: DetectionSample, minimum_side: float) -> DetectionSample:
    """Drop objects with a side below ``minimum_side`` pixels, without area, or without a pixel of mask."""
    boxes = clipped(sample.boxes, sample.size)
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = ((sides > 0) & (sides >= minimum_side)).all(dim=1)
    if sample.masks is not None:
        kept &= (sample.masks != 0).flatten(1).any(dim=1)
    return replace(
        sample,
        boxes=boxes[kept],
        labels=sample.labels[kept],
        masks=None if sample.masks is None else sample.masks[kept],
    )


def clipped(boxes: Tensor, size: Size) -> Tensor:
    """Boxes cut at the border of a picture of ``size``."""
    height, width = size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def mosaic(
    samples: Sequence[DetectionSample], size: Size, centre: Size, shares: Sequence[float]
) -> DetectionSample:
    """Put four pictures together around one point.

    Args:
        samples: Four samples: top left, top right, bottom left, bottom right.
        size: (height, width) of the result.
        centre: (y, x) where the four meet.
        shares: Four numbers in 0..1: which part of each picture is seen where it is longer than its place.
    """
    (height, width), (y, x) = size, centre
    places = ((0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width))
    image = samples[0].image.new_zeros((3, height, width))
    parts: list[DetectionSample] = []
    for sample, (top, left, bottom, right), share in zip(samples, places, shares, strict=True):
        part = _covering(sample, (bottom - top, right - left), share)
        image[:, top:bottom, left:right] = part.image
        shift = torch.tensor([left, top, left, top], dtype=torch.float32)
        masks = part.masks
        if masks is not None:
            masks = F.pad(masks, (left, width - right, top, height - bottom))
        parts.append(replace(part, boxes=part.boxes + shift, masks=masks, ignored=part.ignored + shift))
    all_masks = [part.masks for part in parts if part.masks is not None]
    whole = DetectionSample(
        image=image,
        boxes=torch.cat([part.boxes for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
        masks=torch.cat(all_masks) if len(all_masks) == len(parts) else None,
        ignored=torch.cat([part.ignored for part in parts]),
    )
    return with_boxes_of_masks(whole)


def _covering(sample: DetectionSample, size: Size, share: float) -> DetectionSample:
    """Resize so that ``size`` is just covered, and cut it out."""
    factor = max(new / old for new, old in zip(size, sample.size, strict=True))
    height, width = (max(new, round(old * factor)) for new, old in zip(size, sample.size, strict=True))
    top, left = round((height - size[0]) * share), round((width - size[1]) * share)
    return crop(resize(sample, (height, width)), top, left, *size)
