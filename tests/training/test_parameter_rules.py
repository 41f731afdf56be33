"""Learning-rate factors and weight decays of detectors and segmenters against the official constructors'."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from intern25.backbones import INTERNIMAGE_NANO
from intern25.detection.cascade import CascadeMaskRCNN
from intern25.detection.dino import DINO
from intern25.detection.dino_config import DINO_H, DINO_L, DINO_NANO, DINO_T
from intern25.detection.mask_rcnn import MaskRCNN
from intern25.detection.rcnn_config import CASCADE_L, MASK_RCNN_T
from intern25.segmentation.config import (
    MASK2FORMER_H_CITYSCAPES,
    SEGFORMER_L,
    UPERNET_H,
    UPERNET_L,
    UPERNET_NANO,
    UPERNET_T,
)
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.segformer import SegFormer
from intern25.segmentation.upernet import UperNet
from intern25.training.optimizer import hidden_matrices
from intern25.training.parameter_rules import (
    FIRST_LAYER_DETECTION,
    FIRST_LAYER_SEGMENTATION,
    downstream_rules,
)
from intern25.weights.adapters import dino, rcnn, segmentation
from intern25.weights.adapters.official import table_of


@dataclass(frozen=True)
class Case:
    build: Callable[[Any], nn.Module]
    config: Any
    pairs: Callable[[Any], Any]
    first_layer: tuple[str, ...]


CASES = {
    "det_mask_rcnn_t": Case(MaskRCNN, MASK_RCNN_T, rcnn.pairs, FIRST_LAYER_DETECTION),
    "det_cascade_l": Case(CascadeMaskRCNN, CASCADE_L, rcnn.pairs, FIRST_LAYER_DETECTION),
    "det_dino_t": Case(DINO, DINO_T, dino.pairs, FIRST_LAYER_DETECTION),
    "det_dino_l": Case(DINO, DINO_L, dino.pairs, FIRST_LAYER_DETECTION),
    "det_dino_h": Case(DINO, DINO_H, dino.pairs, FIRST_LAYER_DETECTION),
    "seg_upernet_t": Case(UperNet, UPERNET_T, segmentation.pairs, FIRST_LAYER_SEGMENTATION),
    "seg_upernet_l": Case(UperNet, UPERNET_L, segmentation.pairs, FIRST_LAYER_SEGMENTATION),
    "seg_upernet_h": Case(UperNet, UPERNET_H, segmentation.pairs, FIRST_LAYER_SEGMENTATION),
    "seg_segformer_l_city": Case(SegFormer, SEGFORMER_L, segmentation.pairs, FIRST_LAYER_SEGMENTATION),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CASES)
def test_groups_are_the_official_ones(shared_root: Path, name: str) -> None:
    path = shared_root / "goldens" / "train" / f"param_groups_{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is kept back")
    golden, case = json.loads(path.read_text()), CASES[name]
    with torch.device("meta"):
        model = case.build(case.config)
    options = golden["optimizer"]["paramwise_cfg"]
    is_detector = name.startswith("det")
    rules = downstream_rules(
        model,
        weight_decay=golden["optimizer"]["weight_decay"],
        layer_decay=options["layer_decay_rate"],
        # The official segmentation code looks for these names in the backbone alone, which has none.
        sampling_lr_mul=options.get("offset_lr_scale", 1.0) if is_detector else 1.0,
        first_layer=case.first_layer,
    )
    table = table_of(case.pairs(case.config))
    ours = {rule.name: (rule.lr_scale, rule.weight_decay) for rule in rules}
    expected = {
        table.to_ours(member): (group["lr_scale"], group["weight_decay"])
        for group in golden["groups"]
        for member in group["names"]
    }
    assert ours.keys() == expected.keys()
    for parameter, (scale, weight_decay) in expected.items():
        assert ours[parameter] == (pytest.approx(scale, rel=1e-12), weight_decay), parameter


def test_mask2formers_predictions_are_as_slow_as_the_stem() -> None:
    """No golden file has it; the rule is a list of names in the official constructor."""
    with torch.device("meta"):
        model = Mask2Former(MASK2FORMER_H_CITYSCAPES)
    rules = {
        rule.name: rule.lr_scale
        for rule in downstream_rules(
            model, weight_decay=0.05, layer_decay=0.95, first_layer=FIRST_LAYER_SEGMENTATION
        )
    }
    slow = 0.95 ** (sum(MASK2FORMER_H_CITYSCAPES.backbone.depths) + 1)
    assert rules["backbone.stem.conv1.weight"] == pytest.approx(slow)
    outside = {name: scale for name, scale in rules.items() if not name.startswith("backbone.")}
    assert set(outside.values()) == {1.0, rules["backbone.stem.conv1.weight"]}
    named = {".".join(name.split(".")[:2]) for name, scale in outside.items() if scale != 1.0}
    assert named == set(FIRST_LAYER_SEGMENTATION)


def test_backbone_and_sampling_have_their_own_factors() -> None:
    with torch.device("meta"):
        model = DINO(DINO_NANO)
    rules = {
        rule.name: rule
        for rule in downstream_rules(model, weight_decay=0.1, backbone_lr_mul=0.5, sampling_lr_mul=0.1)
    }
    offsets = "encoder.layers.0.attention.sampling_offsets.weight"
    assert (rules[offsets].lr_scale, rules[offsets].weight_decay) == (0.1, 0.0)
    block = "backbone.stages.3.blocks.0.dcn.function.offset.weight"
    assert (rules[block].lr_scale, rules[block].weight_decay) == (0.5, 0.1)
    assert rules["decoder.norm.weight"].lr_scale == 1.0


@pytest.mark.parametrize("composite", [False, True])
def test_other_backbones_have_no_layers_to_decay(composite: bool) -> None:
    config = replace(DINO_NANO, composite=composite, backbone=replace(INTERNIMAGE_NANO))
    with torch.device("meta"):
        model = DINO(config)
    scales = {
        rule.lr_scale
        for rule in downstream_rules(model, weight_decay=0.1, layer_decay=0.5)
        if rule.name.startswith("backbone.")
    }
    assert scales == {1.0} if composite else len(scales) > 10


def test_muon_leaves_outputs_of_heads_alone() -> None:
    with torch.device("meta"):
        detector, segmenter = DINO(DINO_NANO), UperNet(UPERNET_NANO)
    chosen = hidden_matrices(detector) | hidden_matrices(segmenter)
    assert "backbone.stages.0.blocks.0.mlp.function.fc1.weight" in chosen
    assert "encoder.layers.0.feedforward.fc1.weight" in chosen
    assert "decode_head.fusion.conv.weight" in chosen
    for name in (
        "backbone.stem.conv1.weight",
        "decoder.class_heads.0.weight",
        "decoder.box_heads.0.layers.2.weight",
        "encoder.layers.0.attention.sampling_offsets.weight",
        "decode_head.classifier.conv.weight",
        "auxiliary_head.classifier.conv.weight",
    ):
        assert name in dict(detector.named_parameters()) | dict(segmenter.named_parameters())
        assert name not in chosen
