# SPDX-License-Identifier: MIT
"""Build our model with the weights of a golden file, and record what the file has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImageConfig
from intern25.weights.adapters import hugging_face
from intern25.weights.adapters.official import name_table
from tests.goldens import weights

LOCAL = Path(__file__).resolve().parent.parent / "goldens" / "cls"


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def config_of(manifest: dict[str, Any]) -> InternImageConfig:
    """Our config of the official keyword arguments, YAML values or Hugging Face config of a manifest."""
    values = manifest.get("kwargs") or manifest.get("model_cfg") or manifest["config"]
    values = {name.lower(): value for name, value in values.items()}
    values.setdefault("drop_path_rate", manifest.get("drop_path_rate", 0.0))
    return hugging_face.read_config(values)


def num_classes_of(manifest: dict[str, Any]) -> int:
    return next(shape[0] for name, shape, _ in manifest["tensors"] if name.endswith("head.bias"))


def meta_model(manifest: dict[str, Any]) -> InternImageClassifier:
    with torch.device("meta"):
        return InternImageClassifier(config_of(manifest), num_classes_of(manifest))


def golden_model(manifest: dict[str, Any], dtype: torch.dtype) -> InternImageClassifier:
    """The model with the golden weights, one tensor at a time so that H fits."""
    model = meta_model(manifest)
    table = name_table(model.config)
    tensors = {}
    for name, shape, _ in manifest["tensors"]:
        official = hugging_face.to_official_name(name)
        value = torch.from_numpy(np.asarray(weights.tensor_for(official, shape)))
        tensors[table.to_ours(official)] = value.to(dtype) if value.is_floating_point() else value
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def input_of(case: dict[str, Any], dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(weights.input_for(case["name"], case["input_shape"])).to(dtype)


def record(model: InternImageClassifier, x: Tensor) -> dict[str, Tensor]:
    """Outputs by the goldens' names; maps are NHWC as in the official code."""
    modules: dict[str, nn.Module] = {
        "stem": model.backbone.stem,
        "level0_block0": model.backbone.stages[0].blocks[0],
        "pre_head": model.head,
        **{f"stage{i}": stage for i, stage in enumerate(model.backbone.stages)},
        **{f"down{i}": layer for i, layer in enumerate(model.backbone.downsamples)},
    }
    outputs: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output))
        for name, module in modules.items()
    ]
    with torch.inference_mode():
        outputs["logits"] = model(x)
    for handle in handles:
        handle.remove()
    return outputs


def sliced(tensor: Tensor, text: str | None) -> Tensor:
    """Apply a slice such as ``"[:, ::4, ::5, ::2]"``."""
    if text is None:
        return tensor
    steps = [part.strip() for part in text.strip("[]").split(",")]
    return tensor[tuple(slice(None, None, int(part[2:]) if part[2:] else None) for part in steps)]
