# SPDX-License-Identifier: MIT
"""Small models and checkpoints in every layout."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_NANO, InternImageConfig
from intern25.weights.layouts import Layout, from_ours

TINY = dataclasses.replace(INTERNIMAGE_NANO, channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8))
VARIANTS = {
    "pre": TINY,
    "post": dataclasses.replace(TINY, block_norm="post", layer_scale=1e-5, offset_scale=2.0),
    "res_post": dataclasses.replace(
        TINY,
        block_norm="res_post",
        dw_kernel_size=5,
        center_feature_scale=True,
        extra_norm_blocks=(0,),
        head="attention_pool",
    ),
    "post_gate": dataclasses.replace(
        TINY, block_norm="post", center_feature_scale=True, head="attention_pool", extra_norm_blocks=(0,)
    ),
    "bn": dataclasses.replace(TINY, norm="BN", activation="SiLU", mlp_ratio=2.0),
    "no_center": dataclasses.replace(TINY, remove_center=True, layer_scale=1.0, offset_scale=0.5),
}


def noisy(model: nn.Module) -> nn.Module:
    """Give every tensor of a model its own values, so that a swap of two cannot go unseen."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor) * 0.1 + 0.5)
            else:
                tensor.fill_(7)
    return model


def classifier(config: InternImageConfig = TINY, num_classes: int = 10) -> InternImageClassifier:
    model = noisy(InternImageClassifier(config, num_classes))
    assert isinstance(model, InternImageClassifier)
    return model.eval()


def tensors_of(model: InternImageClassifier, layout: Layout = "official") -> dict[str, Tensor]:
    """A copy of the model's tensors under another layout's names."""
    return {name: t.clone() for name, t in from_ours(model.state_dict(), layout, model.config).items()}


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two models hold equal tensors under equal names."""
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
