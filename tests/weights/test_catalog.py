# SPDX-License-Identifier: MIT
"""The catalog against the authors' tables and configurations: files, results, sizes, preprocessing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from intern25.backbones.classifier import num_parameters
from intern25.data.class_names import class_names
from intern25.data.preprocessing import Preprocessing
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.weights.architectures import ARCHITECTURES, BACKBONES, backbone_name
from intern25.weights.card import ModelCard
from intern25.weights.catalog import BACKBONE_CARDS, CARDS, DEFAULT_CARDS, list_models
from intern25.weights.cost import cost_of, flops_of, table_size
from intern25.weights.create import create_model
from intern25.weights.files import read_metadata
from intern25.weights.kinds import FAMILIES, backbone_of, kind_of_config

PUBLISHED = {"classification": 12, "detection": 21, "segmentation": 26}
WITHOUT_WEIGHTS = {"cascade_internimage_xl_fpn_3x_crowd_human", "upernet_internimage_g_896_160k_ade20k"}
ONLY_IN_CONFIGS = {
    f"dino_4scale_cbinternimage_h_objects365_{number}classes.pth" for number in (20, 80)
}  # the authors' tables link them nowhere
METRICS = {
    "box_AP": "box_ap", "mask_AP": "mask_ap", "mIoU_ss": "miou", "mIoU_ms": "miou_ms", "box_AP_ss": "box_ap",
    "box_AP_ms": "box_ap_tta", "box_AP_val": "box_ap_tta", "box_AP_testdev": "box_ap_test_dev_tta",
    "box_AP_minival_ss": "box_ap_minival", "box_AP_val_ss": "box_ap", "box_AP_val_ms": "box_ap_ms",
    "mAP_ss": "box_ap50", "VOC2007_AP50": "box_ap50_voc07", "VOC2012_AP50": "box_ap50_voc12", "top1": "top1",
}  # fmt: skip
DATA_SETS = {
    "CocoDataset": "coco", "CrowdHumanDataset": "crowdhuman", "LVISV1Dataset": "lvis", "VOCDataset": "voc",
    "OpenImagesDataset": "openimages", "ADE20KDataset": "ade20k", "CityscapesDataset": "cityscapes",
    "COCOStuffDataset": "coco_stuff_164k", "NYUDepthV2Dataset": "nyu40",
    "PascalContextDataset59": "pascal_context_59",
}  # fmt: skip
# Configurations of one checkpoint that has another name.
CHECKPOINT_OF = {
    "dino_4scale_internimage_t_1x_coco_layer_wise_lr": "dino_4scale_internimage_t_1x_coco",
    "mask_rcnn_internimage_t_fpn_1x_coco_with_dcnv4": "mask_rcnn_internimage_t_fpn_1x_coco",
    "dino_4scale_cbinternimage_h_objects365_lvis_minival": "dino_4scale_cbinternimage_h_objects365_lvis",
    "dino_4scale_cbinternimage_h_objects365_lvis_val": "dino_4scale_cbinternimage_h_objects365_lvis",
    "dino_4scale_cbinternimage_h_objects365_voc07": "dino_4scale_cbinternimage_h_objects365_voc0712",
    "dino_4scale_cbinternimage_h_objects365_voc12": "dino_4scale_cbinternimage_h_objects365_voc0712",
}


@pytest.fixture(scope="module")
def tables(shared_root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((shared_root / "spec" / "internimage_tables.json").read_text())
    return content


def card_of(config: dict[str, Any]) -> ModelCard:
    stem = Path(config["config"]).stem
    stem = stem.removesuffix("_ss").removesuffix("_ms")
    return CARDS[CHECKPOINT_OF.get(stem, stem)]


def test_every_row_is_consistent() -> None:
    for task, number in PUBLISHED.items():
        cards = [card for card in CARDS.values() if card.task == task]
        assert len([card for card in cards if card.source == "hub"]) == number
    assert {card.id for card in CARDS.values() if card.source == "unpublished"} == WITHOUT_WEIGHTS
    for name, card in CARDS.items():
        assert card.id == name
        assert card.file.rpartition(".")[0] == name
        assert card.architecture in ARCHITECTURES
        assert isinstance(card.preprocessing, FAMILIES[card.kind].preprocessing)
        assert len(class_names(card.classes).padded(card.num_classes)) == card.num_classes
        assert len(class_names(card.classes)) == card.num_classes or card.classes == "cityscapes"
        assert getattr(card.config, "num_classes", card.num_classes) == card.num_classes
        if card.source == "hub":
            assert card.url == f"https://huggingface.co/OpenGVLab/InternImage/resolve/main/{name}.pth"
            assert card.available
        else:
            assert card.available == (card.source == "package" and card.packaged_path.is_file())


def test_classifiers() -> None:
    for card in CARDS.values():
        if card.task == "classification":
            assert isinstance(card.preprocessing, Preprocessing)
            assert card.id.startswith(card.architecture + "_")
            if card.source == "hub":
                assert str(card.preprocessing.image_size) in card.id
                assert card.preprocessing.crop == "center"


def test_defaults_name_models_of_their_architecture() -> None:
    assert all(CARDS[card].architecture == name for name, card in DEFAULT_CARDS.items())
    without = set(ARCHITECTURES) - set(DEFAULT_CARDS)
    assert without == {
        *(f"{head}_internimage_nano" for head in ("mask_rcnn", "dino")),
        *(CARDS[name].architecture for name in WITHOUT_WEIGHTS),
    }
    assert all(CARDS[DEFAULT_CARDS[name]].available or "nano" in name for name in DEFAULT_CARDS)
    assert BACKBONE_CARDS.keys() == BACKBONES.keys()
    assert all(CARDS[card].architecture == name for name, card in BACKBONE_CARDS.items())


@pytest.mark.shared
def test_results_are_those_of_the_authors_tables(tables: dict[str, Any]) -> None:
    rows = [
        row for row in tables["results"] if row["task"] in (*PUBLISHED, "pretrain") and "checkpoint" in row
    ]
    hub = {card.file: card for card in CARDS.values() if card.source == "hub"}
    assert {row["checkpoint"] for row in rows} == hub.keys() - ONLY_IN_CONFIGS
    found: dict[str, dict[str, float]] = {file: {} for file in hub}
    for row in rows:
        card, metrics = hub[row["checkpoint"]], dict(row["metrics"])
        if row["method"].endswith("(TTA)") and "box_AP" in metrics:
            metrics = {"box_AP_ms": metrics["box_AP"]}
        found[card.file] |= {METRICS[name]: value for name, value in metrics.items()}
        if card.task == "classification":
            assert card.hugging_face == row.get("hf_repo")
            size = row.get("resolution", "384x384").split("x")[0]
            assert card.preprocessing == Preprocessing(int(size))
        else:
            assert card.published_gflops == row.get("gflops")
    assert {file: dict(card.metrics) for file, card in hub.items()} == found


@pytest.mark.shared
def test_test_transforms_are_those_of_the_authors_configurations(tables: dict[str, Any]) -> None:
    assert len(tables["configs"]) == 51
    for config in tables["configs"]:
        card = card_of(config)
        long_side, short_side = config["test_scale"]
        assert DATA_SETS[config["dataset_test"]] == card.classes
        assert config.get("num_classes", card.num_classes) == card.num_classes
        if card.task == "detection":
            assert card.preprocessing == DetectionPreprocessing(long_side=long_side, short_side=short_side)
            continue
        test = config["seg_test"]
        assert card.preprocessing == SegmentationPreprocessing(
            long_side=long_side,
            short_side=short_side,
            multiple=32 if "ResizeToMultiple" in config["test_steps"] else None,
            mode=test["mode"],
            crop=test.get("crop_size"),
            stride=test.get("stride"),
        )


@pytest.mark.shared
def test_architectures_are_those_of_the_authors_configurations(tables: dict[str, Any]) -> None:
    for config in tables["configs"]:
        card, official = card_of(config), config["backbone"]
        backbone = backbone_of(card.config)
        assert backbone.channels == official["channels"]
        assert list(backbone.depths) == official["depths"]
        assert list(backbone.groups) == official["groups"]
        assert backbone.layer_scale == official["layer_scale"]
        assert backbone.offset_scale == official["offset_scale"]
        if "fpn_3x" not in card.id:  # longer training drops more, which is the recipe's business
            assert backbone.drop_path == official["drop_path_rate"]


TOTALS = {
    "mask_rcnn_internimage_t": 48_920_544, "mask_rcnn_internimage_s": 68_715_024,
    "mask_rcnn_internimage_b": 115_245_264, "cascade_mask_rcnn_internimage_l": 277_307_236,
    "cascade_mask_rcnn_internimage_xl": 387_448_974, "dino_internimage_t": 48_736_828,
    "dino_internimage_l": 241_033_214, "dino_internimage_h": 1_098_725_884,
    "dino_internimage_g": 3_082_611_660, "cb_dino_internimage_h": 2_178_558_124,
    "upernet_internimage_t": 59_077_148, "upernet_internimage_s": 79_866_956,
    "upernet_internimage_b": 128_387_852, "upernet_internimage_l": 255_600_606,
    "upernet_internimage_xl": 367_733_000, "upernet_internimage_h": 1_120_338_396,
    "upernet_internimage_g": 3_112_678_316, "segformer_internimage_l": 219_870_024,
    "segformer_internimage_xl": 330_011_762, "mask2former_internimage_h": 1_313_496_135,
    "mask2former_internimage_h_coco_stuff": 1_313_517_660,
    "mask2former_internimage_h_cityscapes": 1_093_867_908,
    "mask2former_internimage_h_pascal_context_59": 1_093_878_188,
    "mask2former_internimage_h_nyu40": 1_093_873_305,
}  # fmt: skip
"""Of models built by the official code."""


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in BACKBONES])
def test_sizes_of_architectures(name: str) -> None:
    model = create_model(name, device="meta")
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    if name in TOTALS:
        assert num_parameters(model) == TOTALS[name]
    else:
        assert "nano" in name or name == "cascade_rcnn_internimage_xl_crowd_human"


# Outputs of DINO: seven classifiers of 256 inputs with a bias, and a denoising embedding of 256, per class.
@pytest.mark.parametrize("name", ["lvis", "openimages", "voc0712", "80classes", "20classes"])
def test_sizes_of_other_class_lists(name: str) -> None:
    card = CARDS[f"dino_4scale_cbinternimage_h_objects365_{name}"]
    expected = TOTALS["cb_dino_internimage_h"] + (card.num_classes - 80) * (7 * 257 + 256)
    assert num_parameters(create_model(card.id, device="meta")) == expected


QUICKLY_COUNTED = (
    "mask_rcnn_internimage_t", "cascade_mask_rcnn_internimage_l", "upernet_internimage_t",
    "upernet_internimage_h", "segformer_internimage_l", "mask2former_internimage_h_nyu40",
)  # fmt: skip
"""One of each head, and both ways the backbones differ."""


def counted() -> list[Any]:
    """One card for each published pair of architecture and picture."""
    cards = [card for card in CARDS.values() if card.published_gflops is not None]
    pairs = {(card.architecture, table_size(card.task, card)): card for card in cards}
    return [
        pytest.param(card, id=card.id, marks=() if architecture in QUICKLY_COUNTED else pytest.mark.slow)
        for (architecture, _), card in pairs.items()
    ]


@pytest.mark.parametrize("card", counted())
def test_published_operations(card: ModelCard) -> None:
    """Within 0.6 G or 0.03 %: activations, which the authors' program counts too, are left out here."""
    assert card.published_gflops is not None
    count = cost_of(create_model(card.id, device="meta"), card.kind, table_size(card.task, card))
    difference = abs(flops_of(count, card.kind) / 1e9 - card.published_gflops)
    assert difference < max(0.6, 3e-4 * card.published_gflops)
    assert count.flops > 1.9e9 * card.published_gflops


def test_packaged_card_says_what_its_file_says() -> None:
    for card in CARDS.values():
        if card.source == "package" and card.available:
            metadata = read_metadata(card.packaged_path)
            assert metadata.config is not None
            found, wanted = backbone_of(metadata.config), backbone_of(card.config)
            assert dataclasses.replace(found, drop_path=wanted.drop_path) == wanted
            assert metadata.num_classes == card.num_classes
            assert metadata.preprocessing == card.preprocessing
            assert metadata.classes == class_names(card.classes)


def test_lists_by_pattern() -> None:
    assert list_models("mask_rcnn_internimage_t*", pretrained=True) == [
        "mask_rcnn_internimage_t_fpn_1x_coco",
        "mask_rcnn_internimage_t_fpn_3x_coco",
    ]
    assert "upernet_internimage_t" in list_models("upernet_*")
    assert "upernet_internimage_t" not in list_models("upernet_*", pretrained=True)
    assert not WITHOUT_WEIGHTS & set(list_models(pretrained=True))
    assert set(list_models()) >= WITHOUT_WEIGHTS


def test_names_of_backbones() -> None:
    for config in ARCHITECTURES.values():
        name = backbone_name(backbone_of(config))
        assert name in BACKBONES
        assert FAMILIES[kind_of_config(config)].config is type(config)
    assert backbone_name(dataclasses.replace(BACKBONES["internimage_t"], depths=(1, 1, 1, 1))) is None
