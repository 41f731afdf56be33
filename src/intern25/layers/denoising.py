# SPDX-License-Identifier: MIT
"""Contrastive denoising: noised copies of the objects as extra queries, which the decoder must repair.

A group holds one positive and one negative copy of every object: the noise of a positive stays within half a
side, that of a negative goes beyond it and must be answered with "no object". Groups do not see each other,
and object queries see no group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.layers.boxes import cxcywh_to_xyxy, inverse_sigmoid, xyxy_to_cxcywh

PADDING = -1
"""Label of a query that stands for no object: pictures of a batch have different numbers of them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Denoising:
    """Noised queries of a batch; ``P = 2 * groups * objects`` with the largest number of objects."""

    labels: Tensor
    """``(N, P)`` int64 noised labels; :data:`PADDING` for no object."""
    references: Tensor
    """``(N, P, 4)`` logits of noised boxes (centre x, centre y, width, height)."""
    groups: int
    """Number of groups, one after another: positives, then negatives."""

    @property
    def count(self) -> int:
        """Denoising queries ``P`` of a picture."""
        return self.labels.shape[1]

    @property
    def objects(self) -> int:
        """Places for objects in half a group."""
        return self.count // (2 * self.groups)


def denoising_queries(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    num_classes: int,
    num_denoising: int,
    label_noise: float,
    box_noise: float,
    generator: torch.Generator | None = None,
) -> Denoising:
    """Make the noised queries of a batch.

    Args:
        boxes: One ``(K, 4)`` a picture, centre x, centre y, width, height as shares of the picture.
        labels: One ``(K,)`` a picture.
        num_classes: Labels are drawn below this.
        num_denoising: Positive copies of a picture, over all groups.
        label_noise: Half of this share of the labels is drawn anew.
        box_noise: Scale of the boxes' noise, in halves of their sides.
        generator: Source of randomness on the boxes' device; None = the global one.

    Returns:
        The queries; none (``P = 0``) when no picture has an object.

    Source:
        DINO, arXiv:2203.03605, section 3.3.
    """
    counts = [len(box) for box in boxes]
    objects = max(counts, default=0)
    groups = max(num_denoising // max(objects, 1), 1)
    shape = (len(boxes), groups, 2, objects)
    device = boxes[0].device
    all_labels = torch.full(shape, PADDING, dtype=torch.int64, device=device)
    references = boxes[0].new_zeros((*shape, 4))
    for index, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        copies = (groups, 2, counts[index])
        noisy_labels = _noise_labels(label.expand(copies), num_classes, label_noise, generator)
        all_labels[index, :, :, : counts[index]] = noisy_labels
        noisy_boxes = _noise_boxes(box.expand(*copies, 4), box_noise, generator)
        references[index, :, :, : counts[index]] = inverse_sigmoid(noisy_boxes)
    return Denoising(labels=all_labels.flatten(1), references=references.flatten(1, 3), groups=groups)


def blocked_attention(denoising: Denoising, num_queries: int) -> Tensor:
    """Self-attention mask of denoising queries followed by object queries.

    Args:
        denoising: The denoising queries, ``P`` of a picture.
        num_queries: Object queries ``Q``.

    Returns:
        ``(P + Q, P + Q)`` bool, True where a row must not see a column.
    """
    count = denoising.count
    device = denoising.labels.device
    group = torch.arange(count, device=device) // max(2 * denoising.objects, 1)
    blocked = torch.zeros((count + num_queries,) * 2, dtype=torch.bool, device=device)
    blocked[:count, :count] = group[:, None] != group
    blocked[count:, :count] = True
    return blocked


def _noise_labels(
    labels: Tensor, num_classes: int, scale: float, generator: torch.Generator | None
) -> Tensor:
    chosen = torch.rand(labels.shape, device=labels.device, generator=generator) < scale * 0.5
    drawn = torch.randint(0, num_classes, labels.shape, device=labels.device, generator=generator)
    return torch.where(chosen, drawn, labels)


def _noise_boxes(boxes: Tensor, scale: float, generator: torch.Generator | None) -> Tensor:
    """Shift the corners of ``(groups, 2, K, 4)`` boxes: the first copy by less than half a side."""
    upwards = torch.rand(boxes.shape, device=boxes.device, generator=generator) < 0.5
    sign = torch.where(upwards, 1.0, -1.0).to(boxes.dtype)
    amount = torch.rand(boxes.shape, dtype=boxes.dtype, device=boxes.device, generator=generator)
    amount[:, 1] += 1.0
    half_sides = boxes[..., [2, 3, 2, 3]] * 0.5
    corners = cxcywh_to_xyxy(boxes) + sign * amount * half_sides * scale
    return xyxy_to_cxcywh(corners.clamp(0, 1))
