# SPDX-License-Identifier: MIT
"""Train a generalist: mixture, model, task-balanced optimizer and loop from one configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.data.generalist_settings import SETTINGS
from intern25.data.seeding import derive_seed
from intern25.generalist.files import save_generalist
from intern25.generalist.model import Generalist
from intern25.generalist.tasks.batch import TaskBatch
from intern25.generalist.tasks.task import TaskWithParameters
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.loader import MixtureBatches, mixture_loader
from intern25.training.generalist.mixture import Mixture
from intern25.training.generalist.start import (
    saved_tokenizer,
    starting_model,
    starting_settings,
    trained_share,
)
from intern25.training.generalist.trained_settings import trained_settings
from intern25.training.memory import keep_freed_memory
from intern25.training.parameter_rules import ParameterRule, downstream_rules
from intern25.training.progress import Reporter, Silent
from intern25.training.run import run_task, start_processes
from intern25.training.schedule import FactorSchedule, RateCurve
from intern25.training.task_balance import TaskBalancedAdamW, build_task_balanced_optimizer
from intern25.training.task_schedule import TaskSchedule


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistResult:
    """Outcome of training a generalist."""

    output: Path
    """Folder with ``best.safetensors``, ``final.safetensors``, ``last.ckpt`` and ``log.jsonl``."""
    finished: bool
    """Whether the last update was reached; false after a time limit or a stop signal."""
    updates: int
    """Optimizer steps done."""
    best_score: float
    """Highest mean score of the tasks."""
    metrics: dict[str, float]
    """The last held-out figures, ``task.figure``."""


class MultiTaskModel(nn.Module):
    """A generalist whose call is the loss of a batch of any task, as data-parallel training needs.

    Args:
        generalist: The model.
        mixture: The tasks.
        objectives: Losses that have parameters of their own, by task; None makes new ones.
    """

    def __init__(
        self, generalist: Generalist, mixture: Mixture, objectives: nn.ModuleDict | None = None
    ) -> None:
        super().__init__()
        self.generalist = generalist
        self.objectives = nn.ModuleDict() if objectives is None else objectives
        self._mixture = mixture
        if objectives is None:
            for part in mixture.parts:
                if isinstance(part.task, TaskWithParameters):
                    self.objectives[part.task.name] = part.task.objective(generalist)

    def forward(self, batch: TaskBatch) -> dict[str, Tensor]:
        """Losses of the batch's task by name."""
        if batch.task in self.objectives:
            return cast(dict[str, Tensor], self.objectives[batch.task](self.generalist, batch))
        return self._mixture.part(batch.task).task.losses(self.generalist, batch)

    def __deepcopy__(self, memo: dict[int, Any]) -> MultiTaskModel:
        """Copy the weights and share the data: averages are kept in a copy."""
        return MultiTaskModel(
            copy.deepcopy(self.generalist, memo), self._mixture, copy.deepcopy(self.objectives, memo)
        )


class _Losses:
    """The sum of a task's losses; each is logged under the task's name."""

    def __call__(self, model: nn.Module, batch: TaskBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        losses = cast(dict[str, Tensor], model(batch))
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        return total, {f"{batch.task}.{name}": loss for name, loss in losses.items()}


class _BalancedSchedule:
    """Sets the learning rate of an update and tells the optimizer whose gradient comes."""

    def __init__(self, rates: FactorSchedule, tasks: TaskSchedule, optimizer: TaskBalancedAdamW) -> None:
        self._rates = rates
        self._tasks = tasks
        self._optimizer = optimizer

    def set(self, update: int) -> None:
        """Prepare ``update``."""
        self._rates.set(update)
        self._optimizer.task = self._tasks.task(update)


def train_generalist(
    config: GeneralistTrainConfig, mixture: Mixture, *, reporter: Reporter | None = None
) -> GeneralistResult:
    """Train a generalist, or go on where the output folder left off.

    Args:
        config: The run.
        mixture: Tasks with their data.
        reporter: Shows messages and progress; silent by default.

    Raises:
        ValueError: The configuration or the data cannot be used; nothing was written then.
        TrainingDivergedError: The loss became NaN or infinite.
        ImportError: The training extra is not installed.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.3.
    """
    reporter = reporter or Silent()
    keep_freed_memory()
    accelerator = start_processes(config, parts_may_rest=True)
    mixture = mixture.select(config.tasks).scaled(config.batch_scale)
    task = _GeneralistRun(config, accelerator, mixture, reporter)
    if accelerator.is_main_process:
        for part in mixture.parts:
            name = part.task.name
            reporter.message(
                f"{name}: {len(part.task)} pictures, {part.batch_size} an update, "
                f"{100 * mixture.shares[name]:.1f} % of the updates"
            )
    finished, state = run_task(config, task, accelerator, reporter, optimizer=task.optimizer)
    return GeneralistResult(
        output=Path(config.output),
        finished=finished,
        updates=state.update,
        best_score=max(state.best, 0.0),
        metrics=state.metrics,
    )


class _GeneralistRun:
    """The parts of a generalist run."""

    def __init__(
        self, config: GeneralistTrainConfig, accelerator: Any, mixture: Mixture, reporter: Reporter
    ) -> None:
        self.config = config
        self.reporter = reporter
        self.accelerator = accelerator
        self.mixture = mixture
        self.tasks = TaskSchedule(mixture.shares, seed=derive_seed(config.seed, 5))
        # Read now: at the end of a long run its starting weights may be elsewhere.
        self.settings = trained_settings(mixture, starting_settings(config))
        self.tokenizer = saved_tokenizer(config)

    @property
    def num_updates(self) -> int:
        """Optimizer steps of the whole run."""
        return self.config.updates

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer steps between two evaluations."""
        return self.config.eval_updates

    @property
    def peak_lr(self) -> float:
        """Learning rate of factor 1."""
        return self.config.base_lr

    def create_model(self) -> nn.Module:
        """Return the generalist, as a module from batches to losses."""
        generalist = starting_model(self.config, self.mixture)
        share = trained_share(generalist)
        if share and self.accelerator.is_main_process:
            self.reporter.message(share)
        return MultiTaskModel(generalist, self.mixture)

    def rules(self, model: nn.Module) -> list[ParameterRule]:
        """Return learning-rate factor and weight decay of every parameter."""
        generalist = cast(MultiTaskModel, model).generalist
        rules = downstream_rules(
            generalist,
            weight_decay=self.config.weight_decay,
            backbone_lr_mul=self.config.backbone_lr_mul,
        )
        # Predictors of pre-training and the like.
        others = [
            ParameterRule(f"objectives.{name}", 1.0, self.config.weight_decay if p.ndim > 1 else 0.0)
            for name, p in cast(MultiTaskModel, model).objectives.named_parameters()
        ]
        return [*(ParameterRule(f"generalist.{r.name}", r.lr_scale, r.weight_decay) for r in rules), *others]

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer that normalises the gradient of each task."""
        shares = self.tasks.shares
        return build_task_balanced_optimizer(
            model,
            self.rules(model),
            lr=self.peak_lr,
            shares=shares,
            weights=shares if self.config.balance == "sampled" else dict.fromkeys(shares, 1.0),
            orthogonal=self.config.optimizer == "muon",
        )

    def schedule(self, optimizer: torch.optim.Optimizer) -> _BalancedSchedule:
        """Return the schedule of learning rates and tasks."""
        config = self.config
        curve = RateCurve(
            kind=config.schedule, num_updates=config.updates, warmup_updates=config.warmup_updates
        )
        return _BalancedSchedule(
            FactorSchedule(optimizer, curve), self.tasks, cast(TaskBalancedAdamW, optimizer)
        )

    def objective(self) -> _Losses:
        """Return the sum of the task's losses."""
        return _Losses()

    def batches(self, first_update: int) -> Any:
        """Return the batches of this process."""
        config = self.config
        batches = MixtureBatches(
            self.mixture,
            self.tasks,
            seed=config.seed,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            accumulation=config.accumulation,
        )
        return mixture_loader(batches, first_update, config.updates, workers=config.workers)

    def fingerprint(self) -> dict[str, Any]:
        """Return what else must not change when a run is resumed."""
        return {
            "updates": self.config.updates,
            "tasks": {part.task.name: [len(part.task), part.batch_size] for part in self.mixture.parts},
            # One entry a task, so that a refused resume says which share is another.
            **{f"share of {part.task.name}": part.share for part in self.mixture.parts},
            "schedule": self.config.schedule,
            "balance": self.config.balance,
            # Named where they are used, so that other runs stay what they were.
            **{name: value for name, value in self._parts_trained().items() if value},
        }

    def _parts_trained(self) -> dict[str, Any]:
        config = self.config
        return {"text_core": config.text_core, "lora": config.lora, "prompt_tuning": config.prompt_tuning}

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return the figures of all tasks; the score is the mean of each task's first."""
        generalist = cast(MultiTaskModel, model).generalist.eval()
        figures: dict[str, float] = {}
        firsts = []
        for part in self.mixture.parts:
            found = part.task.evaluate(generalist)
            firsts.append(next(iter(found.values())))
            figures |= {f"{part.task.name}.{name}": value for name, value in found.items()}
        return {"score": sum(firsts) / len(firsts), **figures}

    def save(self, model: nn.Module, path: Path, extra: Mapping[str, str]) -> None:
        """Write the weights with the run's settings and how the model is used."""
        settings = {SETTINGS: self.settings.to_json()}
        save_generalist(
            path,
            cast(MultiTaskModel, model).generalist,
            tokenizer=self.tokenizer,
            extra={**extra, **settings},
        )
