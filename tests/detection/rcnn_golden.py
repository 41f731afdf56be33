# SPDX-License-Identifier: MIT
"""Build our detector with the weights of a golden file, and record what the file has recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intern25.detection.cascade import CascadeMaskRCNN
from intern25.detection.mask_rcnn import MaskRCNN
from intern25.detection.rcnn_config import (
    CASCADE_L,
    CASCADE_XL,
    MASK_RCNN_B,
    MASK_RCNN_S,
    MASK_RCNN_T,
    MaskRCNNConfig,
    RCNNConfig,
)
from intern25.detection.two_stage import TwoStageDetector
from intern25.weights.adapters.official import table_of
from intern25.weights.adapters.rcnn import pairs
from tests.goldens import weights

CONFIGS: dict[str, RCNNConfig] = {
    "mask_rcnn_t": MASK_RCNN_T,
    "mask_rcnn_s": MASK_RCNN_S,
    "mask_rcnn_b": MASK_RCNN_B,
    "cascade_l": CASCADE_L,
    "cascade_xl": CASCADE_XL,
    "cascade_small": replace(
        CASCADE_L,
        backbone=replace(
            CASCADE_L.backbone, channels=32, depths=(2, 2, 4, 2), groups=(2, 4, 8, 16), drop_path=0.0
        ),
    ),
}
VALID = (244, 308)
PADDED = (256, 320)
ORIGINAL = (305, 385)


def read_manifest(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / "goldens" / "det" / f"{name}.json").read_text())


def build(config: RCNNConfig) -> TwoStageDetector:
    return MaskRCNN(config) if isinstance(config, MaskRCNNConfig) else CascadeMaskRCNN(config)


def meta_model(name: str) -> TwoStageDetector:
    with torch.device("meta"):
        return build(CONFIGS[name])


def golden_model(manifest: dict[str, Any], dtype: torch.dtype) -> TwoStageDetector:
    name = manifest["name"]
    model, table = meta_model(name), table_of(pairs(CONFIGS[name]))
    tensors = {}
    for official, shape, _ in manifest["tensors"]:
        value = torch.from_numpy(np.asarray(weights.tensor_for(official, shape)))
        tensors[table.to_ours(official)] = value.to(dtype) if value.is_floating_point() else value
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def golden_input(name: str, dtype: torch.dtype) -> Tensor:
    images = torch.from_numpy(weights.input_for(f"det_{name}", (1, 3, *PADDED), smooth=16)).to(dtype)
    images[:, :, VALID[0] :] = 0
    images[:, :, :, VALID[1] :] = 0
    return images


def unpack_masks(packed: np.ndarray) -> np.ndarray:
    height, width = ORIGINAL
    return np.unpackbits(packed, axis=1)[:, : height * width].reshape(-1, height, width).astype(bool)
