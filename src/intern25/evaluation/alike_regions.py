# SPDX-License-Identifier: MIT
"""The same work for every R-CNN with random weights: as many proposals, detections and masks of like sizes.

What random weights propose is an accident: saturated scores, boxes beyond the picture, no score above the
threshold. Here every layer computes as ever, but seeded numbers take the place of the scores, and boxes stay
the anchors.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

_SHARE = 200
"""Ranks over which objectness falls by a factor of e."""
_LOGITS = (3.0, 8.0)
"""Range of the logit of the one class a region shows; those of the others are 0."""


def make_regions_alike(
    *, objectness: nn.Module, anchor_codes: nn.Module, classes: nn.Module, region_codes: nn.Module
) -> None:
    """Let the last layers of an R-CNN decide what those of every other decide.

    Args:
        objectness: Layer that scores anchors, ``(N, shapes, h, w)``.
        anchor_codes: Layer that moves anchors.
        classes: Layer that scores the classes of regions, ``(K, classes + 1)``, background first or last.
        region_codes: Layer that moves regions.
    """
    for layer in (anchor_codes, region_codes):
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    objectness.register_forward_hook(lambda _, __, output: _objectness(output.shape[1:]).expand_as(output))
    classes.register_forward_hook(lambda _, __, output: _class_logits(*output.shape))


@functools.cache
def _objectness(shape: torch.Size) -> Tensor:
    """Logits by random rank, so that coarse levels, of fewer anchors, are proposed as often as fine ones."""
    ranks = torch.randperm(shape.numel(), generator=torch.Generator().manual_seed(2))
    return -ranks.view(shape) / _SHARE


@functools.cache
def _class_logits(regions: int, classes: int) -> Tensor:
    """Every region is one object: neither the first nor the last class, one of which is the background."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(1, classes - 1, (regions, 1), generator=generator)
    low, high = _LOGITS
    logits = low + (high - low) * torch.rand(regions, 1, generator=generator)
    return torch.zeros(regions, classes).scatter_(1, labels, logits)
