# SPDX-License-Identifier: MIT
"""Training recipes as functions: call one, change what you need, pass the result to ``train``."""

from __future__ import annotations

from dataclasses import replace

from intern25.training.config import TrainConfig

_FROM_SCRATCH = TrainConfig(
    model="internimage_t",
    epochs=300,
    warmup_epochs=20,
    base_lr=5e-4,
    warmup_lr=5e-7,
    min_lr=5e-6,
    batch_size=512,
    label_smoothing=0.1,
    mixup=0.8,
    cutmix=1.0,
    erase=0.25,
    ema_decay=0.9999,
    workers=8,
)
"""InternImage-T, S and B on ImageNet-1K: 8 processes of 512 images."""

_FINE_TUNING = replace(
    _FROM_SCRATCH,
    epochs=20,
    warmup_epochs=2,
    base_lr=2e-5,
    warmup_lr=0.0,
    min_lr=0.0,
    batch_size=16,
    label_smoothing=0.3,
    mixup=0.0,
    cutmix=0.0,
    erase=0.0,
)
"""InternImage-L to G from their 22K weights: 512 images an update."""

_OFFICIAL = {
    "internimage_t": replace(_FROM_SCRATCH, drop_path=0.1),
    "internimage_s": replace(_FROM_SCRATCH, model="internimage_s", drop_path=0.4),
    "internimage_b": replace(_FROM_SCRATCH, model="internimage_b", drop_path=0.5),
    "internimage_l": replace(
        _FINE_TUNING,
        model="internimage_l",
        pretrained="internimage_l_22k_192to384",
        class_mismatch="22k_to_1k",
        image_size=384,
        drop_path=0.1,
    ),
    "internimage_xl": replace(
        _FINE_TUNING,
        model="internimage_xl",
        pretrained="internimage_xl_22k_192to384",
        class_mismatch="22k_to_1k",
        image_size=384,
        drop_path=0.2,
    ),
    "internimage_h": replace(
        _FINE_TUNING,
        model="internimage_h",
        pretrained="internimage_h_jointto22k_384",
        class_mismatch="22k_to_1k",
        image_size=640,
        drop_path=0.2,
    ),
    "internimage_g": replace(
        _FINE_TUNING,
        model="internimage_g",
        pretrained="internimage_g_pretrainto22k_384",
        class_mismatch="22k_to_1k",
        image_size=512,
        batch_size=8,
        drop_path=0.4,
    ),
}


def recipe_official(model: str = "internimage_t", *, layer_decay: bool = False) -> TrainConfig:
    """Return the authors' ImageNet-1K recipe of a model; learning rates follow the images of an update.

    Args:
        model: ``internimage_t``, ``s``, ``b``, ``l``, ``xl``, ``h`` or ``g``.
        layer_decay: The variant with layer-wise learning rates, factor 0.9.

    Raises:
        ValueError: There is no official recipe of ``model``.

    Source:
        OpenGVLab/InternImage ``classification/configs``.
    """
    if model not in _OFFICIAL:
        raise ValueError(f"no official recipe for {model!r}; there are recipes for {', '.join(_OFFICIAL)}")
    return replace(_OFFICIAL[model], layer_decay=0.9 if layer_decay else 1.0)


def recipe_inaturalist() -> TrainConfig:
    """Return the authors' iNaturalist 2018 recipe of InternImage-H: 100 epochs, fresh head, no averaging."""
    return replace(
        _OFFICIAL["internimage_h"],
        class_mismatch="reset",
        epochs=100,
        warmup_epochs=0,
        image_size=384,
        drop_path=0.6,
        ema_decay=0.0,
    )


def recipe_small(*, data: str = "", output: str = "runs/train") -> TrainConfig:
    """Return a recipe for some thousand images on a CPU: InternImage nano, Muon, images that grow.

    On Caltech-101 at 64 pixels with a teacher, six epochs reached 29 % with Muon at 1e-3 and 16 % with AdamW
    at 5e-4. The peak rate for a batch of 64 is 1.5e-3.

    Args:
        data: Path of the data set.
        output: Output folder.
    """
    return TrainConfig(
        data=data,
        output=output,
        model="internimage_nano",
        epochs=72,
        batch_size=64,
        optimizer="muon",
        base_lr=1.2e-2,
        warmup_epochs=1,
        warmup_lr=1e-5,
        min_lr=0.0,
        clip=0.0,
        augmentation="light",
        min_scale=0.3,
        erase=0.1,
        mixup=0.0,
        cutmix=1.0,
        mix_probability=0.3,
        label_smoothing=0.1,
        drop_path=0.0,
        ema_decay=0.999,
        ema_warmup=True,
        image_size=128,
        progressive=((48, 64), (62, 96)),
        crop="squash",
        cache="decoded",
        workers=0,
        eval_every=2,
    )
