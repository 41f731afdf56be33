# SPDX-License-Identifier: MIT
"""Train a small generalist on made-up tasks from a configuration file; a process of its own for tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from intern25.generalist.tasks.batch import TaskBatch
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.generalist.run import MultiTaskModel, train_generalist
from intern25.training.progress import LineReporter
from tests.generalist.tasks.made_tasks import classify, detect, refer, retrieve


def made_mixture() -> Mixture:
    """Four tasks; classification is deterministic but for names and moves."""
    tasks = (classify(), retrieve(), detect(masks=False), refer())
    return Mixture(tuple(MixturePart(task=task, batch_size=2, share=1.0) for task in tasks))


def say_tasks(output: Path) -> None:
    """Write the task of every batch of this process beside the run."""
    forward = MultiTaskModel.forward

    def noted(self: MultiTaskModel, batch: TaskBatch) -> dict[str, Any]:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        with output.with_suffix(f".{rank}.tasks").open("a") as file:
            file.write(f"{batch.task}\n")
        return forward(self, batch)

    MultiTaskModel.forward = noted  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    config = GeneralistTrainConfig.from_json(Path(sys.argv[1]).read_text())
    say_tasks(Path(config.output))
    result = train_generalist(config, made_mixture(), reporter=LineReporter())
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    sys.exit(0 if result.finished else 3)
