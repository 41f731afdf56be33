# SPDX-License-Identifier: MIT
"""From a name or a path to a model with all it needs: weights, preprocessing, class names, colours.

What is special: a weight file of this package describes itself; for the others the catalog, the folder's JSON
files and the sizes of the tensors say what is missing.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intern25.data.class_names import ClassNames, class_names
from intern25.data.palettes import Palette, palette_of
from intern25.weights.architectures import ARCHITECTURES, backbone_name
from intern25.weights.catalog import CARDS, DEFAULT_CARDS, ModelCard, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.create import build_with_weights
from intern25.weights.download import fetch_card, fetch_repository
from intern25.weights.files import FileMetadata
from intern25.weights.identify import classes_of, file_metadata, identify
from intern25.weights.kinds import (
    CLASSIFIERS,
    FAMILIES,
    AnyPreprocessing,
    Blueprint,
    ModelKind,
    Task,
    backbone_of,
    kind_of_config,
)
from intern25.weights.layouts import is_same_kind, recognise

_LOGGER = logging.getLogger(__name__)

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
_LISTS_BY_SIZE = {1000: "imagenet_1k", 21841: "imagenet_22k", 8142: "inaturalist_2018"}
"""Of classifiers."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model and what it takes to use it."""

    model: Any
    """Classifier, detector or segmenter with its weights."""
    preprocessing: Any
    """From pictures to its input; the class depends on the task."""
    classes: ClassNames
    """Names of its outputs."""
    kind: ModelKind
    """Class of the model, in a word."""

    @property
    def task(self) -> Task:
        """What the model does."""
        return FAMILIES[self.kind].task

    @property
    def palette(self) -> Palette:
        """A colour for each class: those usual for the data set, else distinct ones."""
        return palette_of(self.classes)


def open_bundle(name_or_path: str | Path) -> Bundle:
    """Open a classifier, detector or segmenter.

    Args:
        name_or_path: Catalog name, architecture (its default weights), weight file, folder, hub repository.

    Returns:
        The model, its preprocessing and its class names.

    Raises:
        ValueError: The name is unknown, or the file holds a bare backbone.
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
    blueprint = _identify(checkpoint, metadata, card)
    model = build_with_weights(blueprint, checkpoint)
    if card is not None and card.kind != blueprint.kind:
        card = None
    number = model.num_classes
    return Bundle(
        model=model,
        preprocessing=metadata.preprocessing or _assumed_preprocessing(path, card, blueprint),
        classes=metadata.classes
        or classes_of(checkpoint, card, number)
        or _assumed_classes(number, blueprint),
        kind=blueprint.kind,
    )


def _identify(checkpoint: Checkpoint, metadata: FileMetadata, card: ModelCard | None) -> Blueprint:
    """What the file holds; a bare backbone is refused."""
    recognised = recognise(checkpoint.tensors, checkpoint.path)
    if metadata.model == "backbone" or recognised.kind == "backbone":
        raise ValueError(
            f"{checkpoint.path} holds a backbone without a classification head; fine-tune it first: "
            f"intern25 train classify --pretrained {checkpoint.path}"
        )
    likely = card.architecture if card and card.kind == recognised.kind else None
    return identify(checkpoint, recognised, metadata.config, likely=likely)


def _architecture_of(blueprint: Blueprint) -> str | None:
    """Published architecture of the same kind on a backbone of the same sizes."""
    wanted = backbone_name(blueprint.backbone)
    for name, config in ARCHITECTURES.items():
        same_kind = is_same_kind(kind_of_config(config), blueprint.kind)
        if same_kind and backbone_name(backbone_of(config)) == wanted and name in DEFAULT_CARDS:
            return name
    return None


def _assumed_preprocessing(path: Path, card: ModelCard | None, blueprint: Blueprint) -> AnyPreprocessing:
    architecture = _architecture_of(blueprint)
    if card is None and architecture is not None:
        card = CARDS[DEFAULT_CARDS[architecture]]
        _LOGGER.warning(
            "%s does not say how to prepare pictures; they are prepared as for %s (%s)",
            path, card.id, card.preprocessing,
        )  # fmt: skip
    if card is None:
        raise ValueError(
            f"{path} does not say how to prepare pictures; save it with save_model(preprocessing=...)"
        )
    return card.preprocessing


def _assumed_classes(number: int, blueprint: Blueprint) -> ClassNames:
    """Those of the data set of a classifier of this size, else numbers."""
    if blueprint.kind in CLASSIFIERS and number in _LISTS_BY_SIZE:
        return class_names(_LISTS_BY_SIZE[number])
    return ClassNames(en=(), zh=()).padded(number)
