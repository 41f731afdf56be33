# SPDX-License-Identifier: MIT
"""Build our DINO with the weights of a golden file, and record what the file has recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intern25.detection.composite import CompositeInternImage
from intern25.detection.dino import DINO, DINOOutput
from intern25.detection.dino_config import CB_DINO_H, DINO_G, DINO_H, DINO_L, DINO_T, DINOConfig
from intern25.results import Detections
from intern25.weights.adapters import dino, hugging_face
from intern25.weights.adapters.official import Pairs
from tests.goldens import weights

IMAGE_SIZE, ORIGINAL_SIZE = (244, 308), (305, 385)
PUBLISHED = {
    "dino_t": DINO_T,
    "dino_l": DINO_L,
    "dino_h": DINO_H,
    "dino_g": DINO_G,
    "cb_dino_h": CB_DINO_H,
}


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def config_of(folder: Path, name: str) -> DINOConfig:
    """Our config of a golden; the small composite's backbone comes from its manifest."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    values = read_manifest(folder, name)["backbone_cfg"]
    return replace(CB_DINO_H, backbone=hugging_face.read_config(values))


class Names:
    """Both directions of a table of pairs: a whole name, or the module before its last dot."""

    def __init__(self, pairs: Pairs) -> None:
        self.ours_of = {official: ours for ours, official in pairs}
        self.official_of = dict(pairs)
        assert len(self.ours_of) == len(self.official_of) == len(pairs), "a name occurs twice"

    @staticmethod
    def translate(table: dict[str, str], name: str) -> str:
        if name in table:
            return table[name]
        module, _, last = name.rpartition(".")
        return f"{table[module]}.{last}"


def meta_model(config: DINOConfig) -> DINO:
    with torch.device("meta"):
        return DINO(config)


def golden_model(folder: Path, name: str, dtype: torch.dtype) -> DINO:
    """The model with the golden weights."""
    model = meta_model(config_of(folder, name))
    names = Names(dino.pairs(model.config))
    tensors = {}
    for official, shape, _ in read_manifest(folder, name)["tensors"]:
        value = torch.from_numpy(np.asarray(weights.tensor_for(official, shape)))
        tensors[Names.translate(names.ours_of, official)] = value.to(dtype)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def golden_input(name: str, dtype: torch.dtype) -> Tensor:
    x = torch.from_numpy(weights.input_for(f"det_{name}", (1, 3, 256, 320), smooth=16)).to(dtype)
    x[:, :, IMAGE_SIZE[0] :] = 0
    x[:, :, :, IMAGE_SIZE[1] :] = 0
    return x


def record(model: DINO, x: Tensor) -> tuple[dict[str, Tensor], DINOOutput, Detections]:
    """Outputs by the goldens' names, uncut."""
    outputs: dict[str, Tensor] = {}

    def keep(prefix: str, values: list[Tensor]) -> None:
        outputs.update({f"{prefix}{index}": value for index, value in enumerate(values)})

    handles = [model.neck.register_forward_hook(lambda _m, _i, out: keep("neck", out))]
    scores = model.query_selection.class_head
    handles.append(
        scores.register_forward_hook(lambda _m, _i, out: outputs.__setitem__("enc_cls_max", out.amax(-1)))
    )
    with torch.inference_mode():
        keep_backbone(model.backbone, x, keep)
        output = model.predict(x, [IMAGE_SIZE])
        (found,) = model.detections(output, [IMAGE_SIZE], [ORIGINAL_SIZE])
    for handle in handles:
        handle.remove()
    selection = output.selection
    outputs |= {
        "enc_memory_slice": output.memory[:, ::8, ::8],
        "topk_indices": selection.indices,
        "topk_anchor": selection.references.sigmoid(),
        "topk_score_q100": selection.logits[:, :100],
        "inter_references": output.references,
        "cls_scores_last": output.logits[-1],
        "bbox_preds": output.boxes,
    }
    return outputs, output, found


def keep_backbone(backbone: nn.Module, x: Tensor, keep: Any) -> None:
    if isinstance(backbone, CompositeInternImage):
        for branch, maps in enumerate(backbone.forward_branches(x)):
            keep(f"backbone_cb{branch}_", maps)
    else:
        keep("backbone", backbone(x))


def sliced(tensor: Tensor, text: str | None) -> Tensor:
    """Apply a slice such as ``"[:, ::4, ::5, ::2]"``."""
    if text is None:
        return tensor
    steps = [part.strip() for part in text.strip("[]").split(",")]
    return tensor[tuple(slice(None, None, int(part[2:]) if part[2:] else None) for part in steps)]
