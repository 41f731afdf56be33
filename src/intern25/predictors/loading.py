# SPDX-License-Identifier: MIT
"""From a name or a path to the predictor of the model's task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch

from intern25.bundle import open_bundle
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.defaults import DEFAULT_CLASSIFIER
from intern25.predictors.classification import ClassificationPredictor
from intern25.predictors.detection import DetectionPredictor
from intern25.predictors.inputs import check_batch_size, choose_device
from intern25.predictors.segmentation import SegmentationPredictor

Predictor = ClassificationPredictor | DetectionPredictor | SegmentationPredictor

Kind = TypeVar("Kind", ClassificationPredictor, DetectionPredictor, SegmentationPredictor)

_TASKS: dict[type[Predictor], tuple[str, str]] = {
    ClassificationPredictor: ("a classifier", "classify"),
    DetectionPredictor: ("a detector", "detect"),
    SegmentationPredictor: ("a segmenter", "segment"),
}


def load(
    name_or_path: str | Path = DEFAULT_CLASSIFIER,
    *,
    device: str | torch.device | None = None,
    optimize: bool | None = None,
    batch_size: int = 8,
) -> Predictor:
    """Load a model with its preprocessing and class names.

    Args:
        name_or_path: Catalog name (``intern25.list_models(pretrained=True)``), weight file, folder or hub
            repository, in any layout that ``load_checkpoint`` reads.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``; None takes the best there is.
        optimize: Run ``intern25.optimize`` on the model; None does so on a CPU.
        batch_size: Pictures that go through the model at once.

    Returns:
        The predictor of the model's task: classification, detection or segmentation.

    Raises:
        ValueError: The name is unknown, the file does not fit, or the device is absent.
        FileNotFoundError: The weights are not there.

    Example:
        >>> load("internimage_t_1k_224").predict("photo.jpg")  # doctest: +SKIP
    """
    check_batch_size(batch_size)
    place = choose_device(device)
    bundle = open_bundle(name_or_path)
    model: Any = bundle.model.to(place).eval()
    if optimize if optimize is not None else place.type == "cpu":
        from intern25.backbones.optimize import optimize as optimize_model

        model = optimize_model(model)
    preprocessing, classes = bundle.preprocessing, bundle.classes
    if isinstance(preprocessing, DetectionPreprocessing):
        return DetectionPredictor(model, preprocessing, classes, batch_size=batch_size, device=place)
    if isinstance(preprocessing, SegmentationPreprocessing):
        return SegmentationPredictor(
            model, preprocessing, classes, palette=bundle.palette, batch_size=batch_size, device=place
        )
    return ClassificationPredictor(model, preprocessing, classes, batch_size=batch_size, device=place)


def load_as(
    kind: type[Kind],
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    optimize: bool | None = None,
    batch_size: int = 8,
) -> Kind:
    """Load a model that must be of one task; the arguments and errors are those of :func:`load`.

    Args:
        kind: Class of the predictor.
        name_or_path: As for :func:`load`.
        device: As for :func:`load`.
        optimize: As for :func:`load`.
        batch_size: As for :func:`load`.

    Returns:
        The predictor, of class ``kind``.

    Raises:
        ValueError: The model is of another task.
    """
    predictor = load(name_or_path, device=device, optimize=optimize, batch_size=batch_size)
    if isinstance(predictor, kind):
        return predictor
    (found, command), (wanted, _) = _TASKS[type(predictor)], _TASKS[kind]
    raise ValueError(f"{name_or_path} is {found}, not {wanted}; use intern25 {command}")
