# SPDX-License-Identifier: MIT
"""Learning-rate factor and weight decay of each parameter, as the official trainings set them.

Classification and the downstream tasks count layers differently: there the head is one step ahead of the last
block, here it is level with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from intern25.backbones.internimage import InternImage, InternImageConfig

SLOW_PARTS = ("offset", "center_feature_scale")
"""Modules whose learning rate ``dcn_lr_mul`` multiplies; modulation (``mask``) is not among them."""
SAMPLING_PARTS = ("sampling_offsets", "reference_points")
"""Modules of deformable attention whose learning rate ``sampling_lr_mul`` multiplies."""
FIRST_LAYER_DETECTION = ("level_embedding",)
"""What the official layer decay makes as slow as the stem in DINO."""
FIRST_LAYER_SEGMENTATION = (
    "decoder.query_features", "decoder.query_position", "decoder.level_embedding",
    "decoder.classifier", "decoder.mask_embedding",
)  # fmt: skip
"""The same in Mask2Former."""


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """Learning-rate factor and weight decay of one parameter."""

    name: str
    lr_scale: float
    weight_decay: float


def parameter_rules(
    model: nn.Module, *, weight_decay: float, layer_decay: float = 1.0, dcn_lr_mul: float = 1.0
) -> list[ParameterRule]:
    """Return the rule of every parameter, as the official classification training sets it.

    A block ``n`` steps before the last one has the factor ``layer_decay**n``. Stem, stage norm and
    down-sampling go with the block behind them; the last stage's norm, the extra norms of the third stage and
    the head have 1.

    Args:
        model: A model with an :class:`InternImage` in it.
        weight_decay: Decay of tensors of two or more dimensions that are not biases.
        layer_decay: Factor from each block to the one before; 1 switches ``dcn_lr_mul`` off too.
        dcn_lr_mul: Further factor of offsets and centre gates.

    Returns:
        One rule a parameter, in the order of ``model.named_parameters()``.
    """
    depths, prefix = _find_backbone(model)
    rules = []
    for name, parameter in model.named_parameters():
        decays = parameter.ndim > 1 and not name.endswith(".bias")
        scale = 1.0
        if layer_decay != 1.0:
            if depths is not None and name.startswith(prefix):
                scale = layer_decay ** _blocks_behind(name[len(prefix) :], depths)
            if any(part in name for part in SLOW_PARTS):
                scale *= dcn_lr_mul
        rules.append(ParameterRule(name, scale, weight_decay if decays else 0.0))
    return rules


def downstream_rules(
    model: nn.Module,
    *,
    weight_decay: float,
    layer_decay: float = 1.0,
    backbone_lr_mul: float = 1.0,
    sampling_lr_mul: float = 1.0,
    first_layer: Sequence[str] = (),
) -> list[ParameterRule]:
    """Return the rule of every parameter, as the official detection and segmentation trainings set it.

    A block ``n`` steps before the last one has the factor ``layer_decay**(n + 1)``, everything outside the
    backbone 1. Stem: one step before the first block. Stage norm and down-sampling go with the block behind
    them, the last stage's norm with the first block of its stage. Three habits of the official code are
    kept, because the published models were trained with them: the extra norm number ``k`` goes with block
    ``k`` of its stage; embeddings named in ``first_layer`` are as slow as the stem; a composite backbone has
    no layer decay. ``sampling_lr_mul`` is the official ``offset_lr_scale``: in spite of that name it never
    reaches the offsets of DCNv3, only those of deformable attention.

    Args:
        model: A detector or segmenter with the backbone at ``model.backbone``.
        weight_decay: Decay of tensors of two or more dimensions that are neither biases nor the sampling
            offsets of deformable attention.
        layer_decay: Factor from each block to the one before.
        backbone_lr_mul: Further factor of the backbone.
        sampling_lr_mul: Further factor of :data:`SAMPLING_PARTS`.
        first_layer: Beginnings of names that have the stem's factor.

    Returns:
        One rule a parameter, in the order of ``model.named_parameters()``.
    """
    backbone = getattr(model, "backbone", None)
    config = backbone.config if isinstance(backbone, InternImage) else None
    return [
        ParameterRule(
            name,
            _downstream_scale(name, config, layer_decay, tuple(first_layer))
            * (backbone_lr_mul if name.startswith("backbone.") else 1.0)
            * (sampling_lr_mul if any(part in name for part in SAMPLING_PARTS) else 1.0),
            weight_decay if _decays_downstream(name, parameter) else 0.0,
        )
        for name, parameter in model.named_parameters()
    ]


def _downstream_scale(
    name: str, config: InternImageConfig | None, layer_decay: float, first_layer: tuple[str, ...]
) -> float:
    if config is None:
        return 1.0
    if name.startswith(first_layer):
        return layer_decay ** (sum(config.depths) + 1)
    if not name.startswith("backbone."):
        return 1.0
    return layer_decay ** _steps_to_the_head(name.removeprefix("backbone."), config)


def _steps_to_the_head(name: str, config: InternImageConfig) -> int:
    """Steps from a backbone parameter to the head, which is one step behind the last block."""
    depths = config.depths
    total = sum(depths)
    part, _, rest = name.partition(".")
    if part == "stem":
        return total + 1
    if part == "stages" and rest.split(".")[1] == "extra_norms":
        stage, _, block, _ = rest.split(".")
        return total - sum(depths[: int(stage)]) - config.extra_norm_blocks.index(int(block))
    if part == "stages" and rest.split(".")[1] == "norm" and int(rest.split(".")[0]) == len(depths) - 1:
        return depths[-1]
    return _blocks_behind(name, depths) + 1


def _decays_downstream(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not name.endswith(".bias") and "sampling_offsets" not in name


def _find_backbone(model: nn.Module) -> tuple[Sequence[int] | None, str]:
    for name, module in model.named_modules():
        if isinstance(module, InternImage):
            return module.config.depths, f"{name}." if name else ""
    return None, ""


def _blocks_behind(name: str, depths: Sequence[int]) -> int:
    """Number of blocks between a backbone parameter and the last block."""
    part, _, rest = name.partition(".")
    total = sum(depths)
    if part == "stem":
        return total - 1
    stage = int(rest.split(".", 1)[0])
    first_of_next = sum(depths[: stage + 1])
    if part == "downsamples":
        return total - 1 - first_of_next
    kind = rest.split(".")[1]
    if kind == "blocks":
        return total - 1 - sum(depths[:stage]) - int(rest.split(".")[2])
    if kind == "norm" and stage < len(depths) - 1:
        return total - 1 - first_of_next
    return 0
