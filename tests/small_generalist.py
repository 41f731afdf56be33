# SPDX-License-Identifier: MIT
"""A generalist of a few hundred thousand random weights with the packaged vocabulary, for tests."""

from __future__ import annotations

from pathlib import Path

import torch

from intern25.generalist.config import GeneralistConfig, ProposalConfig, TextConfig
from intern25.generalist.files import save_generalist
from intern25.generalist.model import Generalist
from intern25.generalist.tokenizer import Tokenizer
from tests.small_model import SMALL

CONFIG = GeneralistConfig(
    backbone=SMALL,
    text=TextConfig(
        vocabulary=Tokenizer.packaged().vocabulary_size,
        width=40,
        layers=1,
        heads=2,
        feedforward=64,
        max_length=64,
    ),
    proposals=ProposalConfig(
        channels=32,
        heads=4,
        points=2,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=48,
        num_queries=8,
        denoising=3,
    ),
    width=32,
    layers=2,
    heads=4,
    feedforward=48,
    experts=4,
    active_experts=2,
    pooled_tokens=2,
    global_stage=2,
    region_tokens=4,
)


def small_generalist() -> Generalist:
    """Random weights, the same in every process, in evaluation mode, with outputs that differ."""
    torch.manual_seed(0)
    model = Generalist(CONFIG)
    with torch.no_grad():
        # As initialised, all pictures and all texts look nearly alike.
        model.special.normal_()
        model.text_core.embedding.weight.normal_(std=0.3)
        for name, parameter in model.decoder.named_parameters():
            if name.endswith("weight") and parameter.ndim > 1 and "router" not in name:
                parameter.normal_(std=0.15)
        for name, parameter in model.text_core.named_parameters():
            if "layers" in name and parameter.ndim > 1:
                parameter.normal_(std=0.15)
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.count_nonzero():
                parameter.normal_(std=0.01)  # what starts at zero passes no gradient on
    return model.eval()


def save_small_generalist(path: Path) -> Path:
    """Write it to a file."""
    save_generalist(path, small_generalist())
    return path
