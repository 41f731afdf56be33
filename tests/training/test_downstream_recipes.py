"""Recipes of detectors and segmenters hold the published settings, and name models that exist."""

from __future__ import annotations

import pytest

from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.detection_recipes import _OFFICIAL, recipe_official_detection, recipe_small_detection
from intern25.training.segmentation_config import SegmentationTrainConfig
from intern25.training.segmentation_recipes import recipe_official_segmentation, recipe_small_segmentation
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.catalog import CARDS


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
    recipes: list[DetectionTrainConfig | SegmentationTrainConfig] = [*_OFFICIAL.values()]
    recipes += [
        recipe_official_segmentation(f"upernet_internimage_{s}") for s in ("t", "s", "b", "l", "xl", "h", "g")
    ]
    recipes += [recipe_small_detection(data="x"), recipe_small_segmentation(data="x")]
    for recipe in recipes:
        assert recipe.model in ARCHITECTURES
        assert not recipe.pretrained_backbone or recipe.pretrained_backbone in CARDS
        assert type(recipe).from_json(recipe.to_json()) == recipe
