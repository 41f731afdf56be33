"""Recipes of detectors and segmenters hold the published settings, and name models that exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.detection_recipes import (
    _RECIPES,
    DetectionData,
    Schedule,
    recipe_official_detection,
    recipe_small_detection,
)
from intern25.training.segmentation_config import SegmentationTrainConfig
from intern25.training.segmentation_recipes import recipe_official_segmentation, recipe_small_segmentation
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.catalog import CARDS


class Choice(NamedTuple):
    """What leads to a recipe, and for how many images an update the published rate is."""

    model: str = ""
    schedule: Schedule | None = None
    data: DetectionData = "coco"
    images: int = 16


SCHEDULES: tuple[Schedule, ...] = ("1x", "3x")
CB_OBJECTS365 = "dino_4scale_cbinternimage_h_objects365"
CONFIGS = {
    **{
        f"coco/mask_rcnn_internimage_{size}_fpn_{schedule}_coco": Choice(
            f"mask_rcnn_internimage_{size}", schedule
        )
        for size in ("t", "s", "b")
        for schedule in SCHEDULES
    },
    **{
        f"coco/cascade_internimage_{size}_fpn_{schedule}_coco": Choice(
            f"cascade_mask_rcnn_internimage_{size}", schedule, images=64 if schedule == "3x" else 16
        )
        for size in ("l", "xl")
        for schedule in SCHEDULES
    },
    "coco/dino_4scale_internimage_t_1x_coco_layer_wise_lr": Choice("dino_internimage_t"),
    "coco/dino_4scale_internimage_l_1x_coco_layer_wise_lr": Choice("dino_internimage_l"),
    "coco/dino_4scale_internimage_l_1x_coco_0.1x_backbone_lr": Choice("dino_internimage_l"),
    "coco/dino_4scale_internimage_h_objects365_coco_ss": Choice("dino_internimage_h"),
    "coco/dino_4scale_internimage_g_objects365_coco_ss": Choice("dino_internimage_g"),
    f"coco/{CB_OBJECTS365}_coco_ss": Choice("cb_dino_internimage_h"),
    f"lvis/{CB_OBJECTS365}_lvis_minival_ss": Choice(data="lvis"),
    f"lvis/{CB_OBJECTS365}_lvis_val_ss": Choice(data="lvis"),
    f"openimages/{CB_OBJECTS365}_openimages_ss": Choice(data="openimages"),
    f"voc/{CB_OBJECTS365}_voc07": Choice(data="voc"),
    f"voc/{CB_OBJECTS365}_voc12": Choice(data="voc"),
    "crowd_human/cascade_internimage_xl_fpn_3x_crowd_human": Choice(data="crowdhuman", images=128),
}
OTHER_OPERATOR = "coco/mask_rcnn_internimage_t_fpn_1x_coco_with_dcnv4"


def all_detection_recipes() -> dict[tuple[str, str, Schedule], DetectionTrainConfig]:
    return {
        (data, model, schedule): recipe
        for data, recipes in _RECIPES.items()
        for (model, schedule), recipe in recipes.items()
    }


def official(choice: Choice, *, slow_backbone: bool = False) -> DetectionTrainConfig:
    return recipe_official_detection(
        choice.model, schedule=choice.schedule, data=choice.data, slow_backbone=slow_backbone
    )


@pytest.fixture(scope="module")
def published(shared_root: Path) -> dict[str, dict[str, Any]]:
    """The authors' configs, resolved, by their name below ``detection/configs``."""
    path = shared_root / "spec" / "internimage_tables.json"
    if not path.is_file():
        pytest.skip(f"{path} is not among the reference data")
    prefix = "detection/configs/"
    rows = json.loads(path.read_text())["configs"]
    return {
        row["config"].removeprefix(prefix).removesuffix(".py"): row
        for row in rows
        if row["config"].startswith(prefix)
    }


@pytest.mark.shared
def test_every_published_config_of_a_detector_has_a_recipe(published: dict[str, dict[str, Any]]) -> None:
    assert CONFIGS.keys() | {OTHER_OPERATOR} == published.keys()
    named = {
        (choice.data, recipe.model, choice.schedule or ("3x" if choice.data == "crowdhuman" else "1x"))
        for choice in CONFIGS.values()
        for recipe in [official(choice)]
    }
    assert named == all_detection_recipes().keys()


@pytest.mark.shared
@pytest.mark.parametrize("name", CONFIGS)
def test_settings_are_the_published_ones(name: str, published: dict[str, dict[str, Any]]) -> None:
    row = published[name]
    recipe = official(CONFIGS[name], slow_backbone=name.endswith("0.1x_backbone_lr"))
    config: Any = ARCHITECTURES[recipe.model]
    optimizer, rates, runner = row["optimizer"], row["lr_config"], row["runner"]
    groups = optimizer["paramwise_cfg"]
    assert recipe.base_lr == pytest.approx(optimizer["lr"] * 16 / CONFIGS[name].images)
    assert recipe.weight_decay == optimizer["weight_decay"]
    assert recipe.layer_decay == groups.get("layer_decay_rate", 1.0)
    assert recipe.backbone_lr_mul == groups.get("custom_keys", {}).get("backbone", {}).get("lr_mult", 1.0)
    if "dino" in recipe.model:  # the other detectors have no layer that this is for
        assert recipe.sampling_lr_mul == groups.get("offset_lr_scale", 1.0)
    assert recipe.clip == row.get("grad_clip", {}).get("max_norm", 0.0)
    assert (recipe.warmup_updates, recipe.warmup_ratio) == (rates["warmup_iters"], rates["warmup_ratio"])
    assert recipe.updates == runner.get("max_iters", 0)
    assert recipe.epochs == runner.get("max_epochs", recipe.epochs)
    assert [round(share * recipe.epochs) for share in recipe.steps] == rates["step"]
    assert [recipe.long_side, recipe.short_side] == row["test_scale"]
    ema = [hook["momentum"] for hook in row["custom_hooks"] if hook["type"] == "ExpMomentumEMAHook"]
    assert recipe.ema_decay == pytest.approx(1 - ema[0] if ema else 0.0)
    drop_path = config.backbone.drop_path if recipe.drop_path is None else recipe.drop_path
    assert drop_path == row["backbone"]["drop_path_rate"]
    assert recipe.pretrained == Path(row.get("load_from", "")).stem
    assert recipe.pretrained_backbone == Path(row.get("backbone_init", "")).stem
    detections = row["det_test"].get("max_per_img") or row["det_test"]["rcnn"]["max_per_img"]
    assert config.max_detections == detections


def test_data_sets_beyond_coco() -> None:
    lvis = recipe_official_detection(data="lvis")
    assert (lvis.model, lvis.format, lvis.metric) == ("cb_dino_internimage_h", "lvis", "lvis")
    assert (lvis.sampling, lvis.repeat_threshold, lvis.federated_classes) == ("repeat_factor", 1e-3, 50)
    assert (lvis.augmentation, lvis.train_short_side, lvis.min_scale) == ("scale_range", 1200, 0.5)
    assert recipe_official_detection("cb_dino_internimage_h").train_short_side == 1800
    everything = recipe_official_detection(data="openimages")
    assert (everything.sampling, everything.federated_classes, everything.updates) == (
        "class_aware",
        0,
        100_000,
    )
    voc = recipe_official_detection(data="voc")
    assert (voc.format, voc.train_split, voc.metric, voc.base_lr) == ("voc", "trainval", "voc07", 5e-5)
    crowd = recipe_official_detection(data="crowdhuman", schedule="3x")
    assert crowd.model == "cascade_rcnn_internimage_xl_crowd_human"
    assert (crowd.augmentation, crowd.epochs) == ("multi_scale", 36)
    assert recipe_official_detection("dino_internimage_t").sampling == "plain"


def test_recipes_that_do_not_exist() -> None:
    with pytest.raises(
        ValueError, match=r"'dino_internimage_t' 1x on lvis; .* for cb_dino_internimage_h 1x$"
    ):
        recipe_official_detection("dino_internimage_t", data="lvis")
    with pytest.raises(ValueError, match="'cb_dino_internimage_h' 3x on openimages"):
        recipe_official_detection(data="openimages", schedule="3x")
    with pytest.raises(
        ValueError, match="no official recipe on 'objects365'; there are recipes on coco, lvis"
    ):
        recipe_official_detection(data="objects365")  # type: ignore[arg-type]


def test_two_stage_detectors() -> None:
    one, three = recipe_official_detection(), recipe_official_detection(schedule="3x")
    assert (one.epochs, one.batch_size, one.base_lr, one.weight_decay) == (12, 16, 1e-4, 0.05)
    assert [round(share * 12) for share in one.steps] == [8, 11]
    assert (one.warmup_updates, one.warmup_ratio, one.layer_decay, one.clip) == (500, 1e-3, 1.0, 0.0)
    assert (one.augmentation, one.short_side, one.long_side) == ("single_scale", 800, 1333)
    assert (three.epochs, three.augmentation) == (36, "multi_scale")
    assert [round(share * 36) for share in three.steps] == [27, 33]
    cascade = recipe_official_detection("cascade_mask_rcnn_internimage_xl", schedule="3x")
    assert (cascade.layer_decay, cascade.ema_decay, cascade.drop_path) == (0.9, 0.9999, 0.6)
    assert cascade.base_lr * 64 / 16 == pytest.approx(2e-4)
    assert recipe_official_detection("cascade_mask_rcnn_internimage_l").layer_decay == 0.94


def test_dino() -> None:
    t = recipe_official_detection("dino_internimage_t")
    assert (t.weight_decay, t.layer_decay, t.clip) == (1e-4, 0.9, 0.1)
    assert [round(share * 12) for share in t.steps] == [11]
    slow = recipe_official_detection("dino_internimage_l", slow_backbone=True)
    assert (slow.backbone_lr_mul, slow.layer_decay, slow.weight_decay) == (0.1, 1.0, 0.05)
    h = recipe_official_detection("dino_internimage_h")
    assert (h.updates, h.steps, h.layer_decay, h.sampling_lr_mul) == (20_000, (), 0.94, 1e-3)
    assert (h.short_side, h.train_short_side, h.train_short_side * h.min_scale) == (1000, 1800, 600)
    with pytest.raises(ValueError, match="no official recipe for 'dino_internimage_t' 3x"):
        recipe_official_detection("dino_internimage_t", schedule="3x")
    with pytest.raises(ValueError, match="variant of dino_internimage_l"):
        recipe_official_detection("dino_internimage_t", slow_backbone=True)


def test_segmenters() -> None:
    t = recipe_official_segmentation()
    assert (t.updates, t.batch_size, t.base_lr, t.crop, t.long_side) == (160_000, 16, 6e-5, (512, 512), 2048)
    assert (t.schedule, t.warmup_updates, t.warmup_ratio, t.layer_decay, t.clip) == (
        "poly",
        1500,
        1e-6,
        1.0,
        0.0,
    )
    xl = recipe_official_segmentation("upernet_internimage_xl")
    assert (xl.base_lr, xl.layer_decay, xl.clip, xl.short_side, xl.long_side) == (2e-5, 0.94, 0.1, 640, 2560)
    assert recipe_official_segmentation("upernet_internimage_h").layer_decay == 0.95
    streets = recipe_official_segmentation("segformer_internimage_l", data="cityscapes")
    assert (streets.crop, streets.short_side, streets.updates) == ((512, 1024), 1024, 160_000)
    mapillary = recipe_official_segmentation("upernet_internimage_l", data="mapillary")
    assert (mapillary.updates, mapillary.format) == (80_000, "mapillary_as_cityscapes")
    m2f = recipe_official_segmentation("mask2former_internimage_h_cityscapes", data="cityscapes")
    assert (m2f.base_lr, m2f.slide, m2f.crop, m2f.clip) == (1e-5, 512, (1024, 1024), 0.1)
    nyu = recipe_official_segmentation("mask2former_internimage_h_nyu40", data="nyu40")
    assert (nyu.clip, nyu.long_side, nyu.short_side) == (0.0, 640, 480)
    with pytest.raises(ValueError, match="no official recipe for 'segformer_internimage_l' on 'ade20k'"):
        recipe_official_segmentation("segformer_internimage_l")


def test_models_and_weights_of_recipes_exist() -> None:
    recipes: list[DetectionTrainConfig | SegmentationTrainConfig] = list(all_detection_recipes().values())
    recipes += [
        recipe_official_segmentation(f"upernet_internimage_{s}") for s in ("t", "s", "b", "l", "xl", "h", "g")
    ]
    recipes += [recipe_small_detection(data="x"), recipe_small_segmentation(data="x")]
    for recipe in recipes:
        assert recipe.model in ARCHITECTURES
        assert not recipe.pretrained_backbone or recipe.pretrained_backbone in CARDS
        assert not recipe.pretrained or CARDS[recipe.pretrained].architecture == recipe.model
        assert type(recipe).from_json(recipe.to_json()) == recipe
