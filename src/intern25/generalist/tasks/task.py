# SPDX-License-Identifier: MIT
"""What a task is to the training: samples, batches, losses and a score."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from intern25.generalist.model import Generalist
from intern25.generalist.tasks.batch import TaskBatch


class TrainingTask(Protocol):
    """One task with its data."""

    @property
    def name(self) -> str:
        """Name in logs and shares; unique in a run."""
        ...

    def __len__(self) -> int:
        """Training samples of one pass."""
        ...

    def batch(self, indices: list[int], seed: int) -> TaskBatch:
        """Make a training batch, everything random drawn from ``seed``; runs in loader processes."""
        ...

    def losses(self, model: Generalist, batch: Any) -> dict[str, Tensor]:
        """Return the parts of the loss, whose sum is minimised."""
        ...

    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Return held-out figures; the first is the task's score, higher is better."""
        ...


@runtime_checkable
class TaskWithTrivialAnswer(Protocol):
    """A task that knows what can be reached without a look at the pictures."""

    def trivial(self) -> dict[str, float]:
        """Return figures of an answer without a model, by the names that ``evaluate`` gives them."""
        ...


@runtime_checkable
class TaskWithSettings(Protocol):
    """A task that says how its pictures are seen, so that a trained model is used as it has learnt."""

    def settings(self) -> dict[str, Any]:
        """Return fields of :class:`intern25.data.generalist_settings.GeneralistSettings`."""
        ...


@runtime_checkable
class TaskWithParameters(Protocol):
    """A task whose loss has parameters of its own, which train with the model and are not saved with it."""

    def objective(self, model: Generalist) -> nn.Module:
        """Return a module from the model and a batch to the parts of the loss."""
        ...
