# SPDX-License-Identifier: MIT
"""What Mask R-CNN and its cascade share: backbone, pyramid, proposals, and the way to detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.backbones.internimage import InternImage
from intern25.detection.box_coding import full_precision
from intern25.detection.fpn import FPN
from intern25.detection.pasting import paste_masks
from intern25.detection.postprocessing import select_detections
from intern25.detection.rcnn_config import RCNNConfig
from intern25.detection.region_features import region_features
from intern25.detection.roi_heads import BoxHead, of_pictures
from intern25.detection.rpn import RPN
from intern25.detection.targets import DetectionTarget
from intern25.results import Detections

Size = tuple[int, int]
Losses = dict[str, Tensor]
Decisions = tuple[list[Tensor], Tensor, Tensor]


class TwoStageDetector(nn.Module):
    """Proposals first, decisions about them second; subclasses say how regions are decided and learnt.

    Args:
        config: Architecture.
        backbone: Any module that returns NCHW maps and has ``feature_info``; None builds ``config.backbone``.
    """

    def __init__(self, config: RCNNConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.backbone = InternImage(config.backbone) if backbone is None else backbone
        info = cast(FeatureInfo, self.backbone.feature_info)
        self.strides = tuple(info.reduction())
        self.fpn = FPN(info.channels(), config.fpn_channels)
        self.rpn = RPN(config, (*self.strides, 2 * self.strides[-1]))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the blocks of the backbone in the backward pass instead of keeping their activations."""
        if hasattr(self.backbone, "set_grad_checkpointing"):
            cast(Any, self.backbone).set_grad_checkpointing(enable)

    def forward(
        self,
        images: Tensor,
        image_sizes: Sequence[Size] | None = None,
        original_sizes: Sequence[Size] | None = None,
        targets: Sequence[DetectionTarget] | None = None,
    ) -> list[Detections] | Losses:
        """Detect, or with ``targets`` return losses.

        Args:
            images: Normalised ``(N, 3, H, W)``, padded with zeros at the right and the bottom.
            image_sizes: Height and width of every picture without padding; default no padding.
            original_sizes: Height and width before resizing, in whose pixels detections are given; default
                ``image_sizes``.
            targets: Objects of every picture in input pixels.

        Returns:
            Detections of every picture; with ``targets`` a dict of losses whose sum is to be minimised.

        Raises:
            ValueError: The arguments disagree, or a model in training mode got no targets.
        """
        sizes = _sizes(images, image_sizes, "image_sizes")
        if any(height > images.shape[2] or width > images.shape[3] for height, width in sizes):
            raise ValueError(f"image_sizes={sizes} exceed the images, {tuple(images.shape[2:])}")
        if targets is not None:
            return self.compute_losses(images, sizes, targets)
        if self.training:
            raise ValueError("in training mode give targets, or call eval() to detect")
        originals = sizes if original_sizes is None else _sizes(images, original_sizes, "original_sizes")
        return self.detect(images, sizes, originals)

    @torch.no_grad()
    def detect(
        self, images: Tensor, image_sizes: Sequence[Size], original_sizes: Sequence[Size]
    ) -> list[Detections]:
        """Detections of every picture in original pixels; arguments as of :meth:`forward`."""
        pyramid = self.fpn(self.backbone(images))
        proposals = [boxes for boxes, _ in self.rpn.propose(self.rpn(pyramid), image_sizes)]
        regions, logits, codes = self._decide(pyramid, proposals, image_sizes)
        found, scales = [], []
        parts = zip(regions, of_pictures(logits, regions), of_pictures(codes, regions), strict=True)
        for part, size, original in zip(parts, image_sizes, original_sizes, strict=True):
            scale = logits.new_tensor((size[1] / original[1], size[0] / original[0])).repeat(2)
            found.append(self._select(*part, size, scale))
            scales.append(scale)
        masks: list[Tensor | None] = [None] * len(found)
        if self.config.with_mask:
            boxes = [boxes * scale for (boxes, _, _), scale in zip(found, scales, strict=True)]
            labels = torch.cat([labels for _, _, labels in found])
            probabilities = of_pictures(self._masks(pyramid, boxes, labels), boxes)
            masks = [
                paste_masks(part, scaled / scale, size, threshold=self.config.mask_threshold)
                for part, scaled, scale, size in zip(
                    probabilities, boxes, scales, original_sizes, strict=True
                )
            ]
        return [
            _detections(*part, mask, size)
            for part, mask, size in zip(found, masks, original_sizes, strict=True)
        ]

    def compute_losses(
        self, images: Tensor, image_sizes: Sequence[Size], targets: Sequence[DetectionTarget]
    ) -> Losses:
        """Weighted losses of a batch; arguments as of :meth:`forward`."""
        self._check_targets(images, targets)
        targets = [target.to(images.device) for target in targets]
        pyramid = self.fpn(self.backbone(images))
        outputs = self.rpn(pyramid)
        losses = self.rpn.losses(outputs, image_sizes, targets)
        proposals = [boxes for boxes, _ in self.rpn.propose(outputs, image_sizes, training=True)]
        return losses | self._region_losses(pyramid, proposals, image_sizes, targets)

    def _decide(
        self, pyramid: Sequence[Tensor], proposals: list[Tensor], image_sizes: Sequence[Size]
    ) -> Decisions:
        """Regions of every picture, and over all of them class logits and box codes."""
        raise NotImplementedError

    def _masks(self, pyramid: Sequence[Tensor], boxes: list[Tensor], labels: Tensor) -> Tensor:
        """Probabilities ``(K, S, S)`` of the masks of the given classes in ``boxes`` of all pictures."""
        raise NotImplementedError

    def _region_losses(
        self,
        pyramid: Sequence[Tensor],
        proposals: list[Tensor],
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
    ) -> Losses:
        """Losses of everything behind the proposals."""
        raise NotImplementedError

    def _final_box_head(self) -> BoxHead:
        """Head whose codes make the boxes of the detections."""
        raise NotImplementedError

    def region_features(self, pyramid: Sequence[Tensor], boxes: Sequence[Tensor], size: int) -> Tensor:
        """Features ``(K, C, size, size)`` of the boxes of all pictures.

        The extra level of the pyramid is for proposals only.
        """
        return region_features(pyramid[: len(self.strides)], self.strides, boxes, size)

    def _select(
        self, regions: Tensor, logits: Tensor, codes: Tensor, size: Size, scale: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes in original pixels, scores and labels of the detections of one picture."""
        boxes = self._final_box_head().coder.decode(regions[:, None], codes, size=size) / scale
        return select_detections(
            boxes,
            logits.softmax(dim=1),
            score_threshold=self.config.score_threshold,
            nms_iou=self.config.nms_iou,
            max_detections=self.config.max_detections,
        )

    def _check_targets(self, images: Tensor, targets: Sequence[DetectionTarget]) -> None:
        if len(targets) != len(images):
            raise ValueError(f"got {len(targets)} targets for {len(images)} images")
        for number, target in enumerate(targets):
            wrong = (target.labels < 0) | (target.labels >= self.num_classes)
            if wrong.any():
                raise ValueError(
                    f"image {number}: label {int(target.labels[wrong][0])} is not one of the model's "
                    f"{self.num_classes} classes (0 to {self.num_classes - 1})"
                )
            flat = ~(target.boxes[:, 2:] > target.boxes[:, :2]).all(dim=1)
            if flat.any():
                raise ValueError(
                    f"image {number}: box {target.boxes[flat][0].tolist()} has no area; leave it out"
                )
            if self.config.with_mask and target.masks is None and len(target):
                raise ValueError(
                    f"image {number} has boxes but no masks; give masks, or use with_mask=False in the config"
                )


def mask_of_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities ``(K, S, S)`` of the class of each region, from ``(K, classes, S, S)`` logits."""
    chosen = logits[torch.arange(len(logits), device=logits.device), labels]
    return full_precision(chosen).sigmoid()


def _detections(
    boxes: Tensor, scores: Tensor, labels: Tensor, masks: Tensor | None, size: Size
) -> Detections:
    """The result of one picture, as arrays."""
    return Detections(
        boxes=boxes.float().cpu().numpy(),
        scores=scores.float().cpu().numpy(),
        labels=labels.cpu().numpy(),
        size=size,
        masks=None if masks is None else masks.cpu().numpy(),
    )


def _sizes(images: Tensor, sizes: Sequence[Size] | None, name: str) -> list[Size]:
    if images.ndim != 4:
        raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    if sizes is None:
        return [(images.shape[2], images.shape[3])] * len(images)
    if len(sizes) != len(images):
        raise ValueError(f"got {len(sizes)} {name} for {len(images)} images")
    if any(len(size) != 2 or min(size) < 1 for size in sizes):
        raise ValueError(f"{name}={list(sizes)} must be (height, width) of 1 pixel or more")
    return [(int(height), int(width)) for height, width in sizes]
