# SPDX-License-Identifier: MIT
"""Tensor names of the official segmenters (mmsegmentation) and ours, as literal tables."""

from __future__ import annotations

from intern25.segmentation.config import Mask2FormerConfig, SegFormerConfig, SegmenterConfig, UperNetConfig
from intern25.weights.adapters.official import Pairs, backbone_pairs, expand

_CONV_BN = (
    ("{ours}.conv", "{official}.conv"),
    ("{ours}.norm", "{official}.bn"),
)
_CONV_GN = (
    ("{ours}.conv", "{official}.conv"),
    ("{ours}.norm", "{official}.gn"),
)
_CLASSIFIER = (("decode_head.classifier.conv", "decode_head.conv_seg"),)
_AUXILIARY_CLASSIFIER = (("auxiliary_head.classifier.conv", "auxiliary_head.conv_seg"),)
_ENCODER_LAYER = (
    ("{ours}.attention.sampling_offsets", "{official}.attentions.0.sampling_offsets"),
    ("{ours}.attention.attention_weights", "{official}.attentions.0.attention_weights"),
    ("{ours}.attention.value_proj", "{official}.attentions.0.value_proj"),
    ("{ours}.attention.output_proj", "{official}.attentions.0.output_proj"),
    ("{ours}.norm", "{official}.norms.0"),
    ("{ours}.feedforward.fc1", "{official}.ffns.0.layers.0.0"),
    ("{ours}.feedforward.fc2", "{official}.ffns.0.layers.1"),
    ("{ours}.feedforward.norm", "{official}.norms.1"),
)
_DECODER_LAYER = (
    ("{ours}.cross_attention.attention", "{official}.attentions.0.attn"),
    ("{ours}.cross_attention.attention.out_proj", "{official}.attentions.0.attn.out_proj"),
    ("{ours}.cross_attention.norm", "{official}.norms.0"),
    ("{ours}.self_attention.attention", "{official}.attentions.1.attn"),
    ("{ours}.self_attention.attention.out_proj", "{official}.attentions.1.attn.out_proj"),
    ("{ours}.self_attention.norm", "{official}.norms.1"),
    ("{ours}.feedforward.fc1", "{official}.ffns.0.layers.0.0"),
    ("{ours}.feedforward.fc2", "{official}.ffns.0.layers.1"),
    ("{ours}.feedforward.norm", "{official}.norms.2"),
)
_MASK2FORMER = (
    ("pixel_decoder.level_embedding", "decode_head.pixel_decoder.level_encoding"),
    ("pixel_decoder.mask_features", "decode_head.pixel_decoder.mask_feature"),
    ("decoder.query_features", "decode_head.query_feat"),
    ("decoder.query_position", "decode_head.query_embed"),
    ("decoder.level_embedding", "decode_head.level_embed"),
    ("decoder.norm", "decode_head.transformer_decoder.post_norm"),
    ("decoder.classifier", "decode_head.cls_embed"),
    ("decoder.mask_embedding.layers.0", "decode_head.mask_embed.0"),
    ("decoder.mask_embedding.layers.1", "decode_head.mask_embed.2"),
    ("decoder.mask_embedding.layers.2", "decode_head.mask_embed.4"),
)


def pairs(config: SegmenterConfig) -> Pairs:
    """Names of a segmenter's modules in both layouts, the backbone's included.

    Args:
        config: Architecture of the segmenter.

    Returns:
        ``(ours, official)`` of every module, and of every tensor that is not a module's own.

    Example:
        >>> from intern25.segmentation.config import UPERNET_T
        >>> pairs(UPERNET_T)[-1]
        ('auxiliary_head.classifier.conv', 'auxiliary_head.conv_seg')
    """
    if isinstance(config, UperNetConfig):
        head = _upernet_pairs(config)
    elif isinstance(config, SegFormerConfig):
        head = _segformer_pairs()
    else:
        head = _mask2former_pairs(config)
    return [*backbone_pairs(config.backbone), *head]


def _upernet_pairs(config: UperNetConfig) -> Pairs:
    modules = [
        *(
            (f"decode_head.pyramid_pooling.convs.{index}", f"decode_head.psp_modules.{index}.1")
            for index in range(len(config.pool_sizes))
        ),
        ("decode_head.pyramid_pooling.bottleneck", "decode_head.bottleneck"),
        *((f"decode_head.laterals.{level}", f"decode_head.lateral_convs.{level}") for level in range(3)),
        *((f"decode_head.outputs.{level}", f"decode_head.fpn_convs.{level}") for level in range(3)),
        ("decode_head.fusion", "decode_head.fpn_bottleneck"),
    ]
    last = list(_CLASSIFIER)
    if config.auxiliary_channels:
        modules.append(("auxiliary_head.conv", "auxiliary_head.convs.0"))
        last += _AUXILIARY_CLASSIFIER
    return [*_expand_all(_CONV_BN, modules), *last]


def _segformer_pairs() -> Pairs:
    modules = [
        *((f"decode_head.projections.{level}", f"decode_head.convs.{level}") for level in range(4)),
        ("decode_head.fusion", "decode_head.fusion_conv"),
    ]
    return [*_expand_all(_CONV_BN, modules), *_CLASSIFIER]


def _mask2former_pairs(config: Mask2FormerConfig) -> Pairs:
    official = "decode_head.pixel_decoder"
    convolutions = [
        *((f"pixel_decoder.projections.{level}", f"{official}.input_convs.{level}") for level in range(3)),
        ("pixel_decoder.lateral", f"{official}.lateral_convs.0"),
        ("pixel_decoder.output", f"{official}.output_convs.0"),
    ]
    encoder = [
        (f"pixel_decoder.encoder.layers.{index}", f"{official}.encoder.layers.{index}")
        for index in range(config.encoder_layers)
    ]
    decoder = [
        (f"decoder.layers.{index}", f"decode_head.transformer_decoder.layers.{index}")
        for index in range(config.decoder_layers)
    ]
    return [
        *_expand_all(_CONV_GN, convolutions),
        *_expand_all(_ENCODER_LAYER, encoder),
        *_expand_all(_DECODER_LAYER, decoder),
        *_MASK2FORMER,
    ]


def _expand_all(rows: tuple[tuple[str, str], ...], modules: list[tuple[str, str]]) -> Pairs:
    """The rows below each of the modules."""
    return [pair for ours, official in modules for pair in expand(rows, ours=ours, official=official)]
