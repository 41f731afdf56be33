# SPDX-License-Identifier: MIT
"""A proposal network small enough for a test, and pictures of rectangles and discs."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.generalist.config import ProposalConfig
from intern25.generalist.proposal_targets import ProposalTargets
from intern25.generalist.proposals import ProposalNetwork

BACKBONE = dataclasses.replace(INTERNIMAGE_NANO, channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8))
CONFIG = ProposalConfig(
    channels=32,
    heads=4,
    points=2,
    encoder_layers=1,
    decoder_layers=2,
    feedforward=48,
    num_queries=12,
    denoising=25,
)
MAP_CHANNELS = [8, 16, 24, 32]
SIDE = 96
"""Height and width of a made picture."""


def small_network(**options: int) -> ProposalNetwork:
    return ProposalNetwork(dataclasses.replace(CONFIG, **options), MAP_CHANNELS)


def random_maps(
    batch: int, size: tuple[int, int] = (64, 96), *, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    height, width = size
    return [
        torch.randn(batch, channels, height // stride, width // stride, dtype=dtype)
        for channels, stride in zip(MAP_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def random_targets(
    count: int, size: tuple[int, int] | None = (64, 96), *, dtype: torch.dtype = torch.float32
) -> ProposalTargets:
    """Boxes anywhere; with a size their masks are filled boxes at that resolution."""
    low = torch.rand(count, 2, dtype=dtype) * 0.6
    boxes = torch.cat((low, low + 0.1 + 0.3 * torch.rand(count, 2, dtype=dtype)), dim=1)
    if size is None:
        return ProposalTargets(boxes=boxes)
    height, width = size
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5) / height
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])
    columns = (x >= boxes[:, 0:1]) & (x < boxes[:, 2:3])
    return ProposalTargets(boxes=boxes, masks=rows[:, :, None] & columns[:, None])


def shapes_picture(generator: torch.Generator, objects: int = 4) -> tuple[Tensor, ProposalTargets]:
    """Coloured rectangles and discs, in turns, that do not touch, on noise; ``(3, 96, 96)`` in -1..1."""
    image = torch.rand(3, SIDE, SIDE, generator=generator) * 0.4
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    masks: list[Tensor] = []
    boxes: list[list[int]] = []
    while len(masks) < objects:
        width, height = torch.randint(12, 40, (2,), generator=generator).tolist()
        left = int(torch.randint(0, SIDE - width, (1,), generator=generator))
        top = int(torch.randint(0, SIDE - height, (1,), generator=generator))
        mask = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
        if len(masks) % 2:
            across, down = (x + 0.5 - left) / width - 0.5, (y + 0.5 - top) / height - 0.5
            mask &= across**2 + down**2 <= 0.25
        if any(bool((mask & other).any()) for other in masks):
            continue
        image[:, mask] = torch.rand(3, 1, generator=generator) * 0.6 + 0.4
        masks.append(mask)
        boxes.append([left, top, left + width, top + height])
    return image * 2 - 1, ProposalTargets.of_pixels(
        torch.tensor(boxes, dtype=torch.float32), (SIDE, SIDE), torch.stack(masks)
    )
