# SPDX-License-Identifier: MIT
"""The models of the benchmark: InternImage plain and optimized, and timm's peers of its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_NANO, INTERNIMAGE_T, InternImageConfig
from intern25.backbones.optimize import optimize
from intern25.ops.dcnv3.module import DCNv3

BASELINE = "convnext_tiny"
"""The model that ratios are taken to."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """How to build a model, and what it can do."""

    build: Callable[[], nn.Module]
    is_optimized: bool = False
    channels_last: bool = False

    @property
    def can_train(self) -> bool:
        """Optimized models have no gradients."""
        return not self.is_optimized


def _intern_image(config: InternImageConfig) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        model = InternImageClassifier(replace(config, drop_path=0.0))
        for module in model.modules():
            if isinstance(module, DCNv3):  # zero at the start: nothing would be deformed
                nn.init.normal_(module.offset.weight, std=1.0 / module.offset.in_features**0.5)
                nn.init.normal_(module.mask.weight, std=1.0 / module.mask.in_features**0.5)
        return model

    return build


def _timm(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        try:
            import timm
        except ImportError as error:
            raise ImportError("the peers need timm: pip install 'intern25[train]'") from error
        model: nn.Module = timm.create_model(name)
        return model

    return build


MODELS = {
    "internimage_t": Contestant(_intern_image(INTERNIMAGE_T)),
    "internimage_t optimized": Contestant(_intern_image(INTERNIMAGE_T), is_optimized=True),
    "convnext_tiny": Contestant(_timm("convnext_tiny")),
    "swin_tiny": Contestant(_timm("swin_tiny_patch4_window7_224")),
    "resnet50": Contestant(_timm("resnet50"), channels_last=True),
    "internimage_nano": Contestant(_intern_image(INTERNIMAGE_NANO)),
    "internimage_nano optimized": Contestant(_intern_image(INTERNIMAGE_NANO), is_optimized=True),
}
"""Name of a row to its model; peers run in the memory format that suits them."""


def build(name: str, dtype: torch.dtype, *, training: bool) -> nn.Module:
    """The model of ``MODELS[name]`` with seeded random weights of ``dtype``."""
    torch.manual_seed(0)
    contestant = MODELS[name]
    model = contestant.build()
    if contestant.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if contestant.is_optimized:
        return optimize(model, dtype=dtype)
    return model.to(dtype).train(training)


def model_input(name: str, batch: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Random images in the memory format of the model."""
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1)).to(dtype)
    return images.contiguous(memory_format=torch.channels_last) if MODELS[name].channels_last else images
