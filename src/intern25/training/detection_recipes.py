# SPDX-License-Identifier: MIT
"""Recipes for detectors as functions: call one, change what you need, pass it to ``train_detector``."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from intern25.training.detection_config import DetectionTrainConfig

Schedule = Literal["1x", "3x"]
DetectionData = Literal["coco", "lvis", "openimages", "voc", "crowdhuman"]
_Recipes = dict[tuple[str, Schedule], DetectionTrainConfig]

_TWO_STAGE_1X = DetectionTrainConfig(epochs=12, batch_size=16, base_lr=1e-4, weight_decay=0.05, workers=8)
"""12 epochs, a tenth of the rate from epochs 8 and 11 on, one size and flips."""
_TWO_STAGE_3X = replace(_TWO_STAGE_1X, epochs=36, steps=(27 / 36, 33 / 36), augmentation="multi_scale")
"""36 epochs, steps at 27 and 33, random sizes and crops."""
_DINO = replace(
    _TWO_STAGE_1X,
    steps=(11 / 12,),
    weight_decay=1e-4,
    layer_decay=0.9,
    clip=0.1,
    augmentation="multi_scale",
)
_DINO_LARGE = replace(
    _DINO,
    updates=20_000,
    steps=(),
    layer_decay=0.94,
    sampling_lr_mul=1e-3,
    batch_size=1,
    accumulation=16,
    augmentation="scale_range",
    short_side=1000,
    long_side=2000,
    train_short_side=1800,
    min_scale=600 / 1800,
)
"""Short sides of 600 to 1800. The authors give the rate, 1e-4, but not for how many images an update."""
_DINO_COMPOSITE = replace(
    _DINO_LARGE,
    model="cb_dino_internimage_h",
    pretrained="dino_4scale_cbinternimage_h_objects365_80classes",
)
_DINO_COMPOSITE_1200 = replace(_DINO_COMPOSITE, train_short_side=1200, min_scale=600 / 1200)
_CASCADE_1X = replace(_TWO_STAGE_1X, layer_decay=0.94)
_CASCADE_3X = replace(_TWO_STAGE_3X, base_lr=5e-5, layer_decay=0.9, ema_decay=0.9999)
"""2e-4 for 64 images an update."""

_TWO_STAGE: tuple[tuple[Schedule, DetectionTrainConfig], ...] = (("1x", _TWO_STAGE_1X), ("3x", _TWO_STAGE_3X))
_CASCADE: tuple[tuple[Schedule, DetectionTrainConfig], ...] = (("1x", _CASCADE_1X), ("3x", _CASCADE_3X))

_COCO: _Recipes = {
    **{
        (f"mask_rcnn_internimage_{size}", schedule): replace(
            recipe,
            model=f"mask_rcnn_internimage_{size}",
            pretrained_backbone=f"internimage_{size}_1k_224",
        )
        for size in ("t", "s", "b")
        for schedule, recipe in _TWO_STAGE
    },
    **{
        (f"cascade_mask_rcnn_internimage_{size}", schedule): replace(
            recipe,
            model=f"cascade_mask_rcnn_internimage_{size}",
            pretrained_backbone=f"internimage_{size}_22k_192to384",
            drop_path=0.6 if (size, schedule) == ("xl", "3x") else None,
        )
        for size in ("l", "xl")
        for schedule, recipe in _CASCADE
    },
    ("dino_internimage_t", "1x"): replace(
        _DINO, model="dino_internimage_t", pretrained_backbone="internimage_t_1k_224"
    ),
    ("dino_internimage_l", "1x"): replace(
        _DINO, model="dino_internimage_l", pretrained_backbone="internimage_l_22k_192to384"
    ),
    **{
        (name, "1x"): replace(_DINO_LARGE, model=name)
        for name in ("dino_internimage_h", "dino_internimage_g")
    },
    ("cb_dino_internimage_h", "1x"): _DINO_COMPOSITE,
}
"""On COCO."""


def _only(recipe: DetectionTrainConfig, schedule: Schedule = "1x") -> _Recipes:
    return {(recipe.model, schedule): recipe}


_RECIPES: dict[str, _Recipes] = {
    "coco": _COCO,
    "lvis": _only(
        replace(
            _DINO_COMPOSITE_1200,
            format="lvis",
            metric="lvis",
            updates=80_000,
            sampling="repeat_factor",
            repeat_threshold=1e-3,
            federated_classes=50,
        )
    ),
    "openimages": _only(
        replace(
            _DINO_COMPOSITE_1200,
            format="openimages",
            metric="openimages",
            updates=100_000,
            sampling="class_aware",
        )
    ),
    "voc": _only(
        replace(
            _DINO_COMPOSITE_1200,
            format="voc",
            metric="voc07",
            train_split="trainval",
            pretrained="dino_4scale_cbinternimage_h_objects365_20classes",
            base_lr=5e-5,
        )
    ),
    "crowdhuman": _only(
        replace(
            _TWO_STAGE_3X,
            model="cascade_rcnn_internimage_xl_crowd_human",
            pretrained_backbone="internimage_xl_22k_192to384",
            format="crowdhuman",
            metric="crowdhuman",
            base_lr=1e-4 * 16 / 128,  # 1e-4 for 128 images an update
            weight_decay=1e-4,
            layer_decay=0.94,
        ),
        "3x",
    ),
}
"""By data set; the first recipe of each is the usual one."""


def recipe_official_detection(
    model: str = "",
    *,
    schedule: Schedule | None = None,
    data: DetectionData = "coco",
    slow_backbone: bool = False,
) -> DetectionTrainConfig:
    """Return the authors' recipe of a detector on a data set; learning rates follow the images of an update.

    CB-InternImage-H starts from Objects365 weights, with fresh outputs where the classes are others. Those of
    H and G were not published: set ``pretrained`` to your own.

    Args:
        model: A published detector's architecture; empty for ``mask_rcnn_internimage_t`` on COCO and for the
            only one elsewhere.
        schedule: 12 or 36 epochs; None for 12 where there are both. DINO has one recipe, ``"1x"``.
        data: The data set. ``voc`` trains on the trainval pictures of all years under the path, and is scored
            on those of test.
        slow_backbone: The variant of DINO L with a tenth of the rate in the backbone in place of layer decay.

    Raises:
        ValueError: There is no official recipe of ``model`` on ``data``.

    Source:
        OpenGVLab/InternImage ``detection/configs``.
    """
    if data not in _RECIPES:
        raise ValueError(f"no official recipe on {data!r}; there are recipes on {', '.join(_RECIPES)}")
    recipes = _RECIPES[data]
    model = model or next(name for name, _ in recipes)
    usual: Schedule = next((kind for name, kind in recipes if name == model), "1x")
    choice = (model, schedule or usual)
    if choice not in recipes:
        known = ", ".join(f"{name} {kind}" for name, kind in recipes)
        raise ValueError(
            f"no official recipe for {model!r} {choice[1]} on {data}; there are recipes for {known}"
        )
    recipe = recipes[choice]
    if not slow_backbone:
        return recipe
    if model != "dino_internimage_l":
        raise ValueError(f"slow_backbone is a variant of dino_internimage_l, not of {model}")
    return replace(recipe, layer_decay=1.0, backbone_lr_mul=0.1, weight_decay=0.05)


def recipe_small_detection(
    *, data: str = "", output: str = "runs/detect", model: str = "mask_rcnn_internimage_nano"
) -> DetectionTrainConfig:
    """Return a recipe for some hundred pictures on a CPU: nano on its Caltech-101 backbone, Muon.

    Args:
        data: Path of the data set.
        output: Output folder.
        model: ``mask_rcnn_internimage_nano``, or ``dino_internimage_nano``, which needs more epochs.
    """
    return DetectionTrainConfig(
        data=data,
        output=output,
        model=model,
        pretrained_backbone="internimage_nano_caltech101",
        epochs=40,
        batch_size=4,
        optimizer="muon",
        base_lr=4e-3,
        backbone_lr_mul=0.5,
        clip=5.0,
        schedule="cosine",
        warmup_updates=50,
        drop_path=0.0,
        ema_decay=0.999,
        ema_warmup=True,
        augmentation="multi_scale",
        min_scale=0.8,
        short_side=240,
        long_side=320,
        photometric=0.3,
        cache="decoded",
        workers=0,
        eval_every=4,
    )
