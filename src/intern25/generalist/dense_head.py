# SPDX-License-Identifier: MIT
"""Pixels as embeddings that are compared with names: semantic segmentation of any vocabulary."""

# N batch, K names, h w pixels of the map at 1/4

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.layers.convolution import ConvNormReLU, PointwiseConv2d
from intern25.segmentation.losses import semantic_losses

NORM_EPS = 1e-6
"""Smallest length of a pixel's embedding."""


class DenseHead(nn.Module):
    """Mask features to embeddings in the space of the names.

    Args:
        channels: Channels of the mask features, a multiple of 32.
        width: Channels of the names.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.block = ConvNormReLU(channels, channels, 3, norm="GN")
        self.project = PointwiseConv2d(channels, width)

    def forward(self, mask_features: Tensor) -> Tensor:
        """``(N, channels, H/4, W/4)`` to ``(N, width, H/4, W/4)``, not normalised."""
        return cast(Tensor, self.project(self.block(mask_features)))


def dense_logits(pixels: Tensor, names: Tensor, scale: Tensor | float) -> Tensor:
    r"""Scores of every name at every pixel, :math:`s \cos(x, y)`.

    Args:
        pixels: ``(N, width, h, w)``.
        names: ``(K, width)``.
        scale: ``s``, such as the inverse temperature of the task.

    Returns:
        ``(N, K, h, w)``, to be enlarged by the loss or by the reader.

    Example:
        >>> pixels, names = torch.ones(1, 2, 1, 1), torch.tensor([[2.0, 2.0], [3.0, -3.0]])
        >>> dense_logits(pixels, names, 10.0).flatten()
        tensor([10.,  0.])
    """
    flat = pixels.flatten(2)
    # There are fewer names than channels: dividing the products is cheaper than dividing the pixels.
    length = torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp(min=NORM_EPS)
    products = torch.matmul(scale * F.normalize(names, dim=-1), flat)
    return cast(Tensor, (products / length).unflatten(2, pixels.shape[2:]))


def dense_head_losses(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: tuple[float, ...] = (),
    dice_weight: float = 0.0,
    coarse: bool = False,
) -> dict[str, Tensor]:
    """Cross entropy and dice of the scores of names.

    Args:
        logits: ``(N, K, h, w)`` from :func:`dense_logits`.
        labels: ``(N, H, W)`` indices of names, 255 where ignored.
        class_weights: Weight of each name in the cross entropy; empty for ones.
        dice_weight: Weight of the dice term; 0 leaves it out.
        coarse: Compare at the scores' resolution, a sixteenth of the work, instead of at the labels'.

    Returns:
        ``"loss_ce"`` and, with a weight, ``"loss_dice"``.
    """
    if coarse:
        labels = pick_labels(labels, (logits.shape[-2], logits.shape[-1]))
    return semantic_losses(logits, labels, class_weights=class_weights, dice_weight=dice_weight)


def pick_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels ``(N, H, W)`` at the centres of the cells of a map of ``size`` (height, width)."""
    centres = [
        ((torch.arange(cells, device=labels.device) + 0.5) * (pixels / cells)).long()
        for cells, pixels in zip(size, labels.shape[-2:], strict=True)
    ]
    return labels[:, centres[0][:, None], centres[1]]
