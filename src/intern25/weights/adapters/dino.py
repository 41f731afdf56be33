# SPDX-License-Identifier: MIT
"""Tensor names of the official DINO and CB-DINO detectors and ours, as one literal table."""
# Names after OpenGVLab/InternImage detection/mmdet_custom (MIT)

from __future__ import annotations

from intern25.detection.dino_config import DINOConfig
from intern25.weights.adapters.official import Pairs, backbone_pairs, expand

# (ours, official) of modules, or of whole tensors that are no module's own.
_HEAD = (
    ("level_embedding", "bbox_head.transformer.level_embeds"),
    ("query_selection.projection", "bbox_head.transformer.enc_output"),
    ("query_selection.norm", "bbox_head.transformer.enc_output_norm"),
    ("query_selection.content", "bbox_head.transformer.query_embed.weight"),
    ("decoder.position.layers.0", "bbox_head.transformer.decoder.ref_point_head.0"),
    ("decoder.position.layers.1", "bbox_head.transformer.decoder.ref_point_head.2"),
    ("decoder.norm", "bbox_head.transformer.decoder.norm"),
    ("label_embedding", "bbox_head.label_embedding"),
)
_NECK = (
    ("neck.{ours}.{index}.conv", "{neck}.{ours}.{index}.conv"),
    ("neck.{ours}.{index}.norm", "{neck}.{ours}.{index}.gn"),
)
_BOX_HEAD = (
    ("{ours}.layers.0", "{official}.0"),
    ("{ours}.layers.1", "{official}.2"),
    ("{ours}.layers.2", "{official}.4"),
)
_DEFORMABLE_ATTENTION = tuple(
    (f"{{ours}}.{name}", f"{{official}}.{name}")
    for name in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
)
_FEEDFORWARD = (
    ("{ours}.feedforward.fc1", "{official}.ffns.0.layers.0.0"),
    ("{ours}.feedforward.fc2", "{official}.ffns.0.layers.1"),
)
_FEEDFORWARD_SLICE = (
    ("{ours}.feedforward.fc1.{index}", "{official}.ffns.0.fc1_{index}"),
    ("{ours}.feedforward.fc2.{index}", "{official}.ffns.0.fc2_{index}"),
)
_FEEDFORWARD_BIAS = (("{ours}.feedforward.bias", "{official}.ffns.0.fc2_bias"),)
_ENCODER_NORMS = (
    ("{ours}.norm", "{official}.norms.0"),
    ("{ours}.feedforward.norm", "{official}.norms.1"),
)
_DECODER_LAYER = (
    ("{ours}.self_attention.attention", "{official}.attentions.0.attn"),
    ("{ours}.self_attention.attention.out_proj", "{official}.attentions.0.attn.out_proj"),
    ("{ours}.self_attention.norm", "{official}.norms.0"),
    ("{ours}.cross_norm", "{official}.norms.1"),
    ("{ours}.feedforward.norm", "{official}.norms.2"),
)
_GAMMA = (("backbone.gammas.{stage}", "backbone.cb_modules.1.gamma{stage}"),)
_CONNECTION = (("backbone.connections.{stage}.{index}", "backbone.cb_linears.{stage}.{step}"),)
_STAGES = 4
_BACKBONE_LEVELS = 3


def pairs(config: DINOConfig) -> Pairs:
    """Names of a detector's modules and tensors, ``(ours, official)``.

    Example:
        >>> from intern25.detection.dino_config import DINO_T
        >>> ("label_embedding", "bbox_head.label_embedding") in pairs(DINO_T)
        True
    """
    return [*_backbone(config), *_neck(config), *_HEAD, *_encoder(config), *_decoder(config)]


def _backbone(config: DINOConfig) -> Pairs:
    if not config.composite:
        return backbone_pairs(config.backbone)
    rows = backbone_pairs(config.backbone, "backbone.assisting", "backbone.cb_modules.0")
    lead = backbone_pairs(config.backbone, "backbone.lead", "backbone.cb_modules.1")
    # The lead backbone has no stem of its own.
    rows += [row for row in lead if not row[0].startswith("backbone.lead.stem.")]
    for stage in range(_STAGES):
        rows += expand(_GAMMA, stage=stage)
        for index in range(_STAGES - 1 - stage):
            rows += expand(_CONNECTION, stage=stage, index=index, step=index + 1)
    return rows


def _neck(config: DINOConfig) -> Pairs:
    neck = "neck.0" if config.composite else "neck"
    rows: Pairs = []
    for index in range(_BACKBONE_LEVELS):
        rows += expand(_NECK, ours="convs", neck=neck, index=index)
    for index in range(config.levels - _BACKBONE_LEVELS):
        rows += expand(_NECK, ours="extra_convs", neck=neck, index=index)
    return rows


def _encoder(config: DINOConfig) -> Pairs:
    rows: Pairs = []
    for layer in range(config.encoder_layers):
        ours, official = f"encoder.layers.{layer}", f"bbox_head.transformer.encoder.layers.{layer}"
        rows += expand(_DEFORMABLE_ATTENTION, ours=f"{ours}.attention", official=f"{official}.attentions.0")
        rows += expand(_ENCODER_NORMS, ours=ours, official=official)
        rows += _feedforward(config, ours, official)
    return rows


def _decoder(config: DINOConfig) -> Pairs:
    rows: Pairs = []
    for layer in range(config.decoder_layers):
        ours, official = f"decoder.layers.{layer}", f"bbox_head.transformer.decoder.layers.{layer}"
        cross = {"ours": f"{ours}.cross_attention", "official": f"{official}.attentions.1"}
        rows += expand(_DEFORMABLE_ATTENTION, **cross)
        rows += expand(_DECODER_LAYER, ours=ours, official=official)
        rows += _feedforward(config, ours, official)
        rows.append((f"decoder.class_heads.{layer}", f"bbox_head.cls_branches.{layer}"))
        box_head = {"ours": f"decoder.box_heads.{layer}", "official": f"bbox_head.reg_branches.{layer}"}
        rows += expand(_BOX_HEAD, **box_head)
    last = config.decoder_layers
    rows.append(("query_selection.class_head", f"bbox_head.cls_branches.{last}"))
    rows += expand(_BOX_HEAD, ours="query_selection.box_head", official=f"bbox_head.reg_branches.{last}")
    return rows


def _feedforward(config: DINOConfig, ours: str, official: str) -> Pairs:
    if config.feedforward_slices == 1:
        return expand(_FEEDFORWARD, ours=ours, official=official)
    rows = expand(_FEEDFORWARD_BIAS, ours=ours, official=official)
    for index in range(config.feedforward_slices):
        rows += expand(_FEEDFORWARD_SLICE, ours=ours, official=official, index=index)
    return rows
