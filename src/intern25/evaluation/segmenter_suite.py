# SPDX-License-Identifier: MIT
"""The segmenters of the benchmark: UperNet on InternImage and, by transformers, on other backbones."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from intern25.evaluation.contestants import Contestant, peer_library, plain_and_optimized
from intern25.evaluation.model_suite import ModelSuite

NUM_CLASSES = 150
"""Those of ADE20K."""
_STAGES = ["stage1", "stage2", "stage3", "stage4"]


class TransformersSegmenter(nn.Module):
    """A segmenter of transformers that returns scores alone.

    Args:
        model: Its output has ``logits`` of the images' size.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to scores ``(N, classes, H, W)``."""
        return cast(Tensor, self.model(pixel_values=images).logits)


def _upernet_convnext_tiny() -> nn.Module:
    library = peer_library("transformers", extra="hf")
    sizes = {"hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 9, 3]}
    return _upernet(library, library.ConvNextConfig(**sizes, out_features=_STAGES))


def _upernet_swin_tiny() -> nn.Module:
    library = peer_library("transformers", extra="hf")
    return _upernet(library, library.SwinConfig(depths=[2, 2, 6, 2], out_features=_STAGES))


def _upernet(library: Any, backbone_config: Any) -> nn.Module:
    config = library.UperNetConfig(
        backbone_config=backbone_config,
        backbone=None,
        num_labels=NUM_CLASSES,
        use_auxiliary_head=False,  # is for training, but would run in every call
    )
    return TransformersSegmenter(library.UperNetForSemanticSegmentation(config))


SEGMENTERS = ModelSuite(
    name="segmenters",
    contestants={
        **plain_and_optimized("upernet_internimage_t"),
        "upernet_convnext_tiny": Contestant(_upernet_convnext_tiny),
        "upernet_swin_tiny": Contestant(_upernet_swin_tiny),
        **plain_and_optimized("upernet_internimage_nano"),
    },
    baseline="upernet_convnext_tiny",
    image_sizes=((512, 512), (512, 2048)),
)
"""Normalised images to scores at their size, 150 classes."""
