# SPDX-License-Identifier: MIT
"""What a training step minimises: a callable from model and batch to a loss and the values to log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.data.loader import ImageBatch


class Objective(Protocol):
    """Loss of one batch.

    ``model`` may be wrapped for several processes: use ``model(...)`` only, not its other methods.
    """

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """Return the scalar loss, a mean over the batch, and scalars to log."""
        ...


def smooth_one_hot(targets: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return ``(1 - s) * one_hot + s / num_classes``, ``(N, num_classes)`` float32."""
    soft = torch.full((len(targets), num_classes), smoothing / num_classes, device=targets.device)
    return soft.scatter_add_(1, targets[:, None], torch.full_like(soft[:, :1], 1.0 - smoothing))


class BatchMixer:
    """Mixup or CutMix of a batch with its own reverse, for images and any kind of soft target.

    Args:
        mixup: Strength (alpha) of mixup; 0 = off.
        cutmix: Strength (alpha) of cutmix; 0 = off.
        probability: Share of batches that are mixed.
    """

    def __init__(self, mixup: float, cutmix: float, probability: float = 1.0) -> None:
        self._mixup: Any = None
        if (mixup > 0 or cutmix > 0) and probability > 0:
            from timm.data.mixup import Mixup

            build: Any = Mixup  # timm's function is untyped
            self._mixup = build(mixup_alpha=mixup, cutmix_alpha=cutmix, prob=probability, switch_prob=0.5)

    def __call__(self, images: Tensor, soft_targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixed images and targets; draws from NumPy's global generator, as timm does.

        Args:
            images: ``(N, 3, H, W)``; left as they are.
            soft_targets: ``(N, ...)``, mixed with the same share as the images.
        """
        if self._mixup is None:
            return images, soft_targets
        images = images.clone()
        share = float(self._mixup._mix_batch(images))
        return images, soft_targets * share + soft_targets.flip(0) * (1.0 - share)


class ClassificationObjective:
    """Cross entropy with label smoothing, mixup and cutmix.

    Args:
        num_classes: Width of the logits.
        label_smoothing: Share of the target spread over all classes.
        mixer: Mixup and cutmix; None = off.
    """

    def __init__(
        self, num_classes: int, *, label_smoothing: float = 0.0, mixer: BatchMixer | None = None
    ) -> None:
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.mixer = mixer

    def __call__(self, model: nn.Module, batch: ImageBatch) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """Return the mean cross entropy of the batch."""
        images = batch.images
        soft = smooth_one_hot(batch.targets, self.num_classes, self.label_smoothing)
        if self.mixer is not None:
            images, soft = self.mixer(images, soft)
        logits = cast(Tensor, model(images)).float()
        return F.cross_entropy(logits, soft), {}
