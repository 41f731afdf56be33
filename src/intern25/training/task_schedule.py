# SPDX-License-Identifier: MIT
"""Which task each update trains: unmixed sampling, known in advance to every process and to a resumed run.

All processes train one task in an update, so that contrastive losses can gather over them, and none has to
ask another which: the answer follows from the seed and the update alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intern25.data.seeding import derive_seed


class TaskPosition(NamedTuple):
    """The task of an update, and how far that task is."""

    task: str
    """What the update trains."""
    before: int
    """Earlier updates that trained the same task."""


class TaskSchedule:
    r"""A random order of tasks in which every task keeps to its share at all times.

    Task ``k`` has one turn in each interval of length :math:`1 / s_k`, at a time drawn uniformly from it; the
    order of all turns is the schedule:

    $$ \tau_{kj} = (j + u_{kj}) / s_k, \qquad u_{kj} \sim U(0, 1) $$

    Hence after any ``t`` updates task ``k`` of ``K`` has had :math:`t s_k` of them up to
    :math:`1 + s_k \max(K - 2, 0)`, where independent draws would be off by :math:`\sqrt{t s_k (1 - s_k)}`.

    Args:
        shares: Share of the updates of each task, in any unit; tasks of share 0 are left out.
        seed: Seed of the order.

    Raises:
        ValueError: A share is negative or not finite, or all are 0.

    Example:
        >>> schedule = TaskSchedule({"caption": 3, "vqa": 1}, seed=0)
        >>> schedule.shares
        {'caption': 0.75, 'vqa': 0.25}
        >>> schedule.counts(400)
        {'caption': 300, 'vqa': 100}

    Source:
        Unmixed sampling: Uni-Perceiver v2, arXiv:2211.09808, section 3.3. The low discrepancy is ours.
    """

    def __init__(self, shares: Mapping[str, float], *, seed: int) -> None:
        self.shares = normalised_shares(shares)
        self.seed = seed
        self._names = sorted(self.shares)
        self._tasks: NDArray[np.int64] = np.zeros(0, np.int64)
        self._before: NDArray[np.int64] = np.zeros(0, np.int64)

    def task(self, update: int) -> str:
        """Return the task that ``update`` trains."""
        return self.position(update).task

    def position(self, update: int) -> TaskPosition:
        """Return the task of ``update`` and how many updates of this task came before; any order of calls.

        Raises:
            ValueError: ``update`` is negative.
        """
        self._reach(update)
        return TaskPosition(self._names[self._tasks[update]], int(self._before[update]))

    def counts(self, updates: int) -> dict[str, int]:
        """Return how many of the first ``updates`` updates train each task."""
        if updates:
            self._reach(updates - 1)
        totals = np.bincount(self._tasks[:updates], minlength=len(self._names))
        return dict(zip(self._names, totals.tolist(), strict=True))

    def _reach(self, update: int) -> None:
        """Draw turns until ``update`` is among them; what was drawn stays as it was."""
        if update < 0:
            raise ValueError(f"update={update} must not be negative")
        if update < len(self._tasks):
            return
        # Up to time T more than T - K turns have come, and all of them are known.
        horizon = max(update + len(self._names) + 1, 2 * len(self._tasks), 1024)
        times, tasks = [], []
        for number, name in enumerate(self._names):
            turns = math.ceil(horizon * self.shares[name]) + 1
            draws = np.random.default_rng(derive_seed(self.seed, number)).random(turns)
            moments = (np.arange(turns) + draws) / self.shares[name]
            moments = moments[moments < horizon]
            times.append(moments)
            tasks.append(np.full(len(moments), number))
        order = np.argsort(np.concatenate(times), kind="stable")
        self._tasks = np.concatenate(tasks)[order]
        # The turns of one task are in order already, so its k-th place in the schedule is its k-th turn.
        self._before = np.concatenate([np.arange(len(moments)) for moments in times])[order]


def normalised_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares scaled to the sum 1, without the tasks of share 0.

    Raises:
        ValueError: A share is negative or not finite, or all are 0.
    """
    for task, share in shares.items():
        if not 0.0 <= share < math.inf:
            raise ValueError(f"the share of task {task!r} is {share}; it must be a number from 0 up")
    total = math.fsum(shares.values())
    if not 0.0 < total < math.inf:
        raise ValueError(f"the shares {dict(shares)} have the sum {total}; give at least one task a share")
    return {task: share / total for task, share in shares.items() if share}


def shares_from_time(
    time_shares: Mapping[str, float], seconds_per_update: Mapping[str, float]
) -> dict[str, float]:
    r"""Return shares of the updates under which each task gets its share of the time.

    $$ s_k = \frac{\tau_k / c_k}{\sum_j \tau_j / c_j} $$

    Args:
        time_shares: :math:`\tau_k`, in any unit; tasks of share 0 are left out.
        seconds_per_update: :math:`c_k`, the measured duration of one update of each task.

    Raises:
        ValueError: A share is bad, or a task has no duration above 0.

    Example:
        >>> shares_from_time({"detect": 1, "ask": 1}, {"detect": 3.0, "ask": 1.0})
        {'detect': 0.25, 'ask': 0.75}
    """
    wanted = normalised_shares(time_shares)
    for task in wanted:
        seconds = seconds_per_update.get(task)
        if seconds is None or not 0.0 < seconds < math.inf:
            raise ValueError(
                f"an update of task {task!r} takes {seconds} seconds; measure it and give a number above 0"
            )
    return normalised_shares({task: share / seconds_per_update[task] for task, share in wanted.items()})
