# SPDX-License-Identifier: MIT
"""The classifiers of the benchmark: InternImage plain and optimized, and timm's peers of its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from torch import nn

from intern25.evaluation.contestants import Contestant, peer_library, plain_and_optimized
from intern25.evaluation.model_suite import ModelSuite
from intern25.evaluation.passes import DType, Pass


def _timm(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        model: nn.Module = peer_library("timm", extra="train").create_model(name)
        return model

    return build


CLASSIFIERS = ModelSuite(
    name="models",
    contestants={
        **plain_and_optimized("internimage_t"),
        "convnext_tiny": Contestant(_timm("convnext_tiny")),
        "swin_tiny": Contestant(_timm("swin_tiny_patch4_window7_224"), fixed_size=(224, 224)),
        "resnet50": Contestant(_timm("resnet50"), channels_last=True),
        **plain_and_optimized("internimage_nano"),
    },
    baseline="convnext_tiny",
    image_sizes=((224, 224),),
    batch_sizes=(1, 8),
    dtypes=get_args(DType),
    passes=get_args(Pass),
)
"""Peers run in the memory format that suits them."""
