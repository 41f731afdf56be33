# SPDX-License-Identifier: MIT
"""What a classification training run does, as plain data; the docstrings are the command's help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intern25.training.run_config import RunConfig, check_minimum, check_share

REFERENCE_BATCH = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(RunConfig):
    """A classification training run."""

    data: str = ""
    """Folder, .zip or .tar shards: train/<class>/<image> and val/..., class folders, labels.csv, or lists."""
    class_mismatch: Literal["reset", "22k_to_1k", "error"] = "reset"
    """If the weights have another number of classes: fresh last layer, the ImageNet-1K rows, or an error."""

    base_lr: float = 5e-4
    """Peak learning rate for 512 images an update; scaled in proportion to the images of an update."""
    warmup_epochs: float = 20.0
    """Epochs of linear rise to the peak."""
    warmup_lr: float = 5e-7
    """Learning rate of the first update, scaled as base_lr."""
    min_lr: float = 5e-6
    """Learning rate at the end of the cosine, scaled as base_lr."""
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

    image_size: int = 224
    """Side of the training images in the last epochs, and of the evaluation."""
    progressive: tuple[tuple[int, int], ...] = ()
    """Pairs (until_epoch, image size) for the epochs before: 30 64 60 96."""
    crop: Literal["center", "squash"] = "center"
    """Evaluation: cut the centre square, or resize both sides."""
    validation_fraction: float = 0.1
    """Share of each class held out where the data have no validation split."""
    verify: Literal["auto", "all", "none"] = "auto"
    """Decode every image before training; auto does so up to 50 000 images."""
    cache: Literal["none", "bytes", "decoded"] = "none"
    """Hold the images in memory: as they are stored, or decoded (3 bytes a pixel)."""

    def __post_init__(self) -> None:
        # JSON has no tuples: lists come back from a saved config.
        object.__setattr__(self, "progressive", tuple(tuple(pair) for pair in self.progressive))
        RunConfig.__post_init__(self)
        check_minimum(
            self,
            {
                "image_size": 32, "warmup_epochs": 0, "warmup_lr": 0, "min_lr": 0, "dcn_lr_mul": 0,
                "mixup": 0, "cutmix": 0, "color_jitter": 0,
            },
        )  # fmt: skip
        check_share(self, "label_smoothing", "mix_probability", "erase", "flip")
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
