# SPDX-License-Identifier: MIT
"""A training run of any task: processes, model, optimizer, loop, resume, weight files.

A :class:`Task` says what differs between classification, detection and segmentation; everything else is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from intern25.training.batch_norm import synchronise_batch_norm
from intern25.training.freezing import freeze
from intern25.training.objectives import Objective
from intern25.training.optimizer import build_optimizer
from intern25.training.parameter_rules import ParameterRule
from intern25.training.progress import Reporter
from intern25.training.run_config import RunConfig
from intern25.training.schedule import Schedule
from intern25.training.trainer import LoopSettings, LoopState, Trainer
from intern25.weights.files import write_whole

Config = TypeVar("Config", bound=RunConfig)

BEST_NAME = "best.safetensors"
FINAL_NAME = "final.safetensors"


class Task(Protocol):
    """What one kind of training adds to a run."""

    @property
    def num_updates(self) -> int:
        """Optimizer steps of the whole run."""
        ...

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer steps of one pass over the data."""
        ...

    @property
    def peak_lr(self) -> float:
        """Learning rate of factor 1 at the end of the warm-up."""
        ...

    def create_model(self) -> nn.Module:
        """Return the model with its starting weights."""
        ...

    def rules(self, model: nn.Module) -> Sequence[ParameterRule]:
        """Return learning-rate factor and weight decay of every parameter."""
        ...

    def schedule(self, optimizer: torch.optim.Optimizer) -> Schedule:
        """Return the schedule over the optimizer's groups, whose rates are the peaks."""
        ...

    def objective(self) -> Objective:
        """Return the loss."""
        ...

    def batches(self, first_update: int) -> Iterable[Any]:
        """Return this process's micro-batches from ``first_update`` to the end."""
        ...

    def fingerprint(self) -> Mapping[str, Any]:
        """Return the facts besides the common ones that must not change when a run is resumed."""
        ...

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return validation metrics; ``score`` among them chooses the best weights."""
        ...

    def save(self, model: nn.Module, path: Path, extra: Mapping[str, str]) -> None:
        """Write the weights with class names, preprocessing and ``extra`` in the header."""
        ...


def start_processes(config: RunConfig, *, parts_may_rest: bool = False) -> Any:
    """Return accelerate's handle on this process and its peers; precision is handled by the loop itself.

    Args:
        config: The run.
        parts_may_rest: Some batches leave parts of the model without gradients, such as a mask head where
            a picture has no objects.

    Raises:
        ImportError: The training extra is not installed.
        ValueError: The device or the kind of sharing is not available.
    """
    try:
        from accelerate.accelerator import Accelerator
        from accelerate.utils.dataclasses import (
            DistributedDataParallelKwargs,
            FullyShardedDataParallelPlugin,
        )
    except ImportError as error:
        raise ImportError("training needs the training extra: pip install 'intern25[train]'") from error
    plugin = None
    if config.parallel == "fsdp":
        if config.ema_decay > 0:
            raise ValueError("averaged weights are not available with parallel='fsdp'; set ema_decay=0")
        plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="no_wrap")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' but torch finds no GPU; use device='auto'")
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    unused = DistributedDataParallelKwargs(find_unused_parameters=parts_may_rest)
    return Accelerator(cpu=on_cpu, fsdp_plugin=plugin, kwargs_handlers=[unused])


def run_task(
    config: RunConfig,
    task: Task,
    accelerator: Any,
    reporter: Reporter,
    *,
    model: nn.Module | None = None,
    objective: Objective | None = None,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
) -> tuple[bool, LoopState]:
    """Train, or go on where the output folder left off.

    Args:
        config: The run.
        task: What is trained.
        accelerator: What :func:`start_processes` returned.
        reporter: Shows messages and progress.
        model: Replaces the task's.
        objective: Replaces the task's.
        optimizer: Replaces the one that the settings name.

    Returns:
        Whether the last update was reached, and the state of the loop.

    Raises:
        ValueError: The settings cannot be used; nothing was written then.
    """
    if model is None:
        torch.manual_seed(config.seed)
        model = task.create_model()
    trainer = _build_trainer(config, task, accelerator, reporter, model, objective, optimizer)
    output = Path(config.output)
    if accelerator.is_main_process:
        _prepare_output(config, output)
    accelerator.wait_for_everyone()
    resumed = config.resume and trainer.resume()
    if resumed and accelerator.is_main_process:
        reporter.message(f"resumed at update {trainer.state.update} of {task.num_updates}")
    finished = trainer.run()
    if finished and accelerator.is_main_process:
        extra = _header(config, trainer.state.metrics)
        task.save(trainer.scored_model, output / FINAL_NAME, extra)
    accelerator.wait_for_everyone()
    return finished, trainer.state


def _build_trainer(
    config: RunConfig,
    task: Task,
    accelerator: Any,
    reporter: Reporter,
    model: nn.Module,
    objective: Objective | None,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None,
) -> Trainer:
    frozen = freeze(model, config.freeze)
    if config.sync_batch_norm and accelerator.num_processes > 1:
        synchronise_batch_norm(model)
    model = model.to(accelerator.device)
    ema = _average(config, model)
    if optimizer is None:
        built = build_optimizer(model, task.rules(model), lr=task.peak_lr, optimizer=config.optimizer)
    else:
        built = optimizer(model)
    wrapped, prepared = accelerator.prepare(model, built)
    return Trainer(
        accelerator=accelerator,
        model=wrapped,
        optimizer=prepared,
        schedule=task.schedule(getattr(prepared, "optimizer", prepared)),
        objective=objective or task.objective(),
        batches=task.batches,
        settings=_loop_settings(config, task),
        reporter=reporter,
        ema=ema,
        frozen=frozen,
        scorer=_BestKeeper(config, task, accelerator),
    )


class _BestKeeper:
    """Scores the weights, and writes the best so far."""

    def __init__(self, config: RunConfig, task: Task, accelerator: Any) -> None:
        self.config = config
        self.task = task
        self.accelerator = accelerator

    def __call__(self, model: nn.Module, epoch: int, best: float) -> dict[str, float]:
        metrics = self.task.score(model)
        if metrics["score"] > best and self.accelerator.is_main_process:
            path = Path(self.config.output) / BEST_NAME
            self.task.save(model, path, _header(self.config, {**metrics, "epoch": float(epoch)}))
        return metrics


def _header(config: RunConfig, metrics: Mapping[str, float]) -> dict[str, str]:
    """What a weight file says of its run: they are passed on, so how it was made but not where."""
    return {"train_config": without_places(config).to_json(), "metrics": json.dumps(metrics)}


def without_places(config: Config) -> Config:
    """The settings without the folders of this machine."""
    places: dict[str, Any] = {"data": Path(config.data).name, "output": ""}
    places |= {name: "" for name in ("teacher_cache", "images") if hasattr(config, name)}
    return replace(config, **places)


def _average(config: RunConfig, model: nn.Module) -> Any:
    """Averages of weights and of batch statistics: weights scored with other statistics do badly."""
    if config.ema_decay == 0:
        return None
    from timm.utils.model_ema import ModelEmaV3

    return ModelEmaV3(model, decay=config.ema_decay, use_warmup=config.ema_warmup)


def _loop_settings(config: RunConfig, task: Task) -> LoopSettings:
    return LoopSettings(
        output=Path(config.output),
        num_updates=task.num_updates,
        updates_per_epoch=task.updates_per_epoch,
        accumulation=config.accumulation,
        clip=config.clip,
        seed=config.seed,
        bfloat16=config.precision == "bf16",
        eval_every=config.eval_every,
        log_every=config.log_every,
        save_every_seconds=60.0 * config.save_every_minutes,
        max_seconds=config.max_seconds,
        tensorboard=config.tensorboard,
        fingerprint=_fingerprint(config, task),
    )


def _fingerprint(config: RunConfig, task: Task) -> str:
    """What must not change when a run is resumed."""
    facts = {
        "model": config.model,
        "epochs": config.epochs,
        "seed": config.seed,
        "freeze": config.freeze,
        "optimizer": config.optimizer,
        "ema": config.ema_decay > 0,
    }
    return json.dumps({**facts, **task.fingerprint()})


def _prepare_output(config: RunConfig, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for leftover in output.glob(".*.part"):  # of a run that was killed while it wrote
        leftover.unlink(missing_ok=True)
    if not config.resume and (output / "last.ckpt").exists():
        raise ValueError(f"{output} already holds a run; use another output folder, or let it resume")
    write_whole(output / "config.json", lambda path: path.write_text(config.to_json(), encoding="utf-8"))
