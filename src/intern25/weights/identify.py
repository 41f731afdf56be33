# SPDX-License-Identifier: MIT
"""Find out what a checkpoint holds, from its header, the JSON files beside it, its names and its sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch

from intern25.data.class_names import ClassNames, class_names
from intern25.data.known_classes import named_classes
from intern25.weights.adapters import hugging_face
from intern25.weights.architectures import ARCHITECTURES, BACKBONES
from intern25.weights.card import ModelCard
from intern25.weights.checkpoint import Checkpoint
from intern25.weights.files import FileMetadata, metadata_from_header
from intern25.weights.kinds import (
    CLASSIFIERS,
    Blueprint,
    ModelConfig,
    backbone_of,
    class_rows,
    kind_of_config,
)
from intern25.weights.layouts import Recognised, is_same_kind, translate

_BACKBONE_NAMES = {"intern25": ("stem", "stages"), "official": ("patch_embed", "levels")}


def file_metadata(checkpoint: Checkpoint) -> FileMetadata:
    """What a checkpoint says of its model, from our header, Hugging Face's JSON files or mmcv's ``meta``."""
    metadata = metadata_from_header(checkpoint.metadata, checkpoint.path)
    if checkpoint.config is not None and hugging_face.is_config(checkpoint.config):
        return dataclasses.replace(
            metadata,
            config=hugging_face.read_config(checkpoint.config),
            num_classes=checkpoint.config.get("num_classes"),
            preprocessing=hugging_face.read_preprocessing(checkpoint.preprocessor or {}),
        )
    return metadata


def identify(
    checkpoint: Checkpoint,
    recognised: Recognised,
    config: ModelConfig | None = None,
    *,
    likely: str | None = None,
) -> Blueprint:
    """What model a file holds.

    Args:
        checkpoint: The file.
        recognised: Layout and kind of its names.
        config: Its architecture, if that is known; else the published one with its sizes.
        likely: Architecture to prefer among those of equal sizes.

    Raises:
        ValueError: No published architecture has these sizes, or ``config`` is for another kind of model.
    """
    if config is not None and not is_same_kind(kind_of_config(config), recognised.kind):
        raise ValueError(
            f"{checkpoint.path} holds a {recognised.kind}, but {type(config).__name__} is for a "
            f"{kind_of_config(config)}"
        )
    candidates = [config] if config is not None else _candidates(checkpoint, recognised)
    if likely is not None and ARCHITECTURES[likely] in candidates:
        candidates = [ARCHITECTURES[likely]]
    blueprints = (_with_classes_of(checkpoint, recognised, candidate) for candidate in candidates)
    if len(candidates) == 1:
        return next(blueprints)
    found = next((b for b in blueprints if _fits(checkpoint, recognised, b)), None)
    if found is None:
        raise ValueError(
            f"{checkpoint.path} holds a {recognised.kind} on a published backbone, but its head has other "
            "sizes than any published one; build the model yourself and use load_checkpoint and save_model"
        )
    return found


def _with_classes_of(checkpoint: Checkpoint, recognised: Recognised, config: ModelConfig) -> Blueprint:
    number = getattr(config, "num_classes", 0)
    blueprint = Blueprint(kind=recognised.kind, config=config, num_classes=number)
    in_file = classes_in_file(checkpoint, recognised, blueprint)
    return blueprint if in_file is None else dataclasses.replace(blueprint, num_classes=in_file)


def classes_in_file(checkpoint: Checkpoint, recognised: Recognised, blueprint: Blueprint) -> int | None:
    """Classes of the last layers in a file, None when it has none for this kind of model."""
    translation = translate(checkpoint.tensors, recognised, blueprint)
    if not translation.same_kind:
        return None
    for name, rows in class_rows(blueprint.kind, blueprint.config).items():
        if name in translation.tensors:
            return rows.classes(translation.tensors[name].shape[0])
    return None


def _candidates(checkpoint: Checkpoint, recognised: Recognised) -> list[ModelConfig]:
    """Published architectures of the file's kind with the backbone's width and depths."""
    stem, stages = _BACKBONE_NAMES["intern25" if recognised.layout == "intern25" else "official"]
    inside = recognised.prefix + recognised.backbone
    names = [name.removeprefix(inside) for name in checkpoint.tensors if name.startswith(inside)]
    names = [name.removeprefix("backbone.") for name in names]
    widths = [
        tensor.shape[0]
        for name, tensor in checkpoint.tensors.items()
        if name.endswith(f"{stem}.conv2.weight")
    ]
    depths = tuple(
        len({name.split(".")[3] for name in names if name.startswith(f"{stages}.{stage}.blocks.")})
        for stage in range(4)
    )
    found = [
        config
        for config in _architectures_of(recognised)
        if backbone_of(config).depths == depths and backbone_of(config).channels in widths
    ]
    if not found:
        raise ValueError(
            f"{checkpoint.path} has {widths or 'no'} channels and depths {depths}, which no published "
            f"{'architecture' if recognised.kind in CLASSIFIERS else recognised.kind} has; build the model "
            "yourself and use load_checkpoint and save_model"
        )
    return found


def _architectures_of(recognised: Recognised) -> Iterable[ModelConfig]:
    if recognised.kind in CLASSIFIERS:
        return BACKBONES.values()
    return [config for config in ARCHITECTURES.values() if kind_of_config(config) == recognised.kind]


def _fits(checkpoint: Checkpoint, recognised: Recognised, blueprint: Blueprint) -> bool:
    """Whether every tensor of the file has its place and shape in the model."""
    translation = translate(checkpoint.tensors, recognised, blueprint)
    shapes = {n: t.shape for n, t in blueprint.build(torch.device("meta")).state_dict().items()}
    tensors = translation.tensors.items()
    return not translation.unexpected and all(shapes.get(name) == tensor.shape for name, tensor in tensors)


def classes_of(checkpoint: Checkpoint, card: ModelCard | None, number: int) -> ClassNames | None:
    """Names of ``number`` outputs, from the file or the catalog; None when neither knows them."""
    if checkpoint.class_names and len(checkpoint.class_names) <= number:
        return named_classes(checkpoint.class_names).padded(number)
    if card is not None and card.num_classes == number:
        return class_names(card.classes).padded(number)
    return None
