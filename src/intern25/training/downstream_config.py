# SPDX-License-Identifier: MIT
"""The settings that detection and segmentation runs share, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intern25.training.run_config import RunConfig, check_minimum, check_share

REFERENCE_BATCH = 16
"""Images of an update in the official downstream trainings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DownstreamConfig(RunConfig):
    """Starting weights, schedule and data of a detector or segmenter."""

    pretrained: str = ""
    """Weights of this kind of model to start from: a published model, a file or a folder; empty = none."""
    pretrained_backbone: str = ""
    """Weights of the backbone alone: a published classifier, a file; empty = fresh."""
    epochs: int = 12
    """Passes over the training images; without effect where updates is given."""
    updates: int = 0
    """Length of the run in updates; 0 = that of the epochs."""
    batch_size: int = 2
    """Images of one forward pass of one process."""
    base_lr: float = 1e-4
    """Peak learning rate for 16 images an update; scaled in proportion to the images of an update."""
    backbone_lr_mul: float = 1.0
    """Factor of the learning rate of the backbone."""
    clip: float = 0.0
    """Largest gradient norm; 0 = no limit."""
    ema_decay: float = 0.0
    """Decay of the averaged weights and batch statistics, the ones then scored and saved; 0 = off."""
    schedule: Literal["step", "poly", "cosine"] = "step"
    """Learning rate after the warm-up: a tenth from each step on, a straight line to 0, or a cosine."""
    steps: tuple[float, ...] = (8 / 12, 11 / 12)
    """Shares of the run after which the rate of schedule step is a tenth."""
    warmup_updates: int = 500
    """Updates of linear rise to the peak."""
    warmup_ratio: float = 1e-3
    """Share of the rate at the first update."""
    validation_fraction: float = 0.1
    """Share of the pictures held out where the data have no validation or test split."""
    verify: Literal["auto", "all", "none"] = "auto"
    """Look at every picture and annotation before training; auto does so up to 50 000 pictures."""
    cache: Literal["none", "bytes", "decoded"] = "none"
    """Hold the pictures in memory: as they are stored, or decoded (3 bytes a pixel)."""

    def __post_init__(self) -> None:
        # JSON has no tuples: lists come back from a saved config.
        object.__setattr__(self, "steps", tuple(self.steps))
        RunConfig.__post_init__(self)
        check_minimum(self, {"updates": 0, "backbone_lr_mul": 0, "warmup_updates": 0})
        check_share(self, "warmup_ratio")
        if any(not 0 < step <= 1 for step in self.steps) or list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps={self.steps} must be rising shares of the run, each in (0, 1]")
        if self.pretrained and self.pretrained_backbone:
            raise ValueError(
                "give pretrained or pretrained_backbone, not both: the first holds a backbone too"
            )
        if self.parallel == "fsdp":
            raise ValueError("parallel='fsdp' is for classifiers; detectors and segmenters take 'ddp'")
