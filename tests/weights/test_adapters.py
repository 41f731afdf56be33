# SPDX-License-Identifier: MIT
"""Names both ways; the exact official names are checked against the goldens in tests/backbones."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from intern25.backbones.internimage import INTERNIMAGE_H, INTERNIMAGE_NANO, INTERNIMAGE_T
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.data.preprocessing import Preprocessing
from intern25.weights.adapters import hugging_face
from intern25.weights.adapters.official import name_table
from intern25.weights.architectures import BACKBONES
from tests.weights.samples import VARIANTS, classifier


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_has_an_official_name_and_comes_back(variant: str) -> None:
    model = classifier(VARIANTS[variant])
    table = name_table(model.config)
    official = [table.to_official(name) for name in model.state_dict()]
    assert None not in official
    assert len(set(official)) == len(official)
    assert [table.to_ours(str(name)) for name in official] == list(model.state_dict())


def test_metadata_head_has_the_official_names() -> None:
    """Names read in the official intern_image_meta_former.py."""
    with torch.device("meta"):
        model = InternImageMetaClassifier(INTERNIMAGE_NANO, 5)
    table = name_table(model.config)
    names = {str(table.to_official(name)) for name in model.state_dict()}
    meta = {name for name in names if name.startswith("meta")}
    assert meta == {
        f"{module}.{leaf}"
        for module in (
            *(f"meta_head_{k}.{part}" for k in (1, 2) for part in ("0", "2")),
            *(f"meta_head_{k}.3.{part}" for k in (1, 2) for part in ("w1", "w2", "norm_fn1", "norm_fn2")),
            "meta_norm",
            "meta_head",
        )
        for leaf in ("weight", "bias")
    }


def test_unknown_names_are_not_translated() -> None:
    table = name_table(INTERNIMAGE_T)
    assert table.to_ours("levels.0.blocks.99.norm1.0.weight") is None
    assert table.to_official("neck.conv.weight") is None


@pytest.mark.parametrize("name", BACKBONES)
def test_config_survives_the_hugging_face_form(name: str) -> None:
    config = BACKBONES[name]
    assert hugging_face.read_config(hugging_face.write_config(config, 1000)) == config


def test_hugging_face_config_is_the_published_one() -> None:
    """The fields the authors' config.json of H states (InternImage-H, 640)."""
    ours = hugging_face.write_config(INTERNIMAGE_H, 1000)
    published = {
        "center_feature_scale": True,
        "channels": 320,
        "depths": [6, 6, 32, 6],
        "dw_kernel_size": 5,
        "groups": [10, 20, 40, 80],
        "layer_scale": None,
        "level2_post_norm": True,
        "level2_post_norm_block_ids": [5, 11, 17, 23, 29],
        "mlp_ratio": 4.0,
        "model_type": "internimage",
        "post_norm": False,
        "res_post_norm": True,
        "use_clip_projector": True,
    }
    assert {key: ours[key] for key in published} == published


@pytest.mark.parametrize(
    ("change", "words"),
    [({"cls_scale": 2.0}, "cls_scale"), ({"drop_path_type": "uniform"}, "drop_path_type")],
)
def test_unsupported_hugging_face_config(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hugging_face.read_config(hugging_face.write_config(INTERNIMAGE_T, 1000) | change)


def test_hugging_face_config_without_channels() -> None:
    with pytest.raises(ValueError, match="channels"):
        hugging_face.read_config({"model_type": "internimage"})


def test_preprocessing_survives_the_hugging_face_form() -> None:
    preprocessing = Preprocessing(384)
    values = hugging_face.write_preprocessing(preprocessing)
    assert hugging_face.read_preprocessing(values) == preprocessing
    with pytest.raises(ValueError, match="intern25"):
        hugging_face.write_preprocessing(dataclasses.replace(preprocessing, crop="squash"))
