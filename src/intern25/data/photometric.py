# SPDX-License-Identifier: MIT
"""Photometric distortion of training pictures: brightness, contrast, saturation and hue, each by chance."""

from __future__ import annotations

import random

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

BRIGHTNESS = 32.0
"""Largest change of brightness, grey levels."""
CONTRAST = 0.5
"""Largest relative change of contrast and of saturation."""
HUE = 0.1
"""Largest turn of the hue, as a share of the circle."""


def distort(image: Tensor, draw: random.Random) -> Tensor:
    """Change the colours of a picture; each of the four changes happens with probability 0.5.

    Args:
        image: ``(3, H, W)`` uint8, RGB.
        draw: Source of the draws.

    Returns:
        A picture of the same form.

    Source:
        The distortion of SSD (Liu et al., 2016) as OpenMMLab's segmentation recipes set it.
    """
    shift = draw.uniform(-BRIGHTNESS, BRIGHTNESS) if _chance(draw) else 0.0
    gain = draw.uniform(1 - CONTRAST, 1 + CONTRAST) if _chance(draw) else 1.0
    contrast_first = _chance(draw)
    image = _affine(image, gain if contrast_first else 1.0, shift)
    if _chance(draw):
        image = TF.adjust_saturation(image, draw.uniform(1 - CONTRAST, 1 + CONTRAST))
    if _chance(draw):
        image = TF.adjust_hue(image, draw.uniform(-HUE, HUE))
    return image if contrast_first else _affine(image, gain, 0.0)


def _chance(draw: random.Random) -> bool:
    return draw.random() < 0.5


def _affine(image: Tensor, gain: float, shift: float) -> Tensor:
    """Shift and then scale grey levels, clipped to 0..255."""
    if gain == 1.0 and shift == 0.0:
        return image
    return image.float().add_(shift).mul_(gain).round_().clamp_(0, 255).to(torch.uint8)
