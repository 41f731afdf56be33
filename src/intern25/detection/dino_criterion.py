# SPDX-License-Identifier: MIT
"""Losses of DINO: one-to-one matched classes and boxes of every layer, and repaired denoising queries."""

# N batch, Q queries, T objects of one picture, K classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.detection.targets import DetectionTarget
from intern25.layers.boxes import cxcywh_to_xyxy, giou_matrix, xyxy_to_cxcywh
from intern25.layers.denoising import Denoising
from intern25.layers.losses import giou_loss, mean_count, sigmoid_focal_loss, smooth_l1_loss
from intern25.layers.matching import focal_cost, hungarian

Losses = dict[str, Tensor]
Size = tuple[int, int]

CLASS_COST, BOX_COST, GIOU_COST = 2.0, 5.0, 2.0
CLASS_WEIGHT, BOX_WEIGHT, GIOU_WEIGHT = 1.0, 5.0, 2.0
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """The objects of one picture as the losses need them."""

    boxes: Tensor
    """``(T, 4)`` centre x, centre y, width, height as shares of the picture."""
    labels: Tensor
    """``(T,)`` int64."""
    scale: Tensor
    """``(4,)`` width, height, width, height of the picture in pixels."""

    @classmethod
    def of(cls, target: DetectionTarget, size: Size, like: Tensor) -> Objects:
        """Objects of a target in a picture of ``size`` (height, width), in the type and place of ``like``."""
        height, width = size
        scale = torch.tensor((width, height, width, height), dtype=like.dtype, device=like.device)
        boxes = target.boxes.to(like) / scale
        return cls(boxes=xyxy_to_cxcywh(boxes), labels=target.labels.to(like.device), scale=scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """Which query answers for which object, over a batch."""

    pictures: Tensor
    """``(P,)`` picture of every pair."""
    queries: Tensor
    """``(P,)`` query of every pair."""
    objects: Tensor
    """``(P,)`` object of every pair, counted within its picture."""


def matching_cost(logits: Tensor, boxes: Tensor, objects: Objects) -> Tensor:
    r"""Cost of every query for every object: focal, L1 of the boxes and negative generalised IoU.

    Args:
        logits: ``(Q, K)``.
        boxes: ``(Q, 4)`` centre x, centre y, width, height as shares of the picture.
        objects: The picture's objects.

    Returns:
        ``(Q, T)``.
    """
    class_cost = focal_cost(logits, alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA)[:, objects.labels]
    box_cost = torch.cdist(boxes, objects.boxes, p=1)
    overlap = giou_matrix(
        cxcywh_to_xyxy(boxes) * objects.scale, cxcywh_to_xyxy(objects.boxes) * objects.scale
    )
    return CLASS_COST * class_cost + BOX_COST * box_cost - GIOU_COST * overlap


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, objects: Sequence[Objects]) -> Assignment:
    """Match queries and objects of every picture one to one (Hungarian algorithm).

    Args:
        logits: ``(N, Q, K)``.
        boxes: ``(N, Q, 4)``.
        objects: One a picture.

    Raises:
        ValueError: The predictions are not finite.
    """
    pairs = []
    for index, item in enumerate(objects):
        queries, found = hungarian(matching_cost(logits[index], boxes[index], item))
        pairs.append((torch.full_like(queries, index), queries, found))
    pictures, queries, found = (torch.cat(column) for column in zip(*pairs, strict=True))
    return Assignment(pictures=pictures, queries=queries, objects=found)


def denoising_assignment(denoising: Denoising, objects: Sequence[Objects]) -> Assignment:
    """Positive denoising queries and the objects they were made from; every other one is background."""
    device = denoising.labels.device
    starts = torch.arange(denoising.groups, device=device)[:, None] * (2 * denoising.objects)
    pairs = []
    for index, item in enumerate(objects):
        found = torch.arange(len(item.labels), device=device).expand(denoising.groups, -1)
        queries = (starts + found).flatten()
        pairs.append((torch.full_like(queries, index), queries, found.flatten()))
    pictures, queries, found = (torch.cat(column) for column in zip(*pairs, strict=True))
    return Assignment(pictures=pictures, queries=queries, objects=found)


def set_losses(
    logits: Tensor,
    boxes: Tensor,
    objects: Sequence[Objects],
    assignment: Assignment,
    class_mask: Tensor | None = None,
) -> Losses:
    """Weighted losses of one set of predictions.

    Args:
        logits: ``(N, Q, K)``.
        boxes: ``(N, Q, 4)`` centre x, centre y, width, height as shares of the picture.
        objects: One a picture.
        assignment: Pairs of query and object; all other queries are background.
        class_mask: ``(K,)`` bool, False for classes the classification loss leaves out.

    Returns:
        ``loss_class``, ``loss_box`` and ``loss_giou``, each divided by the number of pairs.
    """
    wanted = [
        (item.labels[indices], item.boxes[indices], item.scale.expand(len(indices), 4))
        for index, item in enumerate(objects)
        for indices in [assignment.objects[assignment.pictures == index]]
    ]
    wanted_labels, wanted_boxes, scale = (torch.cat(column) for column in zip(*wanted, strict=True))
    labels = torch.full(logits.shape[:2], logits.shape[2], dtype=torch.int64, device=logits.device)
    labels[assignment.pictures, assignment.queries] = wanted_labels
    count = mean_count(len(wanted_labels), logits.device).to(logits.dtype)
    predicted = boxes[assignment.pictures, assignment.queries]
    corners, wanted_corners = (cxcywh_to_xyxy(box) * scale for box in (predicted, wanted_boxes))
    weight = None if class_mask is None else class_mask.to(logits.dtype)[None]
    loss_class = sigmoid_focal_loss(
        logits.flatten(0, 1),
        labels.flatten(),
        alpha=FOCAL_ALPHA,
        gamma=FOCAL_GAMMA,
        weight=weight,
        avg_factor=count,
    )
    loss_box = smooth_l1_loss(predicted, wanted_boxes, beta=0.0, avg_factor=count)
    loss_giou = giou_loss(corners, wanted_corners, avg_factor=count)
    return {
        "loss_class": CLASS_WEIGHT * loss_class,
        "loss_box": BOX_WEIGHT * loss_box,
        "loss_giou": GIOU_WEIGHT * loss_giou,
    }


def federated_class_mask(
    objects: Sequence[Objects],
    num_classes: int,
    count: int,
    frequencies: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Classes the loss looks at: those present in the batch, filled up to ``count`` by random others.

    LVIS names the absent classes of a picture only in part, so most classes of most pictures are unknown.

    Args:
        objects: The batch.
        num_classes: Classes ``K``.
        count: Classes wanted; more when more are present.
        frequencies: ``(K,)`` pictures of every class; drawn by their square root. None = all alike.
        generator: Source of randomness; None = the global one.

    Returns:
        ``(K,)`` bool.

    Source:
        Federated loss of Probabilistic two-stage detection, arXiv:2103.07461.
    """
    present = torch.cat([item.labels for item in objects]).unique()
    device = present.device
    mask = torch.zeros(num_classes, dtype=torch.bool, device=device)
    mask[present] = True
    chances = torch.ones(num_classes, device=device) if frequencies is None else frequencies.to(device).sqrt()
    chances = chances.masked_fill(mask, 0)
    missing = min(count - len(present), int((chances > 0).sum()))
    if missing > 0:
        mask[torch.multinomial(chances, missing, generator=generator)] = True
    return mask
