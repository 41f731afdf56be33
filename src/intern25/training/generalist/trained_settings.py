# SPDX-License-Identifier: MIT
"""How a trained generalist is to be used: as its tasks have shown it pictures."""

from __future__ import annotations

import dataclasses
from typing import Any

from intern25.data.generalist_settings import GeneralistSettings
from intern25.generalist.tasks.task import TaskWithSettings
from intern25.training.generalist.mixture import Mixture


def trained_settings(mixture: Mixture, start: GeneralistSettings) -> GeneralistSettings:
    """Return the settings with which a model of these tasks is used.

    Convention:
        - where several tasks say a field, the one with the largest share of the updates decides, of equals
          the first.
        - ``ask_sizes`` are those of all tasks with questions.
        - a field that no task says stays as it was at the start.

    Args:
        mixture: The tasks.
        start: Settings of the weights that the training started from.
    """
    fields: dict[str, Any] = {}
    sizes: list[tuple[int, int]] = []
    for part in sorted(mixture.parts, key=lambda part: -part.share):
        if isinstance(part.task, TaskWithSettings):
            said = part.task.settings()
            sizes += said.pop("ask_sizes", ())
            fields = {**said, **fields}
    if sizes:
        fields["ask_sizes"] = tuple(dict.fromkeys(sizes))
    return dataclasses.replace(start, **fields)
