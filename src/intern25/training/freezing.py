# SPDX-License-Identifier: MIT
"""Keep parts of a model as they are: weights, batch statistics and stochastic depth."""

from __future__ import annotations

from typing import Literal, cast

from torch import nn

from intern25.backbones.internimage import InternImage, InternImageBlock, Stage


def find_backbone(model: nn.Module) -> InternImage:
    """Return the InternImage in ``model``.

    Raises:
        ValueError: There is none.
    """
    for module in model.modules():
        if isinstance(module, InternImage):
            return module
    raise ValueError(f"{type(model).__name__} has no InternImage backbone")


def freeze(model: nn.Module, what: Literal["none", "backbone"] | int) -> list[nn.Module]:
    """Stop the gradients of parts of the backbone.

    Args:
        model: A model with an InternImage in it.
        what: ``"none"``, ``"backbone"``, or the number of first stages to freeze together with the stem.

    Returns:
        The frozen modules; :func:`keep_frozen` after every ``model.train()``.

    Raises:
        ValueError: ``what`` is none of these.
    """
    if what == "none":
        return []
    backbone = find_backbone(model)
    if what == "backbone":
        frozen: list[nn.Module] = [backbone]
    elif isinstance(what, int) and 0 <= what <= 4:
        frozen = [backbone.stem, *backbone.stages[:what], *backbone.downsamples[: max(what - 1, 0)]]
    else:
        raise ValueError(f"freeze={what!r} must be 'none', 'backbone' or a number of stages from 0 to 4")
    for module in frozen:
        module.requires_grad_(False)
    keep_frozen(frozen)
    return frozen


def keep_frozen(frozen: list[nn.Module]) -> None:
    """Put frozen modules into eval mode, so that their statistics and outputs stay fixed."""
    for module in frozen:
        module.eval()


def set_drop_path(model: nn.Module, rate: float) -> None:
    """Set stochastic depth to rise linearly over the blocks from 0 to ``rate``."""
    stages = [cast(Stage, stage) for stage in find_backbone(model).stages]
    blocks = [cast(InternImageBlock, block) for stage in stages for block in stage.blocks]
    for index, block in enumerate(blocks):
        block.dcn.drop_path.rate = block.mlp.drop_path.rate = rate * index / max(len(blocks) - 1, 1)
