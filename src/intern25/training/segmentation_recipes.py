# SPDX-License-Identifier: MIT
"""Recipes for segmenters as functions: call one, change what you need, pass it to ``train_segmenter``."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from intern25.training.segmentation_config import SegmentationTrainConfig

SegmentationData = Literal[
    "ade20k", "cityscapes", "mapillary", "coco_stuff_164k", "coco_stuff_10k", "pascal_context_59", "nyu40"
]

_BASE = SegmentationTrainConfig(
    updates=160_000, batch_size=16, base_lr=6e-5, weight_decay=0.05, workers=8, eval_every=10
)
_LARGE = replace(_BASE, base_lr=2e-5, layer_decay=0.94, clip=0.1)
_HUGE = replace(_LARGE, layer_decay=0.95)
_ADE = {"t": (_BASE, 512), "s": (_BASE, 512), "b": (_BASE, 512), "l": (_LARGE, 640), "xl": (_LARGE, 640)}
_ADE |= {"h": (_HUGE, 896), "g": (_HUGE, 896)}


def _square(recipe: SegmentationTrainConfig, side: int) -> SegmentationTrainConfig:
    """Crops of ``side``, pictures of that short side and at most four times as long."""
    return replace(recipe, crop=(side, side), short_side=side, long_side=4 * side)


_MASK2FORMER: dict[SegmentationData, SegmentationTrainConfig] = {
    "ade20k": replace(_square(_HUGE, 896), base_lr=1e-5, updates=80_000),
    "coco_stuff_164k": replace(_square(_HUGE, 896), updates=80_000, clip=0.0),
    "coco_stuff_10k": replace(_square(_HUGE, 512), base_lr=1e-5, updates=40_000, clip=0.0),
    "mapillary": replace(_HUGE, updates=80_000, crop=(896, 896), short_side=1024, long_side=2048, slide=512),
    "cityscapes": replace(
        _HUGE, base_lr=1e-5, updates=80_000, crop=(1024, 1024), short_side=1024, long_side=2048, slide=512
    ),
    "pascal_context_59": replace(
        _HUGE, updates=40_000, clip=0.0, crop=(480, 480), short_side=520, long_side=4096
    ),
    "nyu40": replace(_HUGE, updates=40_000, clip=0.0, crop=(480, 480), short_side=480, long_side=640),
}
_BACKBONES = {
    **{size: f"internimage_{size}_1k_224" for size in ("t", "s", "b")},
    **{size: f"internimage_{size}_22k_192to384" for size in ("l", "xl")},
    "h": "internimage_h_jointto22k_384",
    "g": "internimage_g_pretrainto22k_384",
}


def recipe_official_segmentation(
    model: str = "upernet_internimage_t", *, data: SegmentationData = "ade20k"
) -> SegmentationTrainConfig:
    """Return the authors' recipe of a segmenter on a data set; rates follow the images of an update.

    Mapillary recipes are followed by those of Cityscapes: set ``pretrained`` to the weights of the first.

    Args:
        model: ``upernet_internimage_t`` to ``g``, ``segformer_internimage_l`` or ``xl``, or the
            ``mask2former_internimage_h`` of the data set.
        data: The data set.

    Raises:
        ValueError: There is no official recipe of both.

    Source:
        OpenGVLab/InternImage ``segmentation/configs``.
    """
    head, _, size = model.partition("_internimage_")
    if head == "mask2former" and size.partition("_")[0] == "h" and data in _MASK2FORMER:
        return replace(_MASK2FORMER[data], model=model, pretrained_backbone=_BACKBONES["h"])
    if head == "upernet" and data == "ade20k" and size in _ADE:
        recipe, side = _ADE[size]
        return replace(_square(recipe, side), model=model, pretrained_backbone=_BACKBONES[size])
    streets = ("t", "s", "b", "l", "xl") if head == "upernet" and data == "cityscapes" else ("l", "xl")
    if head in ("upernet", "segformer") and data in ("cityscapes", "mapillary") and size in streets:
        recipe, _ = _ADE[size]
        recipe = replace(recipe, format="cityscapes", crop=(512, 1024), short_side=1024, long_side=2048)
        recipe = replace(recipe, model=model, pretrained_backbone=_BACKBONES[size])
        if data == "mapillary":
            return replace(recipe, format="mapillary_as_cityscapes", updates=80_000)
        return recipe
    raise ValueError(
        f"no official recipe for {model!r} on {data!r}; there are recipes for upernet_internimage_t..g on "
        "ade20k, upernet and segformer on cityscapes and mapillary, and mask2former_internimage_h on all"
    )


def recipe_small_segmentation(
    *, data: str = "", output: str = "runs/segment", model: str = "upernet_internimage_nano"
) -> SegmentationTrainConfig:
    """Return a recipe for some hundred pictures on a CPU: nano on its Caltech-101 backbone, Muon, dice.

    Args:
        data: Path of the data set.
        output: Output folder.
        model: Architecture.
    """
    return SegmentationTrainConfig(
        data=data,
        output=output,
        model=model,
        pretrained_backbone="internimage_nano_caltech101",
        epochs=60,
        batch_size=8,
        optimizer="muon",
        base_lr=3e-3,
        backbone_lr_mul=0.6,
        clip=5.0,
        schedule="cosine",
        warmup_updates=50,
        drop_path=0.0,
        ema_decay=0.999,
        ema_warmup=True,
        class_balance=0.5,
        dice_weight=0.5,
        crop=(224, 288),
        scale=(0.67, 1.33),
        short_side=240,
        long_side=320,
        photometric=0.5,
        cache="decoded",
        workers=0,
        eval_every=4,
    )
