# SPDX-License-Identifier: MIT
"""Names, shapes and totals of the official segmenters, both ways, without any memory for weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from intern25.segmentation import config as configs
from intern25.segmentation.config import SegmenterConfig
from tests.segmentation.golden import CONFIGS, meta_model, names_of, read_manifest

TOTALS = {
    "UPERNET_T": 59_077_148,
    "UPERNET_S": 79_866_956,
    "UPERNET_B": 128_387_852,
    "UPERNET_L": 255_600_606,
    "UPERNET_XL": 367_733_000,
    "UPERNET_H": 1_120_338_396,
    "SEGFORMER_L": 219_870_024,
    "SEGFORMER_XL": 330_011_762,
    "MASK2FORMER_H_ADE20K": 1_313_496_135,
    "MASK2FORMER_H_CITYSCAPES": 1_093_867_908,
    "MASK2FORMER_H_PASCAL_CONTEXT_59": 1_093_878_188,
    "MASK2FORMER_H_NYU40": 1_093_873_305,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CONFIGS)
def test_every_name_and_shape(name: str, shared_root: Path) -> None:
    manifest, model, table = (
        read_manifest(shared_root, name),
        meta_model(CONFIGS[name]),
        names_of(CONFIGS[name]),
    )
    expected = {official: tuple(shape) for official, shape, _ in manifest["tensors"]}
    tensors = model.state_dict()
    found = {table.to_official(ours): tuple(tensor.shape) for ours, tensor in tensors.items()}
    assert found == expected
    assert {table.to_ours(official) for official in expected} == set(tensors)
    assert sum(parameter.numel() for parameter in model.parameters()) == manifest["n_params"]


@pytest.mark.parametrize("name", TOTALS)
def test_totals(name: str) -> None:
    model = meta_model(getattr(configs, name))
    assert sum(parameter.numel() for parameter in model.parameters()) == TOTALS[name]


ALL = {
    name: value
    for name, value in vars(configs).items()
    if name.startswith(("UPERNET_", "SEGFORMER_", "MASK2FORMER_"))
}


@pytest.mark.parametrize("name", ALL)
def test_configs_survive_json(name: str) -> None:
    config: SegmenterConfig = ALL[name]
    assert type(config)(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.shared
@pytest.mark.parametrize("name", CONFIGS)
def test_drop_path_is_the_official_one(name: str, shared_root: Path) -> None:
    official = read_manifest(shared_root, name)["backbone_cfg"]
    backbone = CONFIGS[name].backbone
    assert backbone.drop_path == official["drop_path_rate"]
    assert backbone.layer_scale == official["layer_scale"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 0}, "num_classes=0 must lie in 1..255"),
        ({"class_weights": (1.0, 2.0)}, "class_weights has 2 numbers for 150 classes"),
        ({"fusion": "mean"}, "fusion='mean' is unknown"),
    ],
)
def test_bad_configs(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(configs.UPERNET_T, **changes)


def test_channels_and_heads_of_mask2former() -> None:
    with pytest.raises(ValueError, match="channels=256 is not a multiple of heads=7"):
        dataclasses.replace(configs.MASK2FORMER_H_CITYSCAPES, heads=7)
