# SPDX-License-Identifier: MIT
"""Train a classifier: data, model, objective and loop put together from one configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.data.augmentation import Augmentation
from intern25.data.class_names import ClassNames, class_keys, class_names
from intern25.data.decoding import BadImage, decoded_in_memory, without_bad_images
from intern25.data.labelled import LabelledImages, Splits
from intern25.data.loader import TrainingOrder, training_loader
from intern25.data.preprocessing import Preprocessing
from intern25.data.sources import read_splits
from intern25.evaluation.classification import evaluate
from intern25.training.config import REFERENCE_BATCH, TrainConfig
from intern25.training.distillation import DistillationObjective, SoftTargets, TeacherConfig, soft_targets
from intern25.training.memory import keep_freed_memory
from intern25.training.objectives import BatchMixer, ClassificationObjective, Objective
from intern25.training.parameter_rules import ParameterRule, parameter_rules
from intern25.training.progress import Reporter, Silent
from intern25.training.run import run_task, start_processes
from intern25.training.schedule import CosineSchedule
from intern25.weights.create import create_model
from intern25.weights.files import save_model, write_tensors

VERIFY_LIMIT = 50_000
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """Outcome of a training run."""

    output: Path
    """Folder with ``best.safetensors``, ``final.safetensors``, ``last.ckpt`` and ``log.jsonl``."""
    finished: bool
    """Whether the last epoch was reached; false after a time limit or a stop signal."""
    updates: int
    """Optimizer steps done."""
    best_top1: float
    """Highest validation top-1, in 0..1."""
    best_epoch: int
    """Its epoch, counted from 1; -1 where nothing was scored."""
    metrics: dict[str, float]
    """The last validation metrics."""
    bad_images: tuple[BadImage, ...]
    """Images left out because they cannot be read."""


def train(
    config: TrainConfig,
    *,
    model: nn.Module | None = None,
    objective: Objective | None = None,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train a classifier, or go on where the output folder left off.

    Run it under ``torchrun`` or ``accelerate launch`` for several processes or machines; the numbers do not
    depend on how many processes share the images of an update, except through mixup and stochastic depth.

    Args:
        config: The run.
        model: Replaces ``config.model``: any module from images to one logit a class, such as a timm network
            for comparison. Its weight files then hold plain tensors.
        objective: Replaces cross entropy; gets batches with ``index``, the position of each image in the
            training split, to look up stored targets.
        reporter: Shows messages and progress; silent by default.

    Returns:
        Where the files are and how well the model does.

    Raises:
        ValueError: The configuration or the data cannot be used; nothing was written then.
        TrainingDivergedError: The loss became NaN or infinite.
        ImportError: The training extra is not installed.

    Example:
        >>> train(recipe_small(data="flowers/", output="runs/flowers"))  # doctest: +SKIP
    """
    reporter = reporter or Silent()
    if not config.data:
        raise ValueError("no data: give the path of a folder, a .zip or .tar shards (--data)")
    keep_freed_memory()
    accelerator = start_processes(config)
    splits, bad = prepare_data(config)
    if accelerator.is_main_process:
        _report_data(splits, bad, reporter)
    task = _Classification(config, accelerator, splits)
    finished, state = run_task(config, task, accelerator, reporter, model=model, objective=objective)
    return TrainResult(
        output=Path(config.output),
        finished=finished,
        updates=state.update,
        best_top1=max(state.best, 0.0),
        best_epoch=state.best_epoch,
        metrics=state.metrics,
        bad_images=tuple(bad),
    )


def prepare_data(config: TrainConfig) -> tuple[Splits, list[BadImage]]:
    """Read the splits, check that the images decode, and load them into memory where asked.

    Returns:
        The usable images and the unreadable ones.

    Raises:
        ValueError: The data cannot be used; the message says why.
    """
    splits = read_splits(config.data, validation_fraction=config.validation_fraction, seed=config.seed)
    splits = Splits(*(_cached_bytes(images, config) for images in (splits.train, splits.val)))
    number = len(splits.train) + len(splits.val)
    bad: list[BadImage] = []
    if config.verify == "all" or (config.verify == "auto" and number <= VERIFY_LIMIT):
        train, bad_train = without_bad_images(splits.train, skip_bad=config.skip_bad)
        val, bad_val = without_bad_images(splits.val, skip_bad=config.skip_bad)
        splits, bad = Splits(train, val), bad_train + bad_val
    if config.cache == "decoded":
        splits = Splits(decoded_in_memory(splits.train), decoded_in_memory(splits.val))
    return splits, bad


def _cached_bytes(images: LabelledImages, config: TrainConfig) -> LabelledImages:
    return images.in_memory() if config.cache == "bytes" else images


def names_of(classes: tuple[str, ...]) -> ClassNames:
    """English and Chinese names of a data set's classes; its own names where it is not a known data set."""
    for known in ("imagenet_1k", "caltech101", "cifar10"):
        if class_keys(known) == classes:
            return class_names(known)
    if classes == tuple(str(index) for index in range(1000)):
        return class_names("imagenet_1k")
    return ClassNames.from_lists(classes)


def _report_data(splits: Splits, bad: list[BadImage], reporter: Reporter) -> None:
    counts = splits.train.class_counts()
    reporter.message(
        f"{len(splits.train)} training and {len(splits.val)} validation images of {len(counts)} classes "
        f"({min(counts)} to {max(counts)} images a class)"
    )
    for image in bad:
        reporter.message(f"left out: {image.reason}")


class _Classification:
    """The parts of a classification run."""

    def __init__(self, config: TrainConfig, accelerator: Any, splits: Splits) -> None:
        self.config = config
        self.accelerator = accelerator
        self.splits = splits
        self.order = TrainingOrder(
            num_images=len(splits.train),
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=config.seed,
            sizes=config.sizes,
            accumulation=config.accumulation,
            rank=accelerator.process_index,
            processes=accelerator.num_processes,
            views=config.views,
        )
        self.preprocessing = Preprocessing(config.image_size, crop=config.crop)
        self.augmentation = Augmentation(
            kind=config.augmentation,
            min_scale=config.min_scale,
            color_jitter=config.color_jitter,
            erase=config.erase,
            flip=config.flip,
        )

    @property
    def num_updates(self) -> int:
        """Optimizer steps of the whole run."""
        return self.order.num_updates

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer steps of one pass over the data."""
        return self.order.updates_per_epoch

    @property
    def peak_lr(self) -> float:
        """Learning rate of factor 1."""
        return self.config.base_lr * self._lr_scale

    @property
    def _lr_scale(self) -> float:
        return self.order.images_per_update / REFERENCE_BATCH

    def rules(self, model: nn.Module) -> list[ParameterRule]:
        """Return the official groups."""
        config = self.config
        return parameter_rules(
            model,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            dcn_lr_mul=config.dcn_lr_mul,
        )

    def schedule(self, optimizer: torch.optim.Optimizer) -> CosineSchedule:
        """Return the cosine with warm-up."""
        config, order = self.config, self.order
        return CosineSchedule(
            optimizer,
            num_updates=order.num_updates,
            warmup_updates=round(config.warmup_epochs * order.updates_per_epoch),
            warmup_lr=config.warmup_lr * self._lr_scale,
            min_lr=config.min_lr * self._lr_scale,
        )

    def create_model(self) -> nn.Module:
        """Return the classifier."""
        model: nn.Module = create_model(
            self.config.model,
            num_classes=len(self.splits.train.classes),
            pretrained=self.config.pretrained or False,
            drop_path=self.config.drop_path,
            on_class_mismatch=self.config.class_mismatch,
        )
        return model

    def objective(self) -> Objective:
        """Return cross entropy, or distillation where there is a teacher."""
        config = self.config
        mixer = BatchMixer(config.mixup, config.cutmix, config.mix_probability)
        num_classes = len(self.splits.train.classes)
        if not config.teacher:
            return ClassificationObjective(num_classes, label_smoothing=config.label_smoothing, mixer=mixer)
        return DistillationObjective(
            self._teacher_answers(),
            num_classes,
            temperature=config.temperature,
            weight=config.teacher_weight,
            label_smoothing=config.label_smoothing,
            mixer=mixer,
        )

    def _teacher_answers(self) -> SoftTargets:
        """Let the main process ask the teacher, then read what it stored."""
        config = self.config
        teacher = TeacherConfig(
            name=config.teacher, image_size=config.teacher_size, views=config.views, seed=config.seed
        )
        cache = Path(config.teacher_cache or Path(config.output) / "teacher")
        with self.accelerator.main_process_first():
            return soft_targets(self.splits.train, self.augmentation, teacher, cache, workers=config.workers)

    def batches(self, first_update: int) -> Any:
        """Return the micro-batches of this process."""
        return training_loader(
            self.splits.train,
            self.augmentation,
            self.order,
            first_update=first_update,
            workers=self.config.workers,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what else must not change when a run is resumed."""
        return {
            "classes": len(self.splits.train.classes),
            "images": len(self.splits.train),
            "images_per_update": self.order.images_per_update,
            "sizes": sorted(set(self.order.sizes)),
        }

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracies on the validation split."""
        report = evaluate(
            model,
            self.splits.val,
            self.preprocessing,
            batch_size=self.config.batch_size,
            device=self.accelerator.device,
            bfloat16=self.config.precision == "bf16",
        )
        return {
            "score": report.top1,
            "top1": report.top1,
            "top5": report.top5,
            "mean_class_top1": report.mean_class_top1,
            "loss": report.loss,
        }

    def save(self, model: nn.Module, path: Path, extra: Mapping[str, str]) -> None:
        """Write the weights with class names, preprocessing and the run's settings."""
        if not isinstance(model, InternImageClassifier):
            write_tensors(path, model.state_dict(), extra)
            return
        names = names_of(self.splits.train.classes)
        save_model(path, model, classes=names, preprocessing=self.preprocessing, extra=extra)
