# SPDX-License-Identifier: MIT
"""``intern25 train``: train or fine-tune on your own pictures."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse, split_task
from intern25.cli.train_generalist import run_training
from intern25.training.config import TrainConfig
from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.detection_recipes import (
    DetectionData,
    Schedule,
    recipe_official_detection,
    recipe_small_detection,
)
from intern25.training.recipes import recipe_inaturalist, recipe_official, recipe_small
from intern25.training.segmentation_config import SegmentationTrainConfig
from intern25.training.segmentation_recipes import (
    SegmentationData,
    recipe_official_segmentation,
    recipe_small_segmentation,
)

if TYPE_CHECKING:
    from intern25.training.classification import TrainResult
    from intern25.training.downstream import DownstreamResult

TASKS = {
    "classify": "a classifier, from fresh or published weights",
    "detect": "a detector of boxes, and of masks where the data have them",
    "segment": "a segmenter that names the class of each pixel",
    "generalist": "one model for all tasks, from the data packs of a folder",
}

_ALL = (
    "Run the same command again to go on after a stop; start it with "
    "'torchrun --nproc-per-node N -m intern25 train {task} ...' for several processes. "
    "--json prints one object at the end. Defaults below are those of --recipe."
)
_CLASSIFY = (
    "Train a classifier. The data: a folder of class folders (with train/ and val/ or without), the official "
    "meta_data lists, webdataset shards, or a .zip. " + _ALL.format(task="classify")
)
_DETECT = (
    "Train a detector. The data: COCO json, LVIS, Objects365, Open Images, Pascal VOC, YOLO or CrowdHuman, "
    "in a folder or a .zip. Every picture and annotation is looked at first; defects are listed row by row, "
    "and --skip-bad goes on without them. " + _ALL.format(task="detect")
)
_SEGMENT = (
    "Train a segmenter. The data: images/ and masks/ with classes.txt, ADE20K, Cityscapes, Mapillary, "
    "COCO-Stuff, Pascal Context, NYU or CamVid, in a folder or a .zip. Every picture and mask is looked at "
    "first; defects are listed file by file, and --skip-bad goes on without them. "
    + _ALL.format(task="segment")
)

Recipe = Literal["default", "small", "official", "official_layer_decay", "inaturalist"]
DownstreamRecipe = Literal["default", "small", "official"]
Config = TypeVar("Config", DetectionTrainConfig, SegmentationTrainConfig)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionChoice:
    """What decides the defaults of all other options."""

    recipe: DownstreamRecipe = "default"
    """Set of defaults: small = nano on a CPU, some hundred pictures; official = the authors' of --model."""
    recipe_data: DetectionData = "coco"
    """Data set of the official recipe."""
    recipe_schedule: Schedule | None = None
    """Official recipe of 12 or of 36 epochs; None = the data set's usual one."""
    model: str = ""
    """Architecture."""
    pretrained: str = ""
    """Weights to start from, in place of the recipe's."""
    pretrained_backbone: str = ""
    """Weights of the backbone to start from, in place of the recipe's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionOptions:
    """Options of ``intern25 train detect``."""

    recipe: DownstreamRecipe = "default"
    """Set of defaults: small = nano on a CPU, some hundred pictures; official = the authors' of --model."""
    recipe_data: DetectionData = "coco"
    """Data set of the official recipe."""
    recipe_schedule: Schedule | None = None
    """Official recipe of 12 or of 36 epochs; None = the data set's usual one."""
    json: bool = False
    """Print one JSON object at the end."""
    config: tyro.conf.OmitArgPrefixes[DetectionTrainConfig] = dataclasses.field(
        default_factory=DetectionTrainConfig
    )
    """The run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationChoice:
    """What decides the defaults of all other options."""

    recipe: DownstreamRecipe = "default"
    """Set of defaults: small = nano on a CPU, some hundred pictures; official = the authors' of --model."""
    recipe_data: SegmentationData = "ade20k"
    """Data set of the official recipe."""
    model: str = ""
    """Architecture."""
    pretrained: str = ""
    """Weights to start from, in place of the recipe's."""
    pretrained_backbone: str = ""
    """Weights of the backbone to start from, in place of the recipe's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationOptions:
    """Options of ``intern25 train segment``."""

    recipe: DownstreamRecipe = "default"
    """Set of defaults: small = nano on a CPU, some hundred pictures; official = the authors' of --model."""
    recipe_data: SegmentationData = "ade20k"
    """Data set of the official recipe."""
    json: bool = False
    """Print one JSON object at the end."""
    config: tyro.conf.OmitArgPrefixes[SegmentationTrainConfig] = dataclasses.field(
        default_factory=SegmentationTrainConfig
    )
    """The run."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    task, rest = split_task(arguments, TASKS, command="train")
    if task is None:
        return DONE
    runs = {"classify": _classify, "detect": _detect, "segment": _segment, "generalist": run_training}
    return runs[task](rest)


def _classify(arguments: Sequence[str]) -> int:
    default = TrainOptions(config=_recipe(arguments))
    options = parse(TrainOptions, arguments, command="train classify", description=_CLASSIFY, default=default)
    if not options.config.data:
        raise ValueError("no data: give the path of a folder, a .zip or .tar shards (--data)")
    from intern25.training.classification import train
    from intern25.training.progress import console_reporter

    result = train(options.config, reporter=console_reporter())
    _print(_classifier_values(result) if options.json else _classifier_text(result))
    return DONE


def _detect(arguments: Sequence[str]) -> int:
    choice, _ = tyro.cli(DetectionChoice, args=arguments, return_unknown_args=True, add_help=False)
    if choice.recipe == "official":
        config = recipe_official_detection(
            choice.model, schedule=choice.recipe_schedule, data=choice.recipe_data
        )
    else:
        config = recipe_small_detection() if choice.recipe == "small" else DetectionTrainConfig()
    default = DetectionOptions(config=_starting_elsewhere(config, choice))
    options = parse(DetectionOptions, arguments, command="train detect", description=_DETECT, default=default)
    _require_data(options.config.data)
    from intern25.training.detection import train_detector
    from intern25.training.progress import console_reporter

    result = train_detector(options.config, reporter=console_reporter())
    _print(_values(result) if options.json else _text(result, "average precision", "detect"))
    return DONE


def _segment(arguments: Sequence[str]) -> int:
    choice, _ = tyro.cli(SegmentationChoice, args=arguments, return_unknown_args=True, add_help=False)
    if choice.recipe == "official":
        model = choice.model or "upernet_internimage_t"
        config = recipe_official_segmentation(model, data=choice.recipe_data)
    else:
        config = recipe_small_segmentation() if choice.recipe == "small" else SegmentationTrainConfig()
    default = SegmentationOptions(config=_starting_elsewhere(config, choice))
    options = parse(
        SegmentationOptions, arguments, command="train segment", description=_SEGMENT, default=default
    )
    _require_data(options.config.data)
    from intern25.training.progress import console_reporter
    from intern25.training.segmentation import train_segmenter

    result = train_segmenter(options.config, reporter=console_reporter())
    _print(_values(result) if options.json else _text(result, "mean IoU", "segment"))
    return DONE


def _starting_elsewhere(config: Config, choice: DetectionChoice | SegmentationChoice) -> Config:
    """The recipe without its own starting weights where the user names others."""
    if not choice.pretrained and not choice.pretrained_backbone:
        return config
    return dataclasses.replace(config, pretrained="", pretrained_backbone="")


def _require_data(data: str) -> None:
    if not data:
        raise ValueError("no data: give the path of a folder or a .zip (--data)")


def _print(result: Mapping[str, Any] | str) -> None:
    """Under torchrun every process comes here; the first one speaks."""
    if os.environ.get("RANK", "0") == "0":
        print(result if isinstance(result, str) else json.dumps(result, ensure_ascii=False))


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


def _classifier_values(result: TrainResult) -> dict[str, Any]:
    return {
        "output": str(result.output),
        "finished": result.finished,
        "updates": result.updates,
        "best_top1": result.best_top1,
        "best_epoch": result.best_epoch,
        "metrics": result.metrics,
        "bad_images": [{"name": bad.name, "reason": bad.reason} for bad in result.bad_images],
    }


def _classifier_text(result: TrainResult) -> str:
    best = (
        "" if result.best_epoch < 0 else f", best top-1 {result.best_top1:.2%} in epoch {result.best_epoch}"
    )
    return _lines(result, best, "classify")


def _values(result: DownstreamResult) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "output": str(result.output)}


def _text(result: DownstreamResult, score: str, command: str) -> str:
    best = (
        ""
        if result.best_epoch < 0
        else f", best {score} {100 * result.best_score:.1f} in epoch {result.best_epoch}"
    )
    return _lines(result, best, command)


def _lines(result: TrainResult | DownstreamResult, best: str, command: str) -> str:
    state = "finished" if result.finished else "stopped; run the same command again to go on"
    lines = [f"{state}: {result.updates} updates{best}"]
    if result.best_epoch >= 0:
        lines.append(f"use it: intern25 {command} --model {result.output / 'best.safetensors'} PICTURE")
    return "\n".join(lines)
