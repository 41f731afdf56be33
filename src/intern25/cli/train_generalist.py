# SPDX-License-Identifier: MIT
"""``intern25 train generalist`` and ``intern25 eval generalist``: all tasks of the data packs of a folder."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse, refuse_unused
from intern25.training.generalist.config import GeneralistTrainConfig

_TRAIN = (
    "Train the generalist: classification, detection, segmentation, retrieval, captions, questions and "
    "reading with one set of weights, one task an update. The data: a folder of data packs (zip archives or "
    "folders), whose names say what they are for; rendered street scenes and words come besides. --tasks "
    "chooses some. Or your own data: '--tasks vqa retrieval --data my/', or '--data vqa=a/,retrieval=b.zip'; "
    "every row and picture is looked at first, and --skip-bad goes on without bad ones. Run the same command "
    "again to go on after a stop; start it with 'torchrun --nproc-per-node N -m intern25 train generalist "
    "...' for several processes. --json prints one object at the end."
)
_TRIVIAL = " (trivial)"
_EVALUATE = (
    "Measure a generalist on every task of the data packs of a folder, each figure on pictures that did not "
    "train. --json prints one object with a figure a line."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownConfig(GeneralistTrainConfig):
    """The run, without the settings of ``UNUSED`` in its help; whoever gives one is told why not."""

    epochs: tyro.conf.Suppress[int] = 300
    batch_size: tyro.conf.Suppress[int] = 64
    layer_decay: tyro.conf.Suppress[float] = 1.0
    drop_path: tyro.conf.Suppress[float | None] = None
    eval_every: tyro.conf.Suppress[int] = 1
    sync_batch_norm: tyro.conf.Suppress[bool] = True


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistOptions:
    """Options of ``intern25 train generalist``."""

    json: bool = False
    """Print one JSON object at the end."""
    config: tyro.conf.OmitArgPrefixes[ShownConfig] = dataclasses.field(default_factory=ShownConfig)
    """The run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateGeneralistOptions:
    """Options of ``intern25 eval generalist``."""

    data: str
    """Folder of data packs."""
    model: str
    """Weight file of a generalist, or its name."""
    tasks: tuple[str, ...] = ()
    """Names of tasks, or beginnings of them; empty = all that the data allow."""
    split: Literal["val", "test"] = "val"
    """Which pictures; tasks without test pictures are scored on those for validation."""
    most: int = 0
    """Most pictures of a task; 0 = all."""
    seed: int = 0
    """Seed of what was held out in training."""
    trivial: bool = False
    """Say beside each task what can be reached without a look at the pictures."""
    text_core: str = ""
    """Folder or hub repository of the language model of a generalist that has one; empty = where it was."""
    json: bool = False
    """Print one JSON object."""


def run_training(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    refuse_unused(arguments, GeneralistTrainConfig.UNUSED, command="train generalist")
    options = parse(GeneralistOptions, arguments, command="train generalist", description=_TRAIN)
    config = options.config
    if not config.data:
        raise ValueError("no data: give the folder that holds the data packs, or your own data (--data)")
    from intern25.training.generalist.choice import choose_mixture
    from intern25.training.generalist.run import train_generalist
    from intern25.training.generalist.start import starting_tokenizer
    from intern25.training.progress import console_reporter

    reporter = console_reporter()
    mixture = choose_mixture(config, starting_tokenizer(config), reporter.message)
    result = train_generalist(config, mixture, reporter=reporter)
    if os.environ.get("RANK", "0") == "0":
        values = {**dataclasses.asdict(result), "output": str(result.output)}
        state = "finished" if result.finished else "stopped; run the same command again to go on"
        text = f"{state}: {result.updates} updates, mean score {result.best_score:.3f}"
        print(json.dumps(values) if options.json else text)
    return DONE


def run_evaluation(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(EvaluateGeneralistOptions, arguments, command="eval generalist", description=_EVALUATE)
    from intern25.generalist.files import load_generalist
    from intern25.generalist.tasks.task import TaskWithTrivialAnswer
    from intern25.training.generalist.packs.settings import PackSettings
    from intern25.training.generalist.packs.tiny import tiny_mixture
    from intern25.weights.generalists import generalist_path

    path = generalist_path(options.model) or options.model
    loaded = load_generalist(path, text_core=options.text_core or None)
    settings = PackSettings(
        tokenizer=loaded.tokenizer,
        held_out=options.split,
        seed=options.seed,
        evaluate_most=options.most,
    )
    names = tuple(name for part in options.tasks for name in part.split(",") if name)
    mixture = tiny_mixture(options.data, settings, tasks=names)
    figures: dict[str, dict[str, float]] = {}
    for part in mixture.parts:
        task = part.task
        found = {task.name: task.evaluate(loaded.model)}
        if options.trivial and isinstance(task, TaskWithTrivialAnswer):
            found[f"{task.name}{_TRIVIAL}"] = task.trivial()
        figures |= found
        if not options.json:
            print("\n".join(_row(name, values) for name, values in found.items()), flush=True)
    if options.json:
        print(json.dumps(figures))
    return DONE


def _row(name: str, figures: dict[str, float]) -> str:
    return f"{name:<28} " + "  ".join(f"{key} {value:.4f}" for key, value in figures.items())
