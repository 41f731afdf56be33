# SPDX-License-Identifier: MIT
"""From a name or a path to the predictor of the model's task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from intern25.bundle import open_bundle
from intern25.data.generalist_settings import SETTINGS, GeneralistSettings
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.defaults import DEFAULT_CLASSIFIER
from intern25.predictors.classification import ClassificationPredictor
from intern25.predictors.detection import DetectionPredictor
from intern25.predictors.generalist import GeneralistPredictor
from intern25.predictors.inputs import check_batch_size, choose_device
from intern25.predictors.segmentation import SegmentationPredictor
from intern25.weights.generalists import generalist_path

Predictor = ClassificationPredictor | DetectionPredictor | SegmentationPredictor | GeneralistPredictor

Kind = TypeVar(
    "Kind", ClassificationPredictor, DetectionPredictor, SegmentationPredictor, GeneralistPredictor
)

_TASKS: dict[type[Predictor], tuple[str, str]] = {
    GeneralistPredictor: ("a generalist", "ask"),
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
        The predictor of the model's task: classification, detection or segmentation; for a generalist one
        with a method for each task, of which ``predict`` classifies.

    Raises:
        ValueError: The name is unknown, the file does not fit, or the device is absent.
        FileNotFoundError: The weights are not there.

    Example:
        >>> load("internimage_t_1k_224").predict("photo.jpg")  # doctest: +SKIP
    """
    check_batch_size(batch_size)
    place = choose_device(device)
    path = generalist_path(name_or_path)
    if path is not None:
        return _generalist(path, place, optimize, batch_size)
    bundle = open_bundle(name_or_path)
    model: Any = _ready(bundle.model, place, optimize)
    preprocessing, classes = bundle.preprocessing, bundle.classes
    if isinstance(preprocessing, DetectionPreprocessing):
        return DetectionPredictor(model, preprocessing, classes, batch_size=batch_size, device=place)
    if isinstance(preprocessing, SegmentationPreprocessing):
        return SegmentationPredictor(
            model, preprocessing, classes, palette=bundle.palette, batch_size=batch_size, device=place
        )
    return ClassificationPredictor(model, preprocessing, classes, batch_size=batch_size, device=place)


def _generalist(
    path: Path, place: torch.device, optimize: bool | None, batch_size: int
) -> GeneralistPredictor:
    from intern25.generalist.files import load_generalist
    from intern25.generalist.model import Generalist

    loaded = load_generalist(path)
    text = loaded.extra.get(SETTINGS)
    try:
        settings = GeneralistSettings() if text is None else GeneralistSettings.from_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    model = cast(Generalist, _ready(loaded.model, place, optimize))
    return GeneralistPredictor(model, loaded.tokenizer, settings, device=place, batch_size=batch_size)


def _ready(model: nn.Module, place: torch.device, optimize: bool | None) -> nn.Module:
    """The model on its device, in its inference-only form where that is wanted."""
    model = model.to(place).eval()
    if optimize if optimize is not None else place.type == "cpu":
        from intern25.backbones.optimize import optimize as optimize_model

        model = optimize_model(model)
    return model


def load_as(
    kind: type[Kind],
    name_or_path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    optimize: bool | None = None,
    batch_size: int = 8,
) -> Kind:
    """Load a model for one task; the arguments and errors are those of :func:`load`.

    A generalist does every task: it comes back as the predictor that is asked for.

    Args:
        kind: Class of the predictor.
        name_or_path: As for :func:`load`.
        classes: Names for a generalist, any text; None for its usual ones. Other models have their own.
        device: As for :func:`load`.
        optimize: As for :func:`load`.
        batch_size: As for :func:`load`.

    Returns:
        The predictor, of class ``kind``.

    Raises:
        ValueError: The model is of another task, or a classifier that has its own classes.
    """
    predictor = load(name_or_path, device=device, optimize=optimize, batch_size=batch_size)
    if isinstance(predictor, ClassificationPredictor) and classes is not None:
        raise ValueError(
            f"{name_or_path} has {len(predictor.classes)} classes of its own; classes= (--classes) is for "
            "generalists"
        )
    if isinstance(predictor, kind):
        return predictor
    if isinstance(predictor, GeneralistPredictor):
        return cast(Kind, _as_task(predictor, kind, classes))
    (found, command), (wanted, _) = _TASKS[type(predictor)], _TASKS[kind]
    raise ValueError(f"{name_or_path} is {found}, not {wanted}; use intern25 {command}")


def _as_task(
    predictor: GeneralistPredictor, kind: type[Predictor], classes: Sequence[str] | None
) -> Predictor:
    if kind is ClassificationPredictor:
        return predictor.classifier(classes)
    return predictor.detector(classes) if kind is DetectionPredictor else predictor.segmenter(classes)
