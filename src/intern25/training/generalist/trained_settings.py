# SPDX-License-Identifier: MIT
"""How a trained generalist is to be used: as its tasks have shown it pictures."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from typing import Any

from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.resizing import Size
from intern25.generalist.tasks.task import TaskWithSettings
from intern25.training.generalist.mixture import Mixture

RARE = 0.12
"""Share of the updates of the most usual size of questions, below which a size of one task alone is rare."""


def trained_settings(mixture: Mixture, start: GeneralistSettings) -> GeneralistSettings:
    """Return the settings with which a model of these tasks is used.

    Convention:
        - where several tasks say a field, the one with the largest share of the updates decides, of equals
          the first.
        - ``ask_sizes`` are those of the tasks with questions, without the rare ones of one task alone: such a
          size tells the model which data set to answer for.
        - a field that no task says stays as it was at the start.

    Args:
        mixture: The tasks.
        start: Settings of the weights that the training started from.
    """
    fields: dict[str, Any] = {}
    sizes: defaultdict[Size, float] = defaultdict(float)
    tasks: Counter[Size] = Counter()
    for part in sorted(mixture.parts, key=lambda part: -part.share):
        if isinstance(part.task, TaskWithSettings):
            said = part.task.settings()
            asked = said.pop("ask_sizes", ())
            for size in asked:
                sizes[size] += part.share / len(asked)
            tasks.update(asked)
            fields = {**said, **fields}
    if sizes:
        least = RARE * max(sizes.values())
        fields["ask_sizes"] = tuple(s for s, share in sizes.items() if share >= least or tasks[s] > 1)
    return dataclasses.replace(start, **fields)
