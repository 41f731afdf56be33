# SPDX-License-Identifier: MIT
"""Build our segmenters with the weights of a golden file, and compare what the file has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intern25.segmentation import config as configs
from intern25.segmentation.config import SegFormerConfig, SegmenterConfig, UperNetConfig
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.segformer import SegFormer
from intern25.segmentation.segmenter import Segmenter
from intern25.segmentation.upernet import UperNet
from intern25.weights.adapters.official import NameTable
from intern25.weights.adapters.segmentation import pairs
from tests.backbones.golden import sliced
from tests.goldens import weights

MASK2FORMER_SMALL = configs.Mask2FormerConfig(
    backbone=configs.UPERNET_T.backbone,
    num_classes=150,
    channels=256,
    num_queries=100,
    heads=8,
    encoder_feedforward=1024,
    decoder_feedforward=2048,
)
CONFIGS: dict[str, SegmenterConfig] = {
    "upernet_t": configs.UPERNET_T,
    "upernet_s": configs.UPERNET_S,
    "upernet_b": configs.UPERNET_B,
    "upernet_l": configs.UPERNET_L,
    "upernet_xl": configs.UPERNET_XL,
    "upernet_h": configs.UPERNET_H,
    "upernet_g": configs.UPERNET_G,
    "segformer_l_city": configs.SEGFORMER_L,
    "segformer_xl_city": configs.SEGFORMER_XL,
    "mask2former_h": configs.MASK2FORMER_H_ADE20K,
    "mask2former_h_city": configs.MASK2FORMER_H_CITYSCAPES,
    "mask2former_h_cocostuff10k": configs.MASK2FORMER_H_COCO_STUFF,
    "mask2former_h_cocostuff164k": configs.MASK2FORMER_H_COCO_STUFF,
    "mask2former_small": MASK2FORMER_SMALL,
}


def build(config: SegmenterConfig) -> Segmenter:
    if isinstance(config, UperNetConfig):
        return UperNet(config)
    if isinstance(config, SegFormerConfig):
        return SegFormer(config)
    return Mask2Former(config)


def meta_model(config: SegmenterConfig) -> Segmenter:
    with torch.device("meta"):
        return build(config)


def names_of(config: SegmenterConfig) -> NameTable:
    table = pairs(config)
    return NameTable(official_of=dict(table), ours_of={official: ours for ours, official in table})


def read_manifest(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / "goldens" / "seg" / f"{name}.json").read_text())


def golden_model(root: Path, name: str) -> Segmenter:
    """The model in float64 with the golden weights."""
    config = CONFIGS[name]
    model, table = meta_model(config), names_of(config)
    tensors = {}
    for official, shape, _ in read_manifest(root, name)["tensors"]:
        value = torch.from_numpy(np.asarray(weights.tensor_for(official, shape)))
        tensors[table.to_ours(official)] = value.double() if value.is_floating_point() else value
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def golden_input(name: str) -> Tensor:
    return torch.from_numpy(weights.input_for(f"seg_{name}", (1, 3, 128, 160), smooth=16)).double()


class Golden:
    """Outputs of one file and how to compare with them."""

    def __init__(self, root: Path, name: str) -> None:
        path = root / "goldens" / "seg" / f"{name}.npz"
        self.manifest = read_manifest(root, name)
        self.arrays = np.load(path)

    def check(self, key: str, actual: Tensor, atol: float) -> None:
        """Compare the stored slice, and the statistics of the whole tensor."""
        entry = self.manifest["outputs"][key]
        assert list(actual.shape) == entry["shape"]
        expected = torch.from_numpy(self.arrays[key]).double()
        # The expected values are stored in float32: their rounding is 6e-8 of the value.
        found = sliced(actual, entry.get("slice"))
        torch.testing.assert_close(found, expected, atol=atol, rtol=1e-6)
        assert abs(actual.mean().item() - entry["mean"]) < atol
        assert abs(actual.norm().item() - entry["l2"]) < atol * actual.numel() ** 0.5
