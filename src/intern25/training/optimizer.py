# SPDX-License-Identifier: MIT
"""AdamW or Muon over parameter groups, one a distinct rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import torch
from torch import nn

from intern25.generalist.experts import ExpertLinear
from intern25.training.muon import Muon
from intern25.training.parameter_rules import ParameterRule
from intern25.training.run_config import OptimizerName

OUTPUT_PARTS = {
    "classifier", "class_head", "class_heads", "classes", "boxes", "logits", "objectness",
    "sampling_offsets", "attention_weights",
}  # fmt: skip
"""Layers of heads whose outputs are classes, boxes or sampling points."""
_MIN_OUTPUTS = 8


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weights that Muon orthogonalises: of linear layers, each expert, and dense convolutions.

    The first and the last of them, which face the image and the classes, are left to AdamW, as are the
    outputs of heads (:data:`OUTPUT_PARTS`, or fewer than 8 rows) and depth-wise kernels, whose channels do
    not mix.
    """
    names = [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | ExpertLinear)
        or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    parameters = dict(model.named_parameters())
    return {
        name
        for name in names[1:-1]
        if _outputs(parameters[name]) >= _MIN_OUTPUTS and not OUTPUT_PARTS & set(name.split("."))
    }


def _outputs(weight: nn.Parameter) -> int:
    """Rows of the matrix, or of each in a stack."""
    return weight.shape[-2] if weight.dim() == 3 else weight.shape[0]


def build_optimizer(
    model: nn.Module,
    rules: Sequence[ParameterRule],
    *,
    lr: float,
    optimizer: OptimizerName = "adamw",
) -> torch.optim.Optimizer:
    """Return an optimizer over the trainable parameters, one group a distinct rule.

    Args:
        model: Model to train; parameters with ``requires_grad=False`` are left out.
        rules: Learning-rate factor and weight decay of each parameter.
        lr: Learning rate of factor 1.
        optimizer: ``"adamw"`` (betas 0.9 and 0.999, eps 1e-8), or ``"muon"`` for :func:`hidden_matrices` and
            AdamW for the rest.

    Raises:
        ValueError: Every parameter is frozen.
    """
    matrices = hidden_matrices(model) if optimizer == "muon" else set()
    groups = parameter_groups(model, rules, lr=lr, orthogonal=matrices)
    if optimizer == "muon":
        return Muon(groups, lr=lr)
    return torch.optim.AdamW(cast(Any, groups), lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=True)


def parameter_groups(
    model: nn.Module, rules: Sequence[ParameterRule], *, lr: float, orthogonal: Collection[str]
) -> list[dict[str, Any]]:
    """Return the optimizer's groups of the trainable parameters, one a distinct rule.

    Args:
        model: Model to train.
        rules: Learning-rate factor and weight decay of each parameter.
        lr: Learning rate of factor 1.
        orthogonal: Names of the parameters that take Muon's steps.

    Raises:
        ValueError: Every parameter is frozen.
    """
    parameters = dict(model.named_parameters())
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for rule in rules:
        if parameters[rule.name].requires_grad:
            key = (rule.lr_scale, rule.weight_decay, rule.name in orthogonal)
            groups.setdefault(key, []).append(parameters[rule.name])
    if not groups:
        raise ValueError("every parameter is frozen, so there is nothing to train; freeze fewer stages")
    return [
        {"params": members, "lr": lr * scale, "weight_decay": decay, "orthogonal": is_orthogonal}
        for (scale, decay, is_orthogonal), members in groups.items()
    ]
