# SPDX-License-Identifier: MIT
"""Who takes part in a suite of whole models: how each is built and fed."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from intern25.backbones.optimize import optimize
from intern25.ops.dcnv3.module import DCNv3
from intern25.weights.create import create_model

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Contestant:
    """How to build a model, and what it can do."""

    build: Callable[[], nn.Module]
    is_optimized: bool = False
    channels_last: bool = False
    fixed_size: Size | None = None
    """The only (height, width) it takes, where there is one."""

    @property
    def can_train(self) -> bool:
        """Optimized models have no gradients."""
        return not self.is_optimized

    def fresh(self) -> nn.Module:
        """The model with seeded random weights, as built."""
        torch.manual_seed(0)
        return self.build()

    def prepared(self, model: nn.Module, dtype: torch.dtype, *, training: bool) -> nn.Module:
        """A fresh ``model`` in the type, mode and memory format that it runs in."""
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        if self.is_optimized:
            return optimize(model, dtype=dtype)
        return model.to(dtype).train(training)

    def images(self, batch: int, size: Size, dtype: torch.dtype) -> Tensor:
        """Random images in the memory format of the model, the same for all."""
        images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1)).to(dtype)
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images


def plain_and_optimized(
    name: str, adapt: Callable[[nn.Module], nn.Module] | None = None
) -> dict[str, Contestant]:
    """An architecture of this package as two contestants.

    Args:
        name: Architecture that ``create_model`` knows.
        adapt: Last change of the fresh model.
    """
    build = functools.partial(_create, name, adapt)
    return {name: Contestant(build), f"{name} optimized": Contestant(build, is_optimized=True)}


def peer_library(name: str, *, extra: str) -> Any:
    """Import a library that only peers need, without its types: they differ from version to version.

    Raises:
        ImportError: It is missing; the message names the extra that has it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"the peers need {name}: pip install 'intern25[{extra}]'") from error


def _create(name: str, adapt: Callable[[nn.Module], nn.Module] | None) -> nn.Module:
    model: nn.Module = create_model(name, drop_path=0.0)
    for module in model.modules():
        if isinstance(module, DCNv3):  # zero at the start: nothing would be deformed
            nn.init.normal_(module.offset.weight, std=1.0 / module.offset.in_features**0.5)
            nn.init.normal_(module.mask.weight, std=1.0 / module.mask.in_features**0.5)
    return model if adapt is None else adapt(model)
