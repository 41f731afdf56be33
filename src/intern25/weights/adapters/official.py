# SPDX-License-Identifier: MIT
"""Tensor names of the official InternImage code and ours, both ways, as one literal table."""
# Names after OpenGVLab/InternImage classification/models/intern_image.py (MIT)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intern25.backbones.internimage import InternImageConfig

PROBE = "patch_embed.conv1.weight"
"""Present in every official state dict; what stands before it is the prefix of the file."""

# (ours, official) prefixes of modules; weight, bias and running statistics keep their last name.
# {slot} is the place of the normalisation in the official Sequential: a permute stands before LN only.
_STEM = (
    ("{ours}.stem.conv1", "{official}patch_embed.conv1"),
    ("{ours}.stem.norm1", "{official}patch_embed.norm1.{slot}"),
    ("{ours}.stem.conv2", "{official}patch_embed.conv2"),
    ("{ours}.stem.norm2", "{official}patch_embed.norm2.{slot}"),
)
_STAGE = (
    ("{ours}.stages.{stage}.norm", "{official}levels.{stage}.norm.0"),
    ("{ours}.downsamples.{stage}.conv", "{official}levels.{stage}.downsample.conv"),
    ("{ours}.downsamples.{stage}.norm", "{official}levels.{stage}.downsample.norm.{slot}"),
)
_EXTRA_NORM = (("{ours}.stages.2.extra_norms.{block}", "{official}levels.2.post_norms.{index}.0"),)
_BLOCK = (
    ("{ours}.dcn.function.dw_conv", "{official}.dcn.dw_conv.0"),
    ("{ours}.dcn.function.dw_norm", "{official}.dcn.dw_conv.1.{slot}"),
    ("{ours}.dcn.function.offset", "{official}.dcn.offset"),
    ("{ours}.dcn.function.mask", "{official}.dcn.mask"),
    ("{ours}.dcn.function.input_proj", "{official}.dcn.input_proj"),
    ("{ours}.dcn.function.output_proj", "{official}.dcn.output_proj"),
    ("{ours}.mlp.function.fc1", "{official}.mlp.fc1"),
    ("{ours}.mlp.function.fc2", "{official}.mlp.fc2"),
)
# The official norm1 and norm2 stand before or after their function, by the variant.
_BLOCK_NORMS = {
    "pre": (
        ("{ours}.dcn.pre_norm", "{official}.norm1.0"),
        ("{ours}.mlp.pre_norm", "{official}.norm2.0"),
    ),
    "post": (
        ("{ours}.dcn.post_norm", "{official}.norm1.0"),
        ("{ours}.mlp.post_norm", "{official}.norm2.0"),
    ),
    "res_post": (
        ("{ours}.dcn.pre_norm", "{official}.norm1.0"),
        ("{ours}.mlp.pre_norm", "{official}.norm2.0"),
        ("{ours}.dcn.post_norm", "{official}.res_post_norm1.0"),
        ("{ours}.mlp.post_norm", "{official}.res_post_norm2.0"),
    ),
}
_BLOCK_PARAMETERS = (
    ("{ours}.dcn.scale", "{official}.gamma1"),
    ("{ours}.mlp.scale", "{official}.gamma2"),
    ("{ours}.dcn.function.center_feature_scale.weight", "{official}.dcn.center_feature_scale_proj_weight"),
    ("{ours}.dcn.function.center_feature_scale.bias", "{official}.dcn.center_feature_scale_proj_bias"),
)
_CONV_HEAD = (
    ("head.conv", "conv_head.0"),
    ("head.norm", "conv_head.1.0"),
)
_ATTENTION_HEAD = (
    ("head.expand", "dcnv3_head_x4.0"),
    ("head.lateral", "dcnv3_head_x3"),
    ("head.pool.query_norm", "clip_projector.norm1_q.0"),
    ("head.pool.key_norm", "clip_projector.norm1_k.0"),
    ("head.pool.value_norm", "clip_projector.norm1_v.0"),
    ("head.pool.projection", "clip_projector.cross_dcn.proj"),
    ("head.norm", "fc_norm.0"),
)
_ATTENTION_HEAD_PARAMETERS = (
    ("head.pool.query.weight", "clip_projector.cross_dcn.q.weight"),
    ("head.pool.key.weight", "clip_projector.cross_dcn.k.weight"),
    ("head.pool.value.weight", "clip_projector.cross_dcn.v.weight"),
    ("head.pool.query.bias", "clip_projector.cross_dcn.q_bias"),
    ("head.pool.key.bias", "clip_projector.cross_dcn.k_bias"),
    ("head.pool.value.bias", "clip_projector.cross_dcn.v_bias"),
)
_CLASSIFIER = (("classifier", "head"),)
_METADATA_BRANCH = (
    ("{ours}.projection", "{official}.0"),
    ("{ours}.norm", "{official}.2"),
    ("{ours}.linear1", "{official}.3.w1"),
    ("{ours}.linear2", "{official}.3.w2"),
    ("{ours}.norm1", "{official}.3.norm_fn1"),
    ("{ours}.norm2", "{official}.3.norm_fn2"),
)
_METADATA = (
    ("metadata_norm", "meta_norm"),
    ("metadata_classifier", "meta_head"),
)

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NameTable:
    """Names of one architecture in both layouts; every entry is a module or a whole tensor name."""

    official_of: dict[str, str]
    """Our module or tensor name to the official one."""
    ours_of: dict[str, str]
    """The official module or tensor name to ours."""

    def to_ours(self, name: str) -> str | None:
        """Our name of an official tensor, None for a tensor this architecture does not have."""
        return _lookup(self.ours_of, name)

    def to_official(self, name: str) -> str | None:
        """The official name of one of our tensors, None for a tensor the official code does not have."""
        return _lookup(self.official_of, name)


def _lookup(table: dict[str, str], name: str) -> str | None:
    """Translate a whole name, or the module in front of its last dot."""
    if name in table:
        return table[name]
    module, _, last = name.rpartition(".")
    return f"{table[module]}.{last}" if module in table else None


def name_table(config: InternImageConfig) -> NameTable:
    """Names of a classifier of this architecture, with or without the metadata head.

    Example:
        >>> from intern25.backbones.internimage import INTERNIMAGE_S
        >>> name_table(INTERNIMAGE_S).to_ours("levels.0.blocks.1.norm1.0.weight")
        'backbone.stages.0.blocks.1.dcn.post_norm.weight'
    """
    return table_of(classifier_pairs(config))


def table_of(pairs: Pairs) -> NameTable:
    """Both directions of ``(ours, official)`` names."""
    table = NameTable(official_of=dict(pairs), ours_of={official: ours for ours, official in pairs})
    assert len(table.official_of) == len(table.ours_of) == len(pairs), "a name occurs twice in the table"
    return table


def classifier_pairs(config: InternImageConfig) -> Pairs:
    """Names of a classifier's modules and tensors in both layouts."""
    return [*backbone_pairs(config, official=""), *_head_pairs(config)]


def backbone_pairs(config: InternImageConfig, ours: str = "backbone", official: str = "backbone") -> Pairs:
    """Names of the backbone's modules and tensors in both layouts, behind a prefix each.

    Args:
        config: Architecture of the backbone.
        ours: Our name of the backbone inside the model.
        official: The official name of the backbone; ``""`` where it is the model itself.

    Returns:
        ``(ours, official)`` of every module, and of every tensor that is not a module's own.

    Example:
        >>> from intern25.backbones.internimage import INTERNIMAGE_T
        >>> backbone_pairs(INTERNIMAGE_T)[0]
        ('backbone.stem.conv1', 'backbone.patch_embed.conv1')
    """
    slot = 0 if config.norm == "BN" else 1
    prefix = f"{official}." if official else ""
    pairs = expand(_STEM, ours=ours, official=prefix, slot=slot)
    for stage, depth in enumerate(config.depths):
        pairs += expand(_STAGE, ours=ours, official=prefix, stage=stage, slot=slot)
        for block in range(depth):
            place = {
                "ours": f"{ours}.stages.{stage}.blocks.{block}",
                "official": f"{prefix}levels.{stage}.blocks.{block}",
            }
            rows = (*_BLOCK, *_BLOCK_NORMS[config.block_norm], *_BLOCK_PARAMETERS)
            pairs += expand(rows, slot=slot, **place)
    for index, block in enumerate(config.extra_norm_blocks):
        pairs += expand(_EXTRA_NORM, ours=ours, official=prefix, block=block, index=index)
    return pairs


def _head_pairs(config: InternImageConfig) -> Pairs:
    heads = {"conv": _CONV_HEAD, "attention_pool": (*_ATTENTION_HEAD, *_ATTENTION_HEAD_PARAMETERS)}
    pairs = [*heads[config.head], *_CLASSIFIER, *_METADATA]
    pairs += expand(_METADATA_BRANCH, ours="temporal", official="meta_head_1")
    pairs += expand(_METADATA_BRANCH, ours="spatial", official="meta_head_2")
    return pairs


def expand(rows: Sequence[tuple[str, str]], **values: object) -> Pairs:
    """Fill the braces of every row ``(ours, official)`` with ``values``.

    Example:
        >>> expand([("neck.{level}.conv", "neck.convs.{level}.conv")], level=2)
        [('neck.2.conv', 'neck.convs.2.conv')]
    """
    return [(ours.format(**values), official.format(**values)) for ours, official in rows]
