# SPDX-License-Identifier: MIT
"""Train a segmenter: data, model, loss and loop put together from one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from intern25.data.defects import Defect
from intern25.data.loader import TrainingOrder
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.batch import SegmentationBatch
from intern25.data.segmentation.checking import without_defects
from intern25.data.segmentation.images import StoredSemanticImages
from intern25.data.segmentation.loader import training_loader
from intern25.data.segmentation.sources import SegmentationSplits, read_semantic_splits
from intern25.evaluation.semantic import evaluate_segmentation
from intern25.segmentation.segmenter import Segmenter
from intern25.training.downstream import (
    DownstreamResult,
    LossSum,
    check_model,
    length_of,
    must_verify,
    peak_lr,
    report_defects,
    save_trained,
    schedule_of,
    starting_model,
    with_settings,
)
from intern25.training.memory import keep_freed_memory
from intern25.training.parameter_rules import FIRST_LAYER_SEGMENTATION, ParameterRule, downstream_rules
from intern25.training.progress import Reporter, Silent
from intern25.training.run import run_task, start_processes
from intern25.training.schedule import FactorSchedule
from intern25.training.segmentation_config import SegmentationTrainConfig as SegmentationTrainConfig

_LARGEST_WEIGHT = 10.0


def train_segmenter(
    config: SegmentationTrainConfig,
    *,
    model: Segmenter | None = None,
    reporter: Reporter | None = None,
) -> DownstreamResult:
    """Train a segmenter, or go on where the output folder left off.

    Run it under ``torchrun`` or ``accelerate launch`` for several processes or machines.

    Args:
        config: The run.
        model: Replaces ``config.model``, such as ``UperNet(config, backbone=...)``. On a foreign backbone its
            weight files hold plain tensors.
        reporter: Shows messages and progress; silent by default.

    Returns:
        Where the files are and how well the model does.

    Raises:
        ValueError: The configuration or the data cannot be used; nothing was written then.
        TrainingDivergedError: The loss became NaN or infinite.
        ImportError: The training extra is not installed.

    Example:
        >>> train_segmenter(recipe_small_segmentation(data="streets/"))  # doctest: +SKIP
    """
    reporter = reporter or Silent()
    if not config.data:
        raise ValueError("no data: give the path of a folder or a .zip (--data)")
    if model is None:
        check_model(config.model, "segmentation")
    keep_freed_memory()
    accelerator = start_processes(config, parts_may_rest=True)
    splits, defects = prepare_segmentation_data(config)
    if accelerator.is_main_process:
        reporter.message(
            f"{len(splits.train)} training and {len(splits.val)} validation pictures of "
            f"{len(splits.train.classes)} classes"
        )
        report_defects(defects, reporter)
    task = _Segmentation(config, accelerator, splits)
    finished, state = run_task(config, task, accelerator, reporter, model=model)
    return DownstreamResult(
        output=Path(config.output),
        finished=finished,
        updates=state.update,
        best_score=max(state.best, 0.0),
        best_epoch=state.best_epoch,
        metrics=state.metrics,
        defects=tuple(defects),
    )


def prepare_segmentation_data(config: SegmentationTrainConfig) -> tuple[SegmentationSplits, list[Defect]]:
    """Read the splits, look for defects, and load the pictures into memory where asked.

    Returns:
        The usable pictures, and all defects.

    Raises:
        ValueError: The data cannot be used; the message says why, row by row.
    """
    splits = read_semantic_splits(
        config.data,
        cast(Any, config.format),
        validation_fraction=config.validation_fraction,
        seed=config.seed,
    )
    defects: list[Defect] = []
    train, val = splits.train, splits.val
    if must_verify(config.verify, len(train) + len(val)):
        train, defects_train = without_defects(train, skip_bad=config.skip_bad)
        val, defects_val = without_defects(val, skip_bad=config.skip_bad)
        defects = defects_train + defects_val
    return SegmentationSplits(_cached(train, config), _cached(val, config)), defects


def _cached(images: StoredSemanticImages, config: SegmentationTrainConfig) -> StoredSemanticImages:
    if config.cache == "decoded":
        return images.decoded_in_memory()
    return images.in_memory() if config.cache == "bytes" else images


def balanced_weights(pixels: list[int], power: float) -> tuple[float, ...]:
    """Return the weight of each class, ``share ** -power``, with a mean of 1 over the pixels, at most 10.

    Args:
        pixels: Pixels of each class; a class without any has the weight of the rarest.
        power: 0 for all alike, 1 so that every class counts the same.
    """
    counts = np.asarray(pixels, dtype=np.float64)
    shares = counts / counts.sum()
    weights = np.maximum(shares, shares[shares > 0].min()) ** -power
    weights /= (weights * shares).sum()
    return tuple(np.minimum(weights, _LARGEST_WEIGHT).round(4).tolist())


def _losses(model: nn.Module, batch: SegmentationBatch) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], model(batch.images, targets=batch.masks))


class _Segmentation:
    """The parts of a segmentation run."""

    def __init__(self, config: SegmentationTrainConfig, accelerator: Any, splits: SegmentationSplits) -> None:
        self.config = config
        self.accelerator = accelerator
        self.splits = splits
        window: dict[str, Any] = {}
        if config.slide:
            window = {"mode": "slide", "crop": config.crop, "stride": (config.slide, config.slide)}
        self.preprocessing = SegmentationPreprocessing(
            long_side=config.long_side, short_side=config.short_side, **window
        )
        self.augmentation = SegmentationAugmentation(
            crop=config.crop,
            long_side=config.long_side,
            short_side=config.short_side,
            scale=config.scale,
            flip=config.flip,
            vertical_flip=config.vertical_flip,
            turn=config.turn,
            photometric=config.photometric,
        )
        self.length = length_of(config, self._order(1).updates_per_epoch)
        self.order = self._order(self.length.epochs)

    def _order(self, epochs: int) -> TrainingOrder:
        config = self.config
        return TrainingOrder(
            num_images=len(self.splits.train),
            batch_size=config.batch_size,
            epochs=epochs,
            seed=config.seed,
            sizes=(min(config.crop),) * epochs,
            accumulation=config.accumulation,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )

    @property
    def num_updates(self) -> int:
        """Optimizer steps of the whole run."""
        return self.length.num_updates

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer steps of one pass over the data."""
        return self.length.updates_per_epoch

    @property
    def peak_lr(self) -> float:
        """Learning rate of factor 1."""
        return peak_lr(self.config, self.order.images_per_update)

    def create_model(self) -> nn.Module:
        """Return the segmenter, its loss weighted as asked."""
        config = self.config
        model = starting_model(config, len(self.splits.train.classes))
        changes: dict[str, Any] = {}
        if config.dice_weight >= 0:
            changes["dice_weight"] = config.dice_weight
        if config.class_balance > 0:
            if not hasattr(model.config, "class_weights"):
                raise ValueError(f"class_balance is for upernet and segformer models, not {config.model}")
            changes["class_weights"] = balanced_weights(
                self.splits.train.pixel_counts(), config.class_balance
            )
        model = with_settings(model, changes)
        together = self.accelerator.num_processes if config.sync_batch_norm else 1
        if config.batch_size * together == 1 and any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
            raise ValueError(
                f"batch_size=1 is too small for {config.model}: batch normalisation needs 2 pictures or more"
            )
        return cast(nn.Module, model)

    def rules(self, model: nn.Module) -> list[ParameterRule]:
        """Return the official groups."""
        config = self.config
        return downstream_rules(
            model,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            backbone_lr_mul=config.backbone_lr_mul,
            first_layer=FIRST_LAYER_SEGMENTATION,
        )

    def schedule(self, optimizer: torch.optim.Optimizer) -> FactorSchedule:
        """Return the schedule."""
        return schedule_of(self.config, self.length, optimizer)

    def objective(self) -> LossSum:
        """Return the sum of the model's losses."""
        return LossSum(_losses)

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
            "updates": self.length.num_updates,
            "crop": list(self.config.crop),
            "schedule": self.config.schedule,
        }

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return the figures on the validation split."""
        report = evaluate_segmentation(
            cast(Segmenter, model),
            self.splits.val,
            self.preprocessing,
            batch_size=self.config.batch_size,
            device=self.accelerator.device,
            bfloat16=self.config.precision == "bf16",
        )
        return {
            "score": report.mean_iou,
            "mean_iou": report.mean_iou,
            "pixel_accuracy": report.pixel_accuracy,
            "mean_accuracy": report.mean_accuracy,
        }

    def save(self, model: nn.Module, path: Path, extra: Mapping[str, str]) -> None:
        """Write the weights with class names, preprocessing and the run's settings."""
        save_trained(path, model, self.splits.train.classes, self.preprocessing, extra)
