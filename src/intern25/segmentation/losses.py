# SPDX-License-Identifier: MIT
"""Losses of a map of class scores: cross entropy over every pixel, soft dice over the classes present."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from intern25.layers.convolution import resize
from intern25.segmentation.config import IGNORE

DICE_EPS = 1.0
"""Added to numerator and denominator of the dice term, in pixels."""


def semantic_losses(
    scores: Tensor, labels: Tensor, *, class_weights: tuple[float, ...] = (), dice_weight: float = 0.0
) -> dict[str, Tensor]:
    """Losses of class scores that are enlarged to the labels' size.

    Convention: as in mmsegmentation, the cross entropy is averaged over all pixels, the ignored ones included
    with a loss of 0, so that an image without labels costs nothing and yields no NaN.

    Args:
        scores: ``(N, classes, h, w)`` before softmax.
        labels: ``(N, H, W)`` integers, 255 where ignored.
        class_weights: Weight of each class in the cross entropy; empty for ones.
        dice_weight: Weight of the dice term; 0 leaves it out.

    Returns:
        ``"loss_ce"`` and, with a weight, ``"loss_dice"``.
    """
    height, width = labels.shape[-2:]
    # Half types would lose the sums over thousands of pixels.
    scores = resize(scores.to(torch.promote_types(scores.dtype, torch.float32)), (height, width))
    labels = labels.long()
    weights = scores.new_tensor(class_weights) if class_weights else None
    # One softmax over every pixel serves both losses.
    log_probability = scores.log_softmax(dim=1)
    entropy = F.nll_loss(log_probability, labels, weights, reduction="none", ignore_index=IGNORE)
    losses = {"loss_ce": entropy.mean()}
    if dice_weight:
        losses["loss_dice"] = dice_weight * semantic_dice(log_probability.exp(), labels)
    return losses


def semantic_dice(probability: Tensor, labels: Tensor) -> Tensor:
    r"""One minus the soft dice coefficient, averaged over the classes that occur in the batch.

    .. math:: 1 - \frac{2 \sum_i p_{ic} t_{ic} + 1}{\sum_i p_{ic} + \sum_i t_{ic} + 1}

    Args:
        probability: ``p``, ``(N, classes, H, W)``.
        labels: ``(N, H, W)`` int64, 255 where ignored; ``t`` is 1 at the pixels of class ``c``.

    Returns:
        A scalar; 0, with a gradient of 0, where every pixel is ignored.

    Source:
        V-Net, arXiv:1606.04797.
    """
    valid = labels != IGNORE
    classes = probability.shape[1]
    probability = probability * valid[:, None]
    known = torch.where(valid, labels, 0)
    overlap = torch.zeros(classes, dtype=probability.dtype, device=probability.device)
    chosen = probability.gather(1, known[:, None]).flatten()  # 0 where ignored
    overlap = overlap.scatter_add(0, known.flatten(), chosen)
    counts = torch.bincount(known[valid], minlength=classes).to(probability.dtype)
    dice = (2 * overlap + DICE_EPS) / (probability.sum(dim=(0, 2, 3)) + counts + DICE_EPS)
    present = counts > 0
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)
