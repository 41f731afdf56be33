# SPDX-License-Identifier: MIT
"""Names and shapes of the official detectors, both ways, and their published sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from intern25.backbones.classifier import num_parameters
from intern25.weights.adapters.official import table_of
from intern25.weights.adapters.rcnn import pairs
from tests.detection.rcnn_golden import CONFIGS, meta_model, read_manifest

TOTALS = {
    "mask_rcnn_t": 48_920_544,
    "mask_rcnn_s": 68_715_024,
    "mask_rcnn_b": 115_245_264,
    "cascade_small": 60_706_486,
    "cascade_l": 277_307_236,
    "cascade_xl": 387_448_974,
}


@pytest.mark.parametrize("name", TOTALS)
def test_parameters_are_the_published_ones(name: str) -> None:
    assert num_parameters(meta_model(name)) == TOTALS[name]


@pytest.mark.shared
@pytest.mark.parametrize("name", TOTALS)
def test_every_tensor_has_the_same_shape_under_both_names(name: str, shared_root: Path) -> None:
    manifest = read_manifest(shared_root, name)
    table = table_of(pairs(CONFIGS[name]))
    ours = {key: list(value.shape) for key, value in meta_model(name).state_dict().items()}
    assert {table.to_ours(official): shape for official, shape, _ in manifest["tensors"]} == ours
    assert {table.to_official(key): shape for key, shape in ours.items()} == {
        official: shape for official, shape, _ in manifest["tensors"]
    }
