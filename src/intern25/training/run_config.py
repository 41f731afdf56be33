# SPDX-License-Identifier: MIT
"""The settings that every training run has, whatever it trains; the docstrings are the command's help."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

OptimizerName = Literal["adamw", "muon"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Where a run reads and writes, how it is optimised, executed, saved and logged."""

    UNUSED: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Settings that a kind of run has no use for, and what takes their place there."""

    data: str = ""
    """Path of the data set."""
    model: str = "internimage_nano"
    """Architecture, such as internimage_t."""
    pretrained: str = ""
    """Weights to start from: a published model, a file, a folder or a hub repository; empty = fresh."""
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
    """Peak learning rate."""
    weight_decay: float = 0.05
    """Decay of matrices and kernels; vectors and biases have none."""
    clip: float = 5.0
    """Largest gradient norm; 0 = no limit."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each block to the one before it; 1 = off."""
    drop_path: float | None = None
    """Stochastic depth of the last block; None = the architecture's."""
    ema_decay: float = 0.9999
    """Decay of the averaged weights and batch statistics, the ones then scored and saved; 0 = off."""
    ema_warmup: bool = False
    """Let the decay rise from 0, so that short runs average too."""

    skip_bad: bool = False
    """Leave unreadable images out, and list them, instead of stopping."""
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
        check_unused(self)
        check_minimum(
            self,
            {
                "epochs": 1, "batch_size": 1, "accumulation": 1, "eval_every": 1, "log_every": 1,
                "base_lr": 0, "weight_decay": 0, "clip": 0, "workers": 0, "max_seconds": 0,
                "save_every_minutes": 0,
            },
        )  # fmt: skip
        check_share(self, "drop_path", "ema_decay")
        if self.optimizer == "muon" and self.parallel == "fsdp":
            raise ValueError("optimizer='muon' needs whole matrices, which parallel='fsdp' splits; use 'ddp'")
        if not 0.0 < self.layer_decay <= 1.0:
            raise ValueError(f"layer_decay={self.layer_decay} must lie in (0, 1]")

    def to_json(self) -> str:
        """Return the settings as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def check_unused(config: RunConfig) -> None:
    """Refuse settings that would change nothing.

    Raises:
        ValueError: A setting of ``UNUSED`` is not its default.
    """
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if part.name in config.UNUSED and value != part.default:
            raise ValueError(
                f"{part.name}={value} changes nothing in this kind of training: {config.UNUSED[part.name]}"
            )


def check_minimum(config: Any, bounds: Mapping[str, float]) -> None:
    """Refuse values below their bound, and NaN.

    Raises:
        ValueError: A value is below its bound.
    """
    for name, bound in bounds.items():
        value = getattr(config, name)
        if not value >= bound:
            raise ValueError(f"{name}={value} must be at least {bound}")


def check_share(config: Any, *names: str) -> None:
    """Refuse values outside 0..1; None is left alone.

    Raises:
        ValueError: A value lies outside.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}={value} must lie between 0 and 1")
