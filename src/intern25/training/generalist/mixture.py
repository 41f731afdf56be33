# SPDX-License-Identifier: MIT
"""Which tasks a run trains, how large their batches are and how often they come."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from intern25.generalist.tasks.task import TrainingTask


@dataclass(frozen=True, kw_only=True, slots=True)
class MixturePart:
    """One task of a mixture."""

    task: TrainingTask
    """What is trained."""
    batch_size: int
    """Pictures of an update."""
    share: float
    """How often it comes, relative to the others."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not 0 < self.share < math.inf:
            raise ValueError(
                f"the task {self.task.name} has batch_size={self.batch_size} and share={self.share}; "
                "give 1 or more pictures and a share above 0"
            )


@dataclass(frozen=True, slots=True)
class Mixture:
    """All tasks of a run.

    Raises:
        ValueError: There is no task, two have one name, or a task has no data.
    """

    parts: tuple[MixturePart, ...]

    def __post_init__(self) -> None:
        names = [part.task.name for part in self.parts]
        if not names:
            raise ValueError("there is no task to train; check data and tasks")
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two tasks are called {', '.join(sorted(twice))}")
        for part in self.parts:
            if not len(part.task):
                raise ValueError(f"the task {part.task.name} has no pictures to learn from")

    @property
    def shares(self) -> dict[str, float]:
        """Share of the updates of each task; they sum to 1."""
        total = sum(part.share for part in self.parts)
        return {part.task.name: part.share / total for part in self.parts}

    def part(self, name: str) -> MixturePart:
        """The task of a name."""
        return next(part for part in self.parts if part.task.name == name)

    def select(self, names: tuple[str, ...]) -> Mixture:
        """Return the tasks whose names begin with one of ``names``; all where there are none.

        Raises:
            ValueError: A name fits no task.
        """
        for name in names:
            if not any(part.task.name.startswith(name) for part in self.parts):
                known = ", ".join(part.task.name for part in self.parts)
                raise ValueError(f"the data give no task {name!r}; they give {known}")
        if not names:
            return self
        return Mixture(tuple(part for part in self.parts if part.task.name.startswith(names)))

    def scaled(self, factor: float) -> Mixture:
        """Return the tasks with batches of ``factor`` times as many pictures, one at least."""
        return Mixture(
            tuple(replace(part, batch_size=max(1, round(factor * part.batch_size))) for part in self.parts)
        )
