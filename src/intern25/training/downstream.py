# SPDX-License-Identifier: MIT
"""What training detectors and segmenters has in common: length, rates, starting weights, weight files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage
from intern25.data.class_names import ClassNames
from intern25.data.defects import Defect
from intern25.detection.composite import CompositeInternImage
from intern25.training.downstream_config import REFERENCE_BATCH, DownstreamConfig
from intern25.training.progress import Reporter
from intern25.training.schedule import FactorSchedule, RateCurve
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.catalog import find_card
from intern25.weights.create import create_model
from intern25.weights.files import save_model, write_tensors
from intern25.weights.kinds import FAMILIES, AnyPreprocessing, Task, kind_of_config

VERIFY_LIMIT = 50_000
_SHOWN = 20

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, slots=True)
class DownstreamResult:
    """Outcome of training a detector or segmenter."""

    output: Path
    """Folder with ``best.safetensors``, ``final.safetensors``, ``last.ckpt`` and ``log.jsonl``."""
    finished: bool
    """Whether the last update was reached; false after a time limit or a stop signal."""
    updates: int
    """Optimizer steps done."""
    best_score: float
    """Highest validation score in 0..1: average precision or mean IoU."""
    best_epoch: int
    """Its epoch, counted from 1; -1 where nothing was scored."""
    metrics: dict[str, float]
    """The last validation metrics."""
    defects: tuple[Defect, ...]
    """What was wrong with the data and left out or mended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """How long a run is."""

    epochs: int
    """Passes that the data are ordered for."""
    num_updates: int
    """Optimizer steps of the whole run."""
    updates_per_epoch: int
    """Optimizer steps of one pass."""


def length_of(config: DownstreamConfig, updates_per_epoch: int) -> Length:
    """Return the length in updates, or that of the epochs where none is given."""
    updates = config.updates or config.epochs * updates_per_epoch
    return Length(
        epochs=math.ceil(updates / updates_per_epoch),
        num_updates=updates,
        updates_per_epoch=updates_per_epoch,
    )


def peak_lr(config: DownstreamConfig, images_per_update: int) -> float:
    """Learning rate of factor 1, in proportion to the images of an update."""
    return config.base_lr * images_per_update / REFERENCE_BATCH


def schedule_of(config: DownstreamConfig, length: Length, optimizer: torch.optim.Optimizer) -> FactorSchedule:
    """Return the schedule over the optimizer's groups, whose rates are the peaks."""
    curve = RateCurve(
        kind=config.schedule,
        num_updates=length.num_updates,
        warmup_updates=config.warmup_updates,
        warmup_ratio=config.warmup_ratio,
        milestones=tuple(round(share * length.num_updates) for share in config.steps),
    )
    return FactorSchedule(optimizer, curve)


def check_model(name: str, task: Task) -> None:
    """Refuse a model that cannot be trained for a task, before the data are looked at.

    Raises:
        ValueError: There is no such model, or it does another task.
    """
    card = find_card(name)
    model_config = ARCHITECTURES[name] if card is None else card.config
    if FAMILIES[kind_of_config(model_config)].task != task:
        names = [n for n, c in ARCHITECTURES.items() if FAMILIES[kind_of_config(c)].task == task]
        raise ValueError(f"{name} is no model for {task}; use one of {', '.join(names)}")


def starting_model(config: DownstreamConfig, num_classes: int) -> Any:
    """Return the architecture with its starting weights and a head of ``num_classes``."""
    return create_model(
        config.model,
        num_classes=num_classes,
        pretrained=config.pretrained or False,
        pretrained_backbone=config.pretrained_backbone or False,
        drop_path=config.drop_path,
        on_class_mismatch="reset",
    )


def with_settings(model: Model, changes: Mapping[str, Any]) -> Model:
    """Return ``model``, built with other settings where they differ; tensors of both are kept."""
    config: Any = model.config
    if all(getattr(config, name) == value for name, value in changes.items()):
        return model
    kind: Any = type(model)
    rebuilt: Model = kind(dataclasses.replace(config, **changes))
    own = model.state_dict()
    rebuilt.load_state_dict({name: own.get(name, value) for name, value in rebuilt.state_dict().items()})
    return rebuilt


def save_trained(
    path: Path,
    model: nn.Module,
    classes: ClassNames,
    preprocessing: AnyPreprocessing,
    extra: Mapping[str, str],
) -> None:
    """Write a model of this package with all it needs, one on a foreign backbone as plain tensors."""
    if isinstance(getattr(model, "backbone", None), InternImage | CompositeInternImage):
        save_model(path, model, classes=classes, preprocessing=preprocessing, extra=extra)
    else:
        write_tensors(path, model.state_dict(), extra)


class LossSum:
    """Minimises the sum of the losses that a model returns by name; logs each.

    Args:
        call: From the model and a batch to its losses.
    """

    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the sum and the parts."""
        losses: dict[str, Tensor] = self._call(model, batch)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        return total, losses


def must_verify(verify: Literal["auto", "all", "none"], number: int) -> bool:
    """Whether to look at every picture before training."""
    return verify == "all" or (verify == "auto" and number <= VERIFY_LIMIT)


def report_defects(defects: Sequence[Defect], reporter: Reporter) -> None:
    """Show what was left out or changed, the first rows of it."""
    for defect in defects[:_SHOWN]:
        reporter.message(f"left out: {defect}" if defect.serious else f"note: {defect}")
    if len(defects) > _SHOWN:
        reporter.message(f"... and {len(defects) - _SHOWN} more defects")
