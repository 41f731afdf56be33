# SPDX-License-Identifier: MIT
"""What a classification training run does, as plain data; the docstrings are the command's help."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

REFERENCE_BATCH = 512
OptimizerName = Literal["adamw", "muon"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """A classification training run."""

    data: str = ""
    """Folder, .zip or .tar shards: train/<class>/<image> and val/..., class folders, labels.csv, or lists."""
    model: str = "internimage_nano"
    """Architecture, such as internimage_t."""
    pretrained: str = ""
    """Weights to start from: a published model, a file, a folder or a hub repository; empty = fresh."""
    class_mismatch: Literal["reset", "22k_to_1k", "error"] = "reset"
    """If the weights have another number of classes: fresh last layer, the ImageNet-1K rows, or an error."""
    output: str = "runs/train"
    """Folder of checkpoints, weights and logs."""
    resume: bool = True
    """Go on from the last checkpoint in the output folder where there is one."""

    epochs: int = 300
    """Passes over the training images."""
    batch_size: int = 64
    """Images of one forward pass of one process."""
    accumulation: int = 1
    """Forward passes whose gradients are averaged before one update."""
    optimizer: OptimizerName = "adamw"
    """adamw, as the authors; muon orthogonalises the updates of matrices and learns in fewer epochs."""
    base_lr: float = 5e-4
    """Peak learning rate for 512 images an update; scaled in proportion to the images of an update."""
    warmup_epochs: float = 20.0
    """Epochs of linear rise to the peak."""
    warmup_lr: float = 5e-7
    """Learning rate of the first update, scaled as base_lr."""
    min_lr: float = 5e-6
    """Learning rate at the end of the cosine, scaled as base_lr."""
    weight_decay: float = 0.05
    """Decay of matrices and kernels; vectors and biases have none."""
    clip: float = 5.0
    """Largest gradient norm; 0 = no limit."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each block to the one before it; 1 = off."""
    dcn_lr_mul: float = 1.0
    """Factor of the learning rate of offsets and centre gates; takes effect only with layer_decay."""

    label_smoothing: float = 0.1
    """Share of the target spread over all classes."""
    mixup: float = 0.8
    """Strength (alpha) of mixup; 0 = off."""
    cutmix: float = 1.0
    """Strength (alpha) of cutmix; 0 = off."""
    mix_probability: float = 1.0
    """Share of the batches that are mixed."""
    augmentation: Literal["official", "light", "none"] = "official"
    """official: RandomResizedCrop, RandAugment, erasing; light: crop, flip, colour; none: resize only."""
    min_scale: float = 0.08
    """Smallest area of the random crop."""
    color_jitter: float = 0.4
    """Colour jitter of the light augmentation."""
    erase: float = 0.25
    """Probability of random erasing."""
    flip: float = 0.5
    """Probability of the horizontal flip; set 0 for signs, digits and texts."""
    views: int = 0
    """Different augmentations of an image, repeated in turn; 0 = new ones in every epoch."""
    teacher: str = ""
    """Pretrained network to learn from besides the labels, such as efficientnet_lite0; needs views."""
    teacher_size: int = 160
    """Side of the images that the teacher sees."""
    teacher_cache: str = ""
    """Folder of the teacher's stored answers; empty = ``teacher`` in the output folder."""
    teacher_weight: float = 0.7
    """Share of the teacher in the loss."""
    temperature: float = 3.0
    """Softening of teacher and model in the teacher's part of the loss."""
    drop_path: float | None = None
    """Stochastic depth of the last block; None = the architecture's."""
    ema_decay: float = 0.9999
    """Decay of the averaged weights and batch statistics, the ones then scored and saved; 0 = off."""
    ema_warmup: bool = False
    """Let the decay rise from 0, so that short runs average too."""

    image_size: int = 224
    """Side of the training images in the last epochs, and of the evaluation."""
    progressive: tuple[tuple[int, int], ...] = ()
    """Pairs (until_epoch, image size) for the epochs before: 30 64 60 96."""
    crop: Literal["center", "squash"] = "center"
    """Evaluation: cut the centre square, or resize both sides."""
    validation_fraction: float = 0.1
    """Share of each class held out where the data have no validation split."""
    skip_bad: bool = False
    """Leave unreadable images out, and list them, instead of stopping."""
    verify: Literal["auto", "all", "none"] = "auto"
    """Decode every image before training; auto does so up to 50 000 images."""
    cache: Literal["none", "bytes", "decoded"] = "none"
    """Hold the images in memory: as they are stored, or decoded (3 bytes a pixel)."""
    workers: int = 2
    """Loader processes of each training process; 0 = load in the training process."""

    freeze: Literal["none", "backbone"] | int = "none"
    """Keep weights as they are: the whole backbone, or the stem and this number of first stages."""
    sync_batch_norm: bool = True
    """Take batch statistics over all processes."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Several processes: every one holds the whole model, or a shard of it."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward and backward pass; weights stay float32."""
    device: str = "auto"
    """auto, cpu or cuda."""
    seed: int = 0
    """Seed of everything random."""

    max_seconds: float = 0.0
    """Stop and save after this time, counted over resumed runs; 0 = no limit."""
    eval_every: int = 1
    """Epochs between evaluations."""
    save_every_minutes: float = 5.0
    """Minutes between checkpoints."""
    log_every: int = 20
    """Updates between log lines."""
    tensorboard: bool = True
    """Also write TensorBoard events."""

    def __post_init__(self) -> None:
        # JSON has no tuples: lists come back from a saved config.
        object.__setattr__(self, "progressive", tuple(tuple(pair) for pair in self.progressive))
        _check_ranges(self)
        ends = [until for until, _ in self.progressive]
        if ends != sorted(set(ends)) or any(until < 1 or size < 32 for until, size in self.progressive):
            raise ValueError(
                f"progressive={self.progressive} must be (until_epoch, image_size) pairs with rising epochs "
                "and sizes of at least 32"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Image size of each epoch."""
        return tuple(
            next((size for until, size in self.progressive if epoch < until), self.image_size)
            for epoch in range(self.epochs)
        )

    def to_json(self) -> str:
        """Return the settings as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def _check_ranges(config: TrainConfig) -> None:
    at_least = {
        "epochs": 1, "batch_size": 1, "accumulation": 1, "eval_every": 1, "log_every": 1, "image_size": 32,
        "base_lr": 0, "warmup_epochs": 0, "warmup_lr": 0, "min_lr": 0, "weight_decay": 0, "clip": 0,
        "dcn_lr_mul": 0, "mixup": 0, "cutmix": 0, "color_jitter": 0, "workers": 0, "max_seconds": 0,
        "save_every_minutes": 0,
    }  # fmt: skip
    for name, bound in at_least.items():
        value = getattr(config, name)
        if not value >= bound:
            raise ValueError(f"{name}={value} must be at least {bound}")
    for name in ("label_smoothing", "mix_probability", "erase", "flip", "drop_path", "ema_decay"):
        value = getattr(config, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}={value} must lie between 0 and 1")
    if config.optimizer == "muon" and config.parallel == "fsdp":
        raise ValueError("optimizer='muon' needs whole matrices, which parallel='fsdp' splits; use 'ddp'")
    if not 0.0 < config.layer_decay <= 1.0:
        raise ValueError(f"layer_decay={config.layer_decay} must lie in (0, 1]")
