# SPDX-License-Identifier: MIT
"""Small models and checkpoints in every layout."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_NANO, InternImageConfig
from intern25.detection.dino_config import DINO_NANO
from intern25.detection.rcnn_config import CASCADE_L, CASCADE_XL_CROWDHUMAN, MASK_RCNN_NANO
from intern25.segmentation.config import MASK2FORMER_H_CITYSCAPES, SEGFORMER_L, UPERNET_NANO
from intern25.weights.kinds import Blueprint, ModelConfig, kind_of_config
from intern25.weights.layouts import Layout, from_ours
from intern25.weights.matching import blueprint_of

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
_DINO = replace(
    DINO_NANO,
    backbone=TINY,
    num_classes=3,
    channels=32,
    heads=4,
    encoder_layers=1,
    decoder_layers=2,
    feedforward=32,
    num_queries=5,
)
HEADS: dict[str, ModelConfig] = {
    "mask_rcnn": replace(MASK_RCNN_NANO, backbone=TINY, num_classes=3, fpn_channels=32, box_head_width=32),
    "cascade_mask_rcnn": replace(
        CASCADE_L, backbone=TINY, num_classes=3, fpn_channels=32, box_head_width=32, mask_head_channels=32
    ),
    "cascade_crowd": replace(CASCADE_XL_CROWDHUMAN, backbone=TINY, fpn_channels=32, box_head_width=32),
    "dino": _DINO,
    "dino_slices": replace(_DINO, feedforward_slices=4),
    "cb_dino": replace(_DINO, composite=True, backbone=VARIANTS["res_post"]),
    "upernet": replace(UPERNET_NANO, backbone=TINY, num_classes=3, channels=16, auxiliary_channels=16),
    "segformer": replace(SEGFORMER_L, backbone=VARIANTS["post"], num_classes=3, channels=16),
    "mask2former": replace(
        MASK2FORMER_H_CITYSCAPES,
        backbone=VARIANTS["res_post"],
        num_classes=3,
        channels=32,
        heads=4,
        num_queries=5,
        encoder_feedforward=32,
        decoder_feedforward=32,
        encoder_layers=1,
        decoder_layers=3,
    ),
}
"""One small model of each kind with a head, and of each way their names differ."""


def head_model(name: str, num_classes: int | None = None) -> nn.Module:
    """A small detector or segmenter with its own value in every tensor."""
    config = HEADS[name]
    number = num_classes or getattr(config, "num_classes")  # noqa: B009 - no classifier is among them
    kind = kind_of_config(config)
    return noisy(Blueprint(kind=kind, config=config, num_classes=number).build(torch.device("cpu"))).eval()


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


def tensors_of(model: nn.Module, layout: Layout = "official") -> dict[str, Tensor]:
    """A copy of the model's tensors under another layout's names."""
    return {name: t.clone() for name, t in from_ours(model.state_dict(), layout, blueprint_of(model)).items()}


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two models hold equal tensors under equal names."""
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
