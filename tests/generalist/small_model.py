# SPDX-License-Identifier: MIT
"""A generalist small enough for a test, random but always the same."""

from __future__ import annotations

import dataclasses

import torch

from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.generalist.config import GeneralistConfig, ProposalConfig, TextConfig
from intern25.generalist.model import Generalist

SMALL = GeneralistConfig(
    backbone=dataclasses.replace(INTERNIMAGE_NANO, channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8)),
    text=TextConfig(vocabulary=6144, width=32, layers=1, heads=2, feedforward=64, max_length=64),
    proposals=ProposalConfig(
        channels=32,
        heads=4,
        points=2,
        encoder_layers=1,
        decoder_layers=1,
        feedforward=48,
        num_queries=12,
        denoising=0,
    ),
    width=32,
    layers=2,
    heads=2,
    feedforward=64,
    experts=4,
    active_experts=2,
    pooled_tokens=2,
    global_stage=2,
    region_tokens=4,
)


def small_generalist(seed: int = 0) -> Generalist:
    torch.manual_seed(seed)
    model = Generalist(SMALL)
    for parameter in model.parameters():  # far from the start, where most tokens are alike
        if parameter.ndim > 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()
