# SPDX-License-Identifier: MIT
"""AdamW or Muon with the official parameter groups: no decay of vectors, layer-wise learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from intern25.backbones.internimage import InternImage
from intern25.training.config import OptimizerName
from intern25.training.muon import Muon

SLOW_PARTS = ("offset", "center_feature_scale")
"""Modules whose learning rate ``dcn_lr_mul`` multiplies; modulation (``mask``) is not among them."""


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


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weights that Muon orthogonalises: those of linear layers and dense convolutions.

    The first and the last of them, which face the image and the classes, are left to AdamW, as are
    depth-wise kernels, whose channels do not mix.
    """
    names = [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    return set(names[1:-1])


def build_optimizer(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    dcn_lr_mul: float = 1.0,
    optimizer: OptimizerName = "adamw",
) -> torch.optim.Optimizer:
    """Return an optimizer over the trainable parameters, one group a distinct rule.

    Args:
        model: Model to train; parameters with ``requires_grad=False`` are left out.
        lr: Learning rate of factor 1.
        weight_decay: As in :func:`parameter_rules`.
        layer_decay: As in :func:`parameter_rules`.
        dcn_lr_mul: As in :func:`parameter_rules`.
        optimizer: ``"adamw"`` (betas 0.9 and 0.999, eps 1e-8), or ``"muon"`` for :func:`hidden_matrices` and
            AdamW for the rest.

    Raises:
        ValueError: Every parameter is frozen.
    """
    parameters = dict(model.named_parameters())
    orthogonal = hidden_matrices(model) if optimizer == "muon" else set()
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    rules = parameter_rules(model, weight_decay=weight_decay, layer_decay=layer_decay, dcn_lr_mul=dcn_lr_mul)
    for rule in rules:
        if parameters[rule.name].requires_grad:
            key = (rule.lr_scale, rule.weight_decay, rule.name in orthogonal)
            groups.setdefault(key, []).append(parameters[rule.name])
    if not groups:
        raise ValueError("every parameter is frozen, so there is nothing to train; freeze fewer stages")
    param_groups: list[dict[str, Any]] = [
        {"params": members, "lr": lr * scale, "weight_decay": decay, "orthogonal": is_orthogonal}
        for (scale, decay, is_orthogonal), members in groups.items()
    ]
    if optimizer == "muon":
        return Muon(param_groups, lr=lr)
    return torch.optim.AdamW(cast(Any, param_groups), lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=True)
