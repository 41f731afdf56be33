# SPDX-License-Identifier: MIT
"""The training loop: accumulate, clip, step, average, score, save; resumable to the same numbers.

Draws of an update follow from (seed, update, rank) and those of a sample from (seed, epoch, index), so a
checkpoint needs no generator states: a run killed anywhere and resumed equals one never killed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from intern25.data.seeding import derive_seed, seed_everything
from intern25.training.checkpoint import load_checkpoint_state, save_checkpoint
from intern25.training.freezing import keep_frozen
from intern25.training.interruption import StopRequest
from intern25.training.log import RunLog
from intern25.training.objectives import Objective
from intern25.training.progress import Reporter
from intern25.training.schedule import Schedule


class TrainingDivergedError(RuntimeError):
    """The loss is no longer finite."""


class Scorer(Protocol):
    """Judges the weights at the end of an epoch and keeps the best."""

    def __call__(self, model: nn.Module, epoch: int, best: float) -> dict[str, float]:
        """Return metrics; ``score`` among them is compared with ``best``, higher is better."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopSettings:
    """Everything about the loop that is not an object."""

    output: Path
    num_updates: int
    updates_per_epoch: int
    accumulation: int
    clip: float
    seed: int
    bfloat16: bool
    eval_every: int
    log_every: int
    save_every_seconds: float
    max_seconds: float
    tensorboard: bool
    fingerprint: str  # a JSON object
    """Must be equal on resume: what determines the numbers of the run."""


@dataclass(slots=True)
class LoopState:
    """What a checkpoint holds besides tensors."""

    update: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_epoch: int = -1
    metrics: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Runs a training from where its output folder left off.

    Args:
        accelerator: ``accelerate.Accelerator`` that prepared ``model`` and ``optimizer``.
        model: Prepared model.
        optimizer: Prepared optimizer.
        schedule: Learning rate by update.
        objective: Loss of a batch.
        batches: From the first update to the micro-batches from there to the end of the run.
        settings: Numbers of the loop.
        reporter: Shows messages and progress.
        ema: timm's ``ModelEmaV3`` over the unwrapped model; None = off.
        frozen: Modules kept in eval mode.
        scorer: Called at the end of epochs with the averaged weights, else the trained ones.
    """

    def __init__(  # noqa: PLR0913 - the parts of a training
        self,
        *,
        accelerator: Any,
        model: nn.Module,
        optimizer: Any,
        schedule: Schedule,
        objective: Objective,
        batches: Callable[[int], Iterable[Any]],
        settings: LoopSettings,
        reporter: Reporter,
        ema: Any = None,
        frozen: list[nn.Module] | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        self.accelerator = accelerator
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.objective = objective
        self.batches = batches
        self.settings = settings
        self.reporter = reporter
        self.ema = ema
        self.frozen = frozen or []
        self.scorer = scorer
        self.state = LoopState()
        self._log: RunLog | None = None
        self._pending: list[dict[str, Tensor]] = []
        self._started = self._saved = time.monotonic()
        self._log_mark = (time.monotonic(), 0)

    @property
    def scored_model(self) -> nn.Module:
        """Averaged weights where they are kept, else the trained ones."""
        source = self.accelerator.unwrap_model(self.model) if self.ema is None else self.ema.module
        return cast(nn.Module, source)

    def resume(self) -> bool:
        """Load the newest checkpoint of the output folder; returns whether there was one.

        Raises:
            ValueError: The checkpoint belongs to a run with other settings, or cannot be read.
        """
        saved = load_checkpoint_state(self.settings.output)
        if saved is None:
            return False
        if saved["fingerprint"] != self.settings.fingerprint:
            changes = _changes(json.loads(saved["fingerprint"]), json.loads(self.settings.fingerprint))
            raise ValueError(
                f"the checkpoint in {self.settings.output} belongs to a run with other settings or data; use "
                f"another output folder, or remove it: {changes}"
            )
        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, saved["model"], options=options)
        set_optimizer_state_dict(self.model, self._plain_optimizer, saved["optimizer"], options=options)
        if self.ema is not None:
            self.ema.module.load_state_dict(saved["ema"])
        self.state = LoopState(**saved["state"])
        return True

    @property
    def _plain_optimizer(self) -> Any:
        return getattr(self.optimizer, "optimizer", self.optimizer)

    def run(self) -> bool:
        """Train to the end, a time limit or a stop signal; returns whether the last update was reached.

        Raises:
            TrainingDivergedError: The loss became NaN or infinite; the last checkpoint is from before.
        """
        settings, state = self.settings, self.state
        if self.accelerator.is_main_process:
            self._log = RunLog(settings.output, state.update, tensorboard=settings.tensorboard)
        self._started = self._saved = time.monotonic()
        self._log_mark = (self._started, state.update)
        batches = iter(self.batches(state.update))
        try:
            with StopRequest() as request:
                while state.update < settings.num_updates:
                    self._update(batches)
                    state.update += 1
                    if state.update % settings.log_every == 0 or state.update == settings.num_updates:
                        self._flush_log()
                    self._report({})
                    if state.update % settings.updates_per_epoch == 0 or state.update == settings.num_updates:
                        self._end_epoch(-(-state.update // settings.updates_per_epoch))
                    if self._must_stop(request):
                        break
        finally:
            self.reporter.close()
            if self._log is not None:
                self._log.close()
        self.save()
        return state.update >= settings.num_updates

    def _update(self, batches: Iterator[Any]) -> None:
        """One optimizer step over ``accumulation`` micro-batches."""
        settings, update = self.settings, self.state.update
        seed_everything(derive_seed(settings.seed, update, self.accelerator.process_index, 2))
        self.model.train()
        keep_frozen(self.frozen)
        self.schedule.set(update)
        values: dict[str, Tensor] = {}
        for micro in range(settings.accumulation):
            batch = next(batches).to(self.accelerator.device)
            if micro < settings.accumulation - 1:
                with self.accelerator.no_sync(self.model):
                    self._forward_backward(batch, values)
            else:
                self._forward_backward(batch, values)
        if settings.clip > 0:
            norm = self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip)
            values["gradient_norm"] = _plain(norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.accelerator.unwrap_model(self.model), step=update + 1)
        self._pending.append(values)

    def _forward_backward(self, batch: Any, values: dict[str, Tensor]) -> None:
        device = self.accelerator.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            loss, extra = self.objective(self.model, batch)
        share = 1.0 / self.settings.accumulation
        self.accelerator.backward(loss * share)
        for name, value in {"loss": loss, **extra}.items():
            tensor = torch.as_tensor(value, device=device).detach().double() * share
            values[name] = values[name] + tensor if name in values else tensor

    def _flush_log(self) -> None:
        """Average the values since the last line, refuse infinite ones, write them."""
        if not self._pending:
            return
        # A batch may lack a part of the loss, such as that of masks.
        names = list(dict.fromkeys(name for values in self._pending for name in values))
        means = torch.stack(
            [torch.stack([v[name] for v in self._pending if name in v]).mean() for name in names]
        )
        if dist.is_initialized():
            dist.all_reduce(means)
            means /= dist.get_world_size()
        values: dict[str, float] = dict(zip(names, means.tolist(), strict=True))
        update, count = self.state.update, len(self._pending)
        self._pending = []
        if not math.isfinite(values["loss"]):
            raise TrainingDivergedError(
                f"the loss is {values['loss']} between updates {update - count} and {update}; the last "
                f"checkpoint in {self.settings.output} is from before. Lower base_lr or raise the warm-up "
                "and start again in another output folder"
            )
        now, (then, mark) = time.monotonic(), self._log_mark
        values["lr"] = float(self._plain_optimizer.param_groups[0]["lr"])
        values["updates_per_second"] = (update - mark) / max(now - then, 1e-9)
        self._log_mark = (now, update)
        self._write("train", values)
        # Names with a dot are parts of parts, such as the loss of one layer of a decoder: for the log alone.
        self._report({name: value for name, value in values.items() if "." not in name})

    def _end_epoch(self, epoch: int) -> None:
        """Score the weights where it is time to."""
        due = epoch % self.settings.eval_every == 0 or self.state.update == self.settings.num_updates
        if self.scorer is None or not due:
            return
        self._flush_log()
        metrics = self.scorer(self.scored_model, epoch, self.state.best)
        if metrics["score"] > self.state.best:
            self.state.best, self.state.best_epoch = metrics["score"], epoch
        self.state.metrics = metrics
        self._write("val", {"epoch": epoch, **metrics, "best": self.state.best, "seconds": self._seconds()})
        if self.accelerator.is_main_process:
            shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name != "score")
            self.reporter.message(f"epoch {epoch}  {shown}")
        self._log_mark = (time.monotonic(), self.state.update)

    def _must_stop(self, request: StopRequest) -> bool:
        """Decide, together with the other processes, whether to save and whether to stop."""
        settings = self.settings
        late = 0 < settings.max_seconds <= self._seconds()
        save = time.monotonic() - self._saved >= settings.save_every_seconds
        wishes = torch.tensor([request.received is not None, late, save], dtype=torch.int32)
        if dist.is_initialized():
            wishes = wishes.to(self.accelerator.device)
            dist.all_reduce(wishes, op=dist.ReduceOp.MAX)
        stop, late, save = (bool(wish) for wish in wishes.tolist())
        if stop or late:
            reason = "a stop signal came" if stop else f"max_seconds={settings.max_seconds:g} are over"
            if self.accelerator.is_main_process:
                self.reporter.message(f"{reason}; saving at update {self.state.update} and stopping")
            return True
        if save and self.state.update < settings.num_updates:
            self._try_save()
        return False

    def _try_save(self) -> None:
        """Save; a full disk is reported and training goes on with the old checkpoint in place."""
        try:
            self.save()
        except OSError as error:
            self._write("error", {"message": str(error)})
            self.reporter.message(f"checkpoint not written, the old one is kept: {error}")
            self._saved = time.monotonic()

    def save(self) -> None:
        """Write the checkpoint of this moment.

        Raises:
            OSError: It could not be written; the old one is as it was.
        """
        self._flush_log()
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        model = get_model_state_dict(self.model, options=options)
        optimizer = get_optimizer_state_dict(self.model, self._plain_optimizer, options=options)
        if self.accelerator.is_main_process:
            state = self.state
            save_checkpoint(
                self.settings.output,
                {
                    "model": model,
                    "optimizer": optimizer,
                    "ema": None if self.ema is None else self.ema.module.state_dict(),
                    "state": {
                        "update": state.update,
                        "seconds": self._seconds(),
                        "best": state.best,
                        "best_epoch": state.best_epoch,
                        "metrics": state.metrics,
                    },
                    "fingerprint": self.settings.fingerprint,
                },
            )
        self._saved = time.monotonic()

    def _seconds(self) -> float:
        return self.state.seconds + time.monotonic() - self._started

    def _write(self, kind: str, values: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.write(kind, self.state.update, values)

    def _report(self, values: Mapping[str, Any]) -> None:
        if self.accelerator.is_main_process:
            self.reporter.progress(self.state.update, self.settings.num_updates, values)


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Settings that differ between two fingerprints, those that one of them lacks included."""
    names = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    return ", ".join(f"{name} was {then.get(name)}, is {now.get(name)}" for name in names)


def _plain(value: Tensor) -> Tensor:
    """A gradient norm as an ordinary tensor (FSDP gives a DTensor)."""
    full = getattr(value, "full_tensor", None)
    return (full() if full is not None else value).detach().double()
