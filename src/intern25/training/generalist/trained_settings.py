# SPDX-License-Identifier: MIT
"""How a trained generalist is to be used: as its tasks have shown it pictures."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.resizing import Size
from intern25.generalist.tasks.task import TaskWithSettings
from intern25.training.generalist.mixture import Mixture


def trained_settings(mixture: Mixture, start: GeneralistSettings) -> GeneralistSettings:
    """Return the settings with which a model of these tasks is used.

    Convention:
        - where several tasks say a field, the one with the largest share of the updates decides, of equals
          the first.
        - ``ask_sizes`` are those of the tasks with questions. Where a task has several, those that no other
          task shares are left out: such a size would tell the model which data set to answer for. If none
          is left, all count.
        - a field that no task says stays as it was at the start.

    Args:
        mixture: The tasks.
        start: Settings of the weights that the training started from.
    """
    fields: dict[str, Any] = {}
    asked: list[tuple[Size, ...]] = []
    for part in sorted(mixture.parts, key=lambda part: -part.share):
        if isinstance(part.task, TaskWithSettings):
            said = part.task.settings()
            asked.append(said.pop("ask_sizes", ()))
            fields = {**said, **fields}
    tasks = Counter(size for sizes in asked for size in sizes)
    if tasks:
        kept = [size for sizes in asked for size in sizes if len(sizes) == 1 or tasks[size] > 1]
        fields["ask_sizes"] = tuple(dict.fromkeys(kept or tasks))
    return dataclasses.replace(start, **fields)
