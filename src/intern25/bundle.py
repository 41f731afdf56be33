# SPDX-License-Identifier: MIT
"""From a name or a path to a classifier with all it needs: weights, preprocessing, class names.

What is special: a weight file of this package describes itself; for the others the catalog, the folder's JSON
files and the sizes of the tensors say what is missing.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImageConfig
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.data.class_names import ClassNames, class_names
from intern25.data.preprocessing import Preprocessing
from intern25.weights.catalog import ARCHITECTURES, CARDS, DEFAULT_CARDS, ModelCard, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.convert import infer_architecture
from intern25.weights.create import create_model, file_metadata
from intern25.weights.download import fetch_card, fetch_repository
from intern25.weights.files import FileMetadata
from intern25.weights.layouts import recognise
from intern25.weights.load import load_checkpoint

_LOGGER = logging.getLogger(__name__)

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
_LISTS_BY_SIZE = {1000: "imagenet_1k", 21841: "imagenet_22k", 8142: "inaturalist_2018"}
_HEAD_NAMES = ("head.", "classifier.")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A classifier and what it takes to use it."""

    model: InternImageClassifier
    """The classifier with its weights."""
    preprocessing: Preprocessing
    """From a picture to its input."""
    classes: ClassNames
    """Names of its outputs."""


def open_bundle(name_or_path: str | Path) -> Bundle:
    """Open a classifier.

    Args:
        name_or_path: Catalog name, architecture (its default weights), weight file, folder, hub repository.

    Returns:
        The classifier, its preprocessing and its class names.

    Raises:
        ValueError: The name is unknown, or the file is no classifier.
        FileNotFoundError: A path that does not exist.
        ConnectionError: Weights must be downloaded and the hub cannot be reached.
    """
    path = Path(name_or_path).expanduser()
    text = str(name_or_path)
    if path.exists():
        return _open_path(path, CARDS.get(path.stem))
    if text in CARDS or text in DEFAULT_CARDS:
        card = CARDS[DEFAULT_CARDS.get(text, text)]
        return _open_path(fetch_card(card), card)
    if path.suffix.lower() in _WEIGHT_SUFFIXES or path.is_absolute() or text.startswith("."):
        raise FileNotFoundError(
            f"no weights at {text}; check the path, or use a name of intern25.list_models()"
        )
    if _HUB_NAME.fullmatch(text):
        by_repository = {card.hugging_face: card for card in CARDS.values()}
        return _open_path(fetch_repository(text), by_repository.get(text))
    find_card(text)
    raise AssertionError(f"{text!r} is known to the catalog but was not found above")


def _open_path(path: Path, card: ModelCard | None) -> Bundle:
    checkpoint = read_checkpoint(path)
    metadata = file_metadata(checkpoint)
    if metadata.model == "backbone" or not _has_head(checkpoint):
        raise ValueError(
            f"{path} holds a backbone without a classification head; fine-tune it first: "
            f"intern25 train classify --pretrained {path}"
        )
    model, architecture = _build(path, checkpoint, metadata, card)
    return Bundle(
        model=model,
        preprocessing=metadata.preprocessing or _assumed_preprocessing(path, card, architecture),
        classes=metadata.classes or _assumed_classes(model.num_classes, card),
    )


def _has_head(checkpoint: Checkpoint) -> bool:
    names = (name.removeprefix("module.").removeprefix("model.") for name in checkpoint.tensors)
    return any(name.startswith(_HEAD_NAMES) for name in names)


def _build(
    path: Path, checkpoint: Checkpoint, metadata: FileMetadata, card: ModelCard | None
) -> tuple[InternImageClassifier, str | None]:
    """The model with its weights, and the name of its architecture if it has one."""
    config = metadata.config or (card.config if card else None)
    if config is None:
        config = infer_architecture(checkpoint, recognise(checkpoint.tensors, path))
    architecture = _name_of(config)
    if card is not None and architecture == card.architecture:
        return create_model(card.id, pretrained=path, num_classes=metadata.num_classes), architecture
    if architecture is not None and metadata.model != "metadata_classifier":
        return create_model(architecture, pretrained=path, num_classes=metadata.num_classes), architecture
    if metadata.num_classes is None:
        raise ValueError(f"{path} says its architecture but not its number of classes; convert it again")
    kind = InternImageMetaClassifier if metadata.model == "metadata_classifier" else InternImageClassifier
    model = kind(config, metadata.num_classes)
    load_checkpoint(model, path)
    return model, architecture


def _name_of(config: InternImageConfig) -> str | None:
    """Architecture of the same shape; settings of training and initial values may differ."""
    for name, known in ARCHITECTURES.items():
        if (config.channels, config.depths, config.groups) == (known.channels, known.depths, known.groups):
            return name
    return None


def _assumed_preprocessing(path: Path, card: ModelCard | None, architecture: str | None) -> Preprocessing:
    if card is None and architecture is not None:
        card = CARDS[DEFAULT_CARDS[architecture]]
        _LOGGER.warning(
            "%s does not say how to prepare pictures; they are prepared as for %s (%d pixels)",
            path, card.id, card.preprocessing.image_size,
        )  # fmt: skip
    if card is None:
        raise ValueError(
            f"{path} does not say how to prepare pictures; save it with save_model(preprocessing=...)"
        )
    return card.preprocessing


def _assumed_classes(number: int, card: ModelCard | None) -> ClassNames:
    """The catalog's names, else those of the data set of this size, else numbers."""
    if card is not None and card.num_classes == number:
        return class_names(card.classes)
    if number in _LISTS_BY_SIZE:
        return class_names(_LISTS_BY_SIZE[number])
    return ClassNames(
        en=tuple(f"class {index}" for index in range(number)),
        zh=tuple(f"类别 {index}" for index in range(number)),
    )
