# SPDX-License-Identifier: MIT
"""The settings of a generalist run, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from intern25.training.run_config import RunConfig, check_minimum, check_share


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistTrainConfig(RunConfig):
    """What a generalist learns from, how long, and how the tasks share the updates."""

    UNUSED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "epochs": "its length is updates",
            "batch_size": "each task has its own, which batch_scale multiplies",
            "layer_decay": "the image encoder learns at backbone_lr_mul of the rate, all of it",
            "drop_path": "stochastic depth is the architecture's",
            "eval_every": "evaluations come every eval_updates",
            "sync_batch_norm": "the model has no batch norm",
        }
    )

    data: str = ""
    """Folder of data packs (zip files or folders); or your own data, one path for all tasks or one a task:
    vqa=questions/,retrieval=album.zip."""
    model: str = "intern25_tiny"
    """Architecture."""
    pretrained: str = ""
    """Generalist weights to start from, a name or a file; empty = none."""
    pretrained_backbone: str = "internimage_nano_caltech101"
    """Weights of the image encoder where there are no generalist weights; empty = fresh."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks to train, or beginnings of them; empty = all that the data allow. Of your own data:
    classify, detect, segment, retrieval, caption, vqa, read, reason, language or pretrain."""
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
    image_size: int = 0
    """Side of the pictures of your own data, a multiple of 32; 0 = each task's own."""
    validation_fraction: float = 0.1
    """Share of your own data held out where they have no validation split."""
    text_core: str = ""
    """Folder or hub repository of a language model in the place of the text core; empty = our own."""
    lora: int = 0
    """Rank of LoRA in the language model; 0 = it stays as it is."""
    prompt_tuning: int = 0
    """Train so many prompts a decoder layer, <SPE>, the norms and heads of classes alone; 0 = all weights."""
    pretrain_dense: Literal["infonce", "l2"] = "infonce"
    """Loss of the features in the task pretrain."""

    def __post_init__(self) -> None:
        # JSON has no tuples: lists come back from a saved config. --tasks vqa,retrieval is one word.
        names = [name.strip() for part in self.tasks for name in part.split(",")]
        object.__setattr__(self, "tasks", tuple(name for name in names if name))
        RunConfig.__post_init__(self)
        check_minimum(
            self,
            {"updates": 1, "warmup_updates": 0, "eval_updates": 1, "evaluate_most": 0, "backbone_lr_mul": 0,
             "scenes": 1, "image_size": 0, "lora": 0, "prompt_tuning": 0},
        )  # fmt: skip
        check_share(self, "ema_decay")
        if not self.batch_scale > 0:
            raise ValueError(f"batch_scale={self.batch_scale} must be above 0")
        if self.image_size % 32:
            raise ValueError(f"image_size={self.image_size} must be a multiple of 32, or 0")
        if not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction={self.validation_fraction} must lie between 0 and 1")
        if self.lora and not self.text_core:
            raise ValueError(f"lora={self.lora} needs text_core, the language model that it tunes")
        if self.lora and self.prompt_tuning:
            raise ValueError("lora and prompt_tuning train different parts; use one, then the other")
