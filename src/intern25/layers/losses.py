# SPDX-License-Identifier: MIT
"""Losses of detectors and segmenters, each weighted per item and divided by a given count.

Every loss is ``sum(weight * item) / avg_factor``; without ``avg_factor`` it is the mean of the items.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.layers.boxes import OVERLAP_EPS, giou


def sigmoid_focal_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    r"""Focal loss of independent classes, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Args:
        logits: ``(N, classes)``.
        labels: ``(N,)`` int64 from 0 to ``classes``; ``classes`` itself means background.
        alpha: Weight of the positive entries, ``1 - alpha`` of the negative ones.
        gamma: How much easy entries count less.
        weight: ``(N,)`` or ``(N, classes)`` weights.
        avg_factor: Divisor of the sum; None = the number of entries.

    Returns:
        A scalar.

    Source:
        Focal Loss, arXiv:1708.02002, equation 5.
    """
    targets = _one_hot(labels, logits)
    probability = logits.sigmoid()
    wrong = torch.where(targets, 1 - probability, probability)
    positive = targets.to(logits.dtype)
    balance = alpha * positive + (1 - alpha) * (1 - positive)
    entropy = F.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    loss = entropy * balance * wrong**gamma
    if weight is not None and weight.ndim == 1:
        weight = weight[:, None]
    return reduce_loss(loss, weight, avg_factor)


def quality_focal_loss(
    logits: Tensor,
    qualities: Tensor,
    *,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    r"""Cross entropy with a target between 0 and 1, :math:`|t - p|^\gamma (-t \log p - (1 - t) \log(1 - p))`.

    Args:
        logits: Any shape; p is their sigmoid.
        qualities: The same shape: t, such as the IoU of a box with its object, 0 for background.
        gamma: How much entries that are nearly right count less.
        weight: Weights, broadcastable.
        avg_factor: Divisor of the sum; None = the number of entries.

    Returns:
        A scalar.

    Source:
        Generalized Focal Loss, arXiv:2006.04388, equation 5.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, qualities, reduction="none")
    return reduce_loss(entropy * (qualities - logits.sigmoid()).abs() ** gamma, weight, avg_factor)


def smooth_l1_loss(
    predictions: Tensor,
    targets: Tensor,
    *,
    beta: float = 1.0,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    r"""Parabola :math:`d^2 / 2\beta` below ``beta``, line :math:`d - \beta/2` above; L1 with ``beta=0``.

    Args:
        predictions: Any shape.
        targets: The same shape.
        beta: Where the parabola meets the line.
        weight: Weights, broadcastable.
        avg_factor: Divisor of the sum; None = the number of elements.

    Returns:
        A scalar.

    Source:
        Fast R-CNN, arXiv:1504.08083, equation 3.
    """
    loss = F.smooth_l1_loss(predictions, targets, beta=beta, reduction="none")
    return reduce_loss(loss, weight, avg_factor)


def giou_loss(
    predictions: Tensor,
    targets: Tensor,
    *,
    eps: float = OVERLAP_EPS,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """One minus the generalised IoU of each pair.

    Args:
        predictions: ``(N, 4)`` boxes, left, top, right, bottom.
        targets: ``(N, 4)`` boxes.
        eps: Smallest union and smallest enclosing area.
        weight: ``(N,)`` weights.
        avg_factor: Divisor of the sum; None = N.

    Returns:
        A scalar.

    Source:
        Generalized Intersection over Union, arXiv:1902.09630.
    """
    return reduce_loss(1 - giou(predictions, targets, eps=eps), weight, avg_factor)


def dice_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    eps: float = 1.0,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    r"""Dice loss of binary masks, :math:`1 - (2 \sum p t + \epsilon) / (\sum p + \sum t + \epsilon)`.

    Args:
        logits: ``(N, points)``; p is their sigmoid.
        targets: ``(N, points)``, 0 or 1.
        eps: Added to numerator and denominator.
        weight: ``(N,)`` weights.
        avg_factor: Divisor of the sum; None = N.

    Returns:
        A scalar.

    Source:
        V-Net, arXiv:1606.04797; MaskFormer, arXiv:2107.06278.
    """
    probability = logits.sigmoid().flatten(1)
    targets = targets.to(probability.dtype).flatten(1)
    overlap = (probability * targets).sum(dim=1)
    total = probability.sum(dim=1) + targets.sum(dim=1)
    return reduce_loss(1 - (2 * overlap + eps) / (total + eps), weight, avg_factor)


def reduce_loss(loss: Tensor, weight: Tensor | None, avg_factor: float | Tensor | None) -> Tensor:
    """Weighted sum over ``avg_factor``, or the mean; an empty loss is a zero that still has a gradient."""
    if weight is not None:
        loss = loss * weight
    if avg_factor is not None:
        return loss.sum() / avg_factor
    return loss.sum() / max(loss.numel(), 1)


def _one_hot(labels: Tensor, logits: Tensor) -> Tensor:
    """``(N, classes)`` bool; a row of background is all False."""
    return labels[:, None] == torch.arange(logits.shape[1], device=logits.device)


def mean_count(count: int | Tensor, device: torch.device | str) -> Tensor:
    """Mean over all training processes of a number of positives, at least 1: an ``avg_factor``."""
    total = torch.as_tensor(count, dtype=torch.float32, device=device).detach().clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(total)
        total = total / torch.distributed.get_world_size()
    return total.clamp(min=1)
