# SPDX-License-Identifier: MIT
"""Train a detector: data, model, loss and loop put together from one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.data.defects import Defect
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.batch import DetectionBatch
from intern25.data.detection.checking import without_defects
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.loader import AspectOrder, is_wide, training_loader
from intern25.data.detection.sources import DetectionSplits, read_detection_splits
from intern25.data.resizing import DetectionPreprocessing
from intern25.data.sampling import (
    ClassAwareSampling,
    RepeatFactorSampling,
    Sampling,
    image_counts,
    repeat_factors,
)
from intern25.detection.dino import DINO
from intern25.evaluation.coco import CocoScores
from intern25.evaluation.detection import check_metric, evaluate_detection
from intern25.evaluation.lvis import LvisScores
from intern25.training.detection_config import DetectionTrainConfig as DetectionTrainConfig
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
from intern25.training.parameter_rules import FIRST_LAYER_DETECTION, ParameterRule, downstream_rules
from intern25.training.progress import Reporter, Silent
from intern25.training.run import run_task, start_processes
from intern25.training.schedule import FactorSchedule

_SHOWN_CLASSES = 8


def train_detector(
    config: DetectionTrainConfig,
    *,
    model: nn.Module | None = None,
    reporter: Reporter | None = None,
) -> DownstreamResult:
    """Train a detector, or go on where the output folder left off.

    Run it under ``torchrun`` or ``accelerate launch`` for several processes or machines.

    Args:
        config: The run.
        model: Replaces ``config.model``: any module that detectors of this package can stand for, such as
            ``MaskRCNN(config, backbone=...)``. On a foreign backbone its weight files hold plain tensors.
        reporter: Shows messages and progress; silent by default.

    Returns:
        Where the files are and how well the model does.

    Raises:
        ValueError: The configuration or the data cannot be used; nothing was written then.
        TrainingDivergedError: The loss became NaN or infinite.
        ImportError: The training or the eval extra is not installed.

    Example:
        >>> train_detector(recipe_small_detection(data="cells/"))  # doctest: +SKIP
    """
    reporter = reporter or Silent()
    if not config.data:
        raise ValueError("no data: give the path of a folder or a .zip (--data)")
    if model is None:
        check_model(config.model, "detection")
    keep_freed_memory()
    accelerator = start_processes(config, parts_may_rest=True)
    splits, defects, masks = prepare_detection_data(config, model)
    if accelerator.is_main_process:
        _report_data(splits, masks, defects, reporter)
    task = _Detection(config, accelerator, splits, masks=masks)
    if model is not None:
        tell_class_frequencies(model, splits.train)
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


def prepare_detection_data(
    config: DetectionTrainConfig, model: nn.Module | None = None
) -> tuple[DetectionSplits, list[Defect], bool]:
    """Read the splits, look for defects, and load the pictures into memory where asked.

    Args:
        config: The run.
        model: The model where it is not ``config.model``.

    Returns:
        The usable pictures, all defects, and whether masks are trained.

    Raises:
        ValueError: The data cannot be used; the message says why, row by row.
    """
    architecture = _architecture(config, model)
    if config.federated_classes and architecture and not hasattr(architecture, "federated_classes"):
        raise ValueError(
            f"federated_classes={config.federated_classes} but {config.model} has no federated loss; use a "
            "dino model, or 0"
        )
    splits = read_detection_splits(
        config.data,
        config.format,
        images=config.images or None,
        train_split=config.train_split,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
    )
    check_metric(config.metric, splits.val.frequencies)
    masks = _trains_masks(config, splits.train, model)
    defects: list[Defect] = []
    train, val = splits.train, splits.val
    if must_verify(config.verify, len(train) + len(val)):
        train, defects_train = without_defects(train, skip_bad=config.skip_bad, masks=masks)
        val, defects_val = without_defects(val, skip_bad=config.skip_bad)
        defects = defects_train + defects_val
    train = train.with_objects(masks=masks)
    return DetectionSplits(_cached(train, config), _cached(val, config)), defects, masks


def _architecture(config: DetectionTrainConfig, model: nn.Module | None) -> Any:
    """Settings of the detector that is trained; None where it has none."""
    from intern25.weights.architectures import ARCHITECTURES

    return ARCHITECTURES.get(config.model) if model is None else getattr(model, "config", None)


def _trains_masks(
    config: DetectionTrainConfig, train: StoredDetectionImages, model: nn.Module | None
) -> bool:
    architecture = _architecture(config, model)
    possible = bool(getattr(architecture, "with_mask", False))
    if config.masks == "yes" and not possible:
        raise ValueError(f"masks='yes' but {config.model} has no mask head; use a mask_rcnn model")
    if config.masks == "auto":
        annotated = [annotation for annotation in train.annotations if not annotation.ignored.all()]
        return possible and bool(annotated) and all(annotation.has_all_masks for annotation in annotated)
    return config.masks == "yes"


def _cached(images: StoredDetectionImages, config: DetectionTrainConfig) -> StoredDetectionImages:
    if config.cache == "decoded":
        return images.decoded_in_memory()
    return images.in_memory() if config.cache == "bytes" else images


def sampling_of(config: DetectionTrainConfig, images: StoredDetectionImages) -> Sampling | None:
    """Return how an epoch chooses its pictures; None for each once."""
    if config.sampling == "plain":
        return None
    present = images.present_classes()
    if config.sampling == "class_aware":
        return ClassAwareSampling(present)
    return RepeatFactorSampling(repeat_factors(present, len(images.classes), config.repeat_threshold))


def tell_class_frequencies(model: nn.Module, images: StoredDetectionImages) -> None:
    """Give a detector with the federated loss the number of pictures of each class."""
    if isinstance(model, DINO) and model.config.federated_classes is not None:
        model.set_class_frequencies(image_counts(images.present_classes(), len(images.classes)).tolist())


def _report_data(splits: DetectionSplits, masks: bool, defects: list[Defect], reporter: Reporter) -> None:
    counts = splits.train.class_counts()
    reporter.message(
        f"{len(splits.train)} training and {len(splits.val)} validation pictures, {sum(counts)} objects of "
        f"{len(counts)} classes ({min(counts)} to {max(counts)} a class), "
        f"{'boxes and masks' if masks else 'boxes only'}"
    )
    absent = [name for name, count in zip(splits.train.classes.en, counts, strict=True) if not count]
    if absent:
        shown = ", ".join(absent[:_SHOWN_CLASSES]) + (", ..." if len(absent) > _SHOWN_CLASSES else "")
        reporter.message(f"no training object of {len(absent)} classes: {shown}")
    report_defects(defects, reporter)


def _losses(model: nn.Module, batch: DetectionBatch) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], model(batch.images, image_sizes=batch.image_sizes, targets=batch.targets))


class _Detection:
    """The parts of a detection run."""

    def __init__(
        self, config: DetectionTrainConfig, accelerator: Any, splits: DetectionSplits, *, masks: bool
    ) -> None:
        self.config = config
        self.accelerator = accelerator
        self.splits = splits
        self.masks = masks
        self.preprocessing = DetectionPreprocessing(long_side=config.long_side, short_side=config.short_side)
        self.augmentation = DetectionAugmentation(
            kind=config.augmentation,
            short_side=config.train_short_side or config.short_side,
            min_scale=config.min_scale,
            long_side=config.long_side,
            jitter=config.jitter,
            flip=config.flip,
            vertical_flip=config.vertical_flip,
            turn=config.turn,
            photometric=config.photometric,
            mosaic=config.mosaic,
        )
        self.wide = is_wide(splits.train)
        self.sampling = sampling_of(config, splits.train)
        self.length = length_of(config, self._order(1).updates_per_epoch)
        self.order = self._order(self.length.epochs)

    def _order(self, epochs: int) -> AspectOrder:
        config = self.config
        return AspectOrder(
            num_images=len(self.splits.train),
            batch_size=config.batch_size,
            epochs=epochs,
            seed=config.seed,
            sizes=(config.short_side,) * epochs,
            accumulation=config.accumulation,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            wide=self.wide,
            sampling=self.sampling,
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
        """Return the detector, without a mask head where masks are not trained."""
        config = self.config
        model = starting_model(config, len(self.splits.train.classes))
        changes: dict[str, Any] = {}
        if hasattr(model.config, "with_mask"):
            changes["with_mask"] = self.masks
        if config.max_detections:
            changes["max_detections"] = config.max_detections
        if config.federated_classes:
            changes["federated_classes"] = config.federated_classes
        model = with_settings(model, changes)
        tell_class_frequencies(model, self.splits.train)
        return cast(nn.Module, model)

    def rules(self, model: nn.Module) -> list[ParameterRule]:
        """Return the official groups."""
        config = self.config
        return downstream_rules(
            model,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            backbone_lr_mul=config.backbone_lr_mul,
            sampling_lr_mul=config.sampling_lr_mul,
            first_layer=FIRST_LAYER_DETECTION,
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
            masks=self.masks,
            first_update=first_update,
            workers=self.config.workers,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what else must not change when a run is resumed."""
        config = self.config
        facts = {
            "classes": len(self.splits.train.classes),
            "images": len(self.splits.train),
            "images_per_update": self.order.images_per_update,
            "updates": self.length.num_updates,
            "sides": [config.short_side, config.train_short_side, config.long_side],
            "masks": self.masks,
            "schedule": config.schedule,
        }
        # Named only where used, so that runs from before there was a choice go on.
        if config.sampling != "plain":
            facts["sampling"] = [config.sampling, config.repeat_threshold]
        if config.federated_classes:
            facts["federated_classes"] = config.federated_classes
        return facts

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return the figures on the validation split."""
        report = evaluate_detection(
            model,
            self.splits.val,
            self.preprocessing,
            metric=self.config.metric,
            batch_size=self.config.batch_size,
            device=self.accelerator.device,
            bfloat16=self.config.precision == "bf16",
        )
        metrics = {"score": report.score, "detections": report.detections / report.images}
        for name, scores in (("box", report.box), ("mask", report.mask)):
            if isinstance(scores, CocoScores | LvisScores):
                metrics |= {
                    f"{name}_ap": scores.ap,
                    f"{name}_ap50": scores.ap50,
                    f"{name}_ap75": scores.ap75,
                }
        return metrics

    def save(self, model: nn.Module, path: Path, extra: Mapping[str, str]) -> None:
        """Write the weights with class names, preprocessing and the run's settings."""
        save_trained(path, model, self.splits.train.classes, self.preprocessing, extra)
