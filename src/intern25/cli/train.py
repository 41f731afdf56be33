# SPDX-License-Identifier: MIT
"""``intern25 train``: train or fine-tune on your own pictures."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse, split_task
from intern25.training.config import TrainConfig
from intern25.training.recipes import recipe_inaturalist, recipe_official, recipe_small

if TYPE_CHECKING:
    from intern25.training.classification import TrainResult

TASKS = {"classify": "a classifier, from fresh or published weights"}

_DESCRIPTION = (
    "Train a classifier. The data: a folder of class folders (with train/ and val/ or without), the official "
    "meta_data lists, webdataset shards, or a .zip. Run the same command again to go on after a stop; "
    "start it with 'torchrun --nproc-per-node N -m intern25 train classify ...' for several processes. "
    "--json prints one object at the end. Defaults below are those of --recipe."
)

Recipe = Literal["default", "small", "official", "official_layer_decay", "inaturalist"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeChoice:
    """What decides the defaults of all other options."""

    recipe: Recipe = "default"
    """Set of defaults: small = nano on a CPU, some thousand pictures; official = the authors' of --model."""
    model: str = "internimage_t"
    """Architecture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """Options of ``intern25 train classify``."""

    recipe: Recipe = "default"
    """Set of defaults: small = nano on a CPU, some thousand pictures; official = the authors' of --model."""
    json: bool = False
    """Print one JSON object at the end."""
    config: tyro.conf.OmitArgPrefixes[TrainConfig] = dataclasses.field(default_factory=TrainConfig)
    """The run."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    task, rest = split_task(arguments, TASKS, command="train")
    if task is None:
        return DONE
    default = TrainOptions(config=_recipe(rest))
    options = parse(TrainOptions, rest, command="train classify", description=_DESCRIPTION, default=default)
    if not options.config.data:
        raise ValueError("no data: give the path of a folder, a .zip or .tar shards (--data)")
    from intern25.training.classification import train
    from intern25.training.progress import console_reporter

    result = train(options.config, reporter=console_reporter())
    # Under torchrun every process comes here.
    if os.environ.get("RANK", "0") == "0":
        print(_json(result) if options.json else _text(result))
    return DONE


def _recipe(arguments: Sequence[str]) -> TrainConfig:
    """Defaults of the recipe that the arguments name."""
    choice, _ = tyro.cli(RecipeChoice, args=arguments, return_unknown_args=True, add_help=False)
    if choice.recipe == "small":
        return recipe_small()
    if choice.recipe == "official":
        return recipe_official(choice.model)
    if choice.recipe == "official_layer_decay":
        return recipe_official(choice.model, layer_decay=True)
    return recipe_inaturalist() if choice.recipe == "inaturalist" else TrainConfig()


def _json(result: TrainResult) -> str:
    values = {
        "output": str(result.output),
        "finished": result.finished,
        "updates": result.updates,
        "best_top1": result.best_top1,
        "best_epoch": result.best_epoch,
        "metrics": result.metrics,
        "bad_images": [{"name": bad.name, "reason": bad.reason} for bad in result.bad_images],
    }
    return json.dumps(values, ensure_ascii=False)


def _text(result: TrainResult) -> str:
    state = "finished" if result.finished else "stopped; run the same command again to go on"
    best = (
        "" if result.best_epoch < 0 else f", best top-1 {result.best_top1:.2%} in epoch {result.best_epoch}"
    )
    lines = [f"{state}: {result.updates} updates{best}"]
    if result.best_epoch >= 0:
        lines.append(f"use it: intern25 classify --model {result.output / 'best.safetensors'} PICTURE")
    return "\n".join(lines)
