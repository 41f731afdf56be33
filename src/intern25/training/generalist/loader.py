# SPDX-License-Identifier: MIT
"""Batches of many tasks in an order that depends on the seed alone, a whole batch for each loader item."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from intern25.data.loader import one_thread
from intern25.data.seeding import derive_seed
from intern25.generalist.tasks.batch import TaskBatch
from intern25.training.generalist.mixture import Mixture
from intern25.training.task_schedule import TaskSchedule


class MixtureBatches(Dataset[TaskBatch]):
    """The batches of an update: their task from the schedule, their pictures from the task's own passes.

    Args:
        mixture: The tasks.
        schedule: Task of each update.
        seed: Seed of everything random.
        rank: This process.
        processes: How many share an update's pictures.
        accumulation: Batches of an update and process.
    """

    def __init__(
        self,
        mixture: Mixture,
        schedule: TaskSchedule,
        *,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        accumulation: int = 1,
    ) -> None:
        self.mixture = mixture
        self.schedule = schedule
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.accumulation = accumulation

    def __getitem__(self, index: int) -> TaskBatch:
        """Make a batch, counted over the run; ``accumulation`` of them are an update."""
        update, share = divmod(index, self.accumulation)
        name, turn = self.schedule.position(update)
        part = self.mixture.part(name)
        first = ((turn * self.processes + self.rank) * self.accumulation + share) * part.batch_size
        number = len(part.task)
        indices = [
            passing_index(number, first + place, derive_seed(self.seed, 3))
            for place in range(part.batch_size)
        ]
        return part.task.batch(indices, derive_seed(self.seed, index, self.rank, 4))


def passing_index(number: int, position: int, seed: int) -> int:
    """Picture at a position of endless passes over ``number`` pictures, each in an order of its own."""
    turn, place = divmod(position, number)
    return int(_order(number, derive_seed(seed, turn))[place])


_ORDERS: dict[tuple[int, int], Any] = {}
_MOST_ORDERS = 64


def _order(number: int, seed: int) -> Any:
    """The permutation of a pass; a process keeps the last ones, since batches come back to them."""
    key = (number, seed)
    if key not in _ORDERS:
        while len(_ORDERS) >= _MOST_ORDERS:
            del _ORDERS[next(iter(_ORDERS))]
        _ORDERS[key] = np.random.default_rng(seed).permutation(number)
    return _ORDERS[key]


def mixture_loader(
    batches: MixtureBatches, first_update: int, num_updates: int, *, workers: int
) -> DataLoader[Any]:
    """Return the batches of this process from ``first_update`` to the end of the run."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_update * batches.accumulation, num_updates * batches.accumulation),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator().manual_seed(batches.seed),
    )
