# SPDX-License-Identifier: MIT
"""The settings of a generalist run, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intern25.training.run_config import RunConfig, check_minimum, check_share


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistTrainConfig(RunConfig):
    """What a generalist learns from, how long, and how the tasks share the updates."""

    data: str = ""
    """Folder of data packs (zip files or folders), or one data set where tasks says what it is for."""
    model: str = "intern25_tiny"
    """Architecture."""
    pretrained: str = ""
    """Generalist weights to start from; empty = none."""
    pretrained_backbone: str = "internimage_nano_caltech101"
    """Weights of the image encoder where there are no generalist weights; empty = fresh."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks to train, or beginnings of them; empty = all that the data allow."""
    updates: int = 24000
    """Length of the run."""
    batch_scale: float = 1.0
    """Factor of the pictures of an update; each task has its own number."""
    base_lr: float = 5e-5
    """Peak learning rate; the balanced gradients of K tasks make steps about sqrt(K) times those of AdamW."""
    backbone_lr_mul: float = 0.5
    """Factor of the learning rate of the image encoder."""
    warmup_updates: int = 200
    """Updates of linear rise to the peak."""
    schedule: Literal["cosine", "poly"] = "cosine"
    """Learning rate after the warm-up."""
    weight_decay: float = 0.05
    """Decay of matrices and kernels; vectors and biases have none."""
    clip: float = 0.0
    """Largest gradient norm; 0 = no limit, since the norm of every update is brought to one length anyway."""
    balance: Literal["sampled", "equal"] = "sampled"
    """Influence of a task: in proportion to its share of the updates, or the same for all."""
    eval_updates: int = 2000
    """Updates between evaluations."""
    evaluate_most: int = 256
    """Most held-out pictures of a task in the evaluations during training; 0 = all."""
    ema_decay: float = 0.999
    """Decay of the averaged weights, the ones then scored and saved; 0 = off."""
    ema_warmup: bool = True
    """Let the decay rise from 0, so that short runs average too."""
    scenes: int = 200_000
    """Rendered street scenes to learn from."""

    def __post_init__(self) -> None:
        # JSON has no tuples: lists come back from a saved config.
        object.__setattr__(self, "tasks", tuple(self.tasks))
        RunConfig.__post_init__(self)
        check_minimum(
            self,
            {"updates": 1, "warmup_updates": 0, "eval_updates": 1, "evaluate_most": 0, "backbone_lr_mul": 0,
             "scenes": 1},
        )  # fmt: skip
        check_share(self, "ema_decay")
        if not self.batch_scale > 0:
            raise ValueError(f"batch_scale={self.batch_scale} must be above 0")
