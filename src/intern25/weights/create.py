# SPDX-License-Identifier: MIT
"""``create_model``: an architecture or a published model by name, with or without weights."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import nn

from intern25.backbones.internimage import InternImage
from intern25.weights.architectures import ARCHITECTURES, backbone_name
from intern25.weights.catalog import BACKBONE_CARDS, CARDS, DEFAULT_CARDS, ModelCard, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.download import fetch_card, fetch_repository
from intern25.weights.generalists import GENERALISTS, create_generalist
from intern25.weights.identify import classes_in_file, file_metadata
from intern25.weights.kinds import (
    CLASSIFIERS,
    Blueprint,
    ModelConfig,
    ModelKind,
    backbone_of,
    kind_of_config,
    with_backbone,
)
from intern25.weights.layouts import recognise
from intern25.weights.load import copy_into, load_checkpoint, report_of, reset_head
from intern25.weights.matching import ClassMismatch, Match, check_same_architecture, match

_LOGGER = logging.getLogger(__name__)

DEFAULT_NUM_CLASSES = 1000
"""Of a bare classifier; a detector or segmenter has those of its data set."""
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_ALL_STAGES = (0, 1, 2, 3)


@overload
def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    pretrained_backbone: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: Literal[True],
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> InternImage: ...


# The class depends on the name, which no type can say.
@overload
def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    pretrained_backbone: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Any: ...


def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    pretrained_backbone: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Any:
    """Create a classifier, detector, segmenter, generalist or backbone by name.

    Args:
        name: An architecture (``"internimage_t"``, ``"mask_rcnn_internimage_t"``) or a published model
            (``"upernet_internimage_t_512_160k_ade20k"``); ``list_models()`` lists both.
        pretrained: False for fresh weights; True for the published weights of ``name`` (of an architecture:
            its best known model); or a weight file, a folder, another model id, or a hub repository such as
            ``"OpenGVLab/internimage_t_1k_224"``.
        pretrained_backbone: Weights for the backbone of a detector or segmenter, in the same forms; its head
            stays fresh. True for those the authors start from.
        num_classes: Classes of the output, 0 for a classifier's pooled features; None for those of the
            weights, or of the data set the architecture was published for.
        features_only: Build the bare backbone, which returns a list of NCHW maps and has ``feature_info``.
        out_indices: Stages whose maps the bare backbone returns.
        drop_path: Stochastic depth of the last block; None for the architecture's published value.
        on_class_mismatch: When the weights have another number of classes: ``"error"``, ``"reset"`` for
            fresh last layers, or ``"22k_to_1k"`` for the ImageNet-1K rows of a 21841-way one.
        device: Where the model lives; ``"meta"`` builds it without memory.
        dtype: Floating type of the parameters.

    Returns:
        The model in training mode: ``InternImageClassifier``, ``MaskRCNN``, ``CascadeMaskRCNN``, ``DINO``,
        ``UperNet``, ``SegFormer``, ``Mask2Former`` or ``Generalist``; ``InternImage`` with ``features_only``.

    Raises:
        ValueError: The name is unknown (the message shows the nearest) or the weights do not fit.
        FileNotFoundError: ``pretrained`` names nothing that exists.
        ConnectionError: Weights must be downloaded and the hub cannot be reached.

    Example:
        >>> model = create_model("internimage_nano", num_classes=10)
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    if name in GENERALISTS:
        return create_generalist(
            name,
            pretrained=pretrained,
            device=device,
            dtype=dtype,
            pretrained_backbone=pretrained_backbone,
            num_classes=num_classes,
            features_only=features_only,
            drop_path=drop_path,
        )
    card = find_card(name)
    if tuple(out_indices) != _ALL_STAGES and not features_only:
        raise ValueError(
            f"out_indices={tuple(out_indices)} needs features_only=True: other models use every stage"
        )
    target = torch.device(device) if device is not None else torch.get_default_device()
    if target.type == "meta" and (pretrained or pretrained_backbone):
        raise ValueError(
            "device='meta' holds no values; create the model without pretrained weights, or on a real device"
        )
    config = _configure(card.config if card else ARCHITECTURES[name], drop_path, features_only)
    _check_choice(config, name, pretrained, pretrained_backbone)
    checkpoint, weight_card = _find_weights(name, card, pretrained)
    blueprint = _plan(config, card, weight_card, checkpoint, num_classes)
    if features_only:
        blueprint = dataclasses.replace(blueprint, kind="backbone", out_indices=tuple(out_indices))
    if checkpoint is not None:
        _check_file_config(checkpoint, blueprint, name)
        return build_with_weights(blueprint, checkpoint, on_class_mismatch, dtype).to(target)
    model = blueprint.build(target).to(dtype=dtype)
    if pretrained_backbone:
        _load_backbone(model, config, pretrained_backbone)
    return model


def _configure(config: ModelConfig, drop_path: float | None, features_only: bool) -> ModelConfig:
    """The architecture with the asked settings; only its backbone if nothing else is wanted."""
    if drop_path is not None:
        config = with_backbone(config, dataclasses.replace(backbone_of(config), drop_path=drop_path))
    return backbone_of(config) if features_only else config


def _check_choice(
    config: ModelConfig, name: str, pretrained: bool | str | Path, pretrained_backbone: bool | str | Path
) -> None:
    """Refuse two answers to one question."""
    if pretrained_backbone and kind_of_config(config) in CLASSIFIERS:
        raise ValueError(f"pretrained_backbone is for detectors and segmenters; for {name} use pretrained=")
    if pretrained and pretrained_backbone:
        raise ValueError("give pretrained= or pretrained_backbone=, not both: the first holds a backbone too")


def _find_weights(
    name: str, card: ModelCard | None, pretrained: bool | str | Path
) -> tuple[Checkpoint | None, ModelCard | None]:
    """The opened weights, and their card when they are a published model."""
    if pretrained is False:
        return None, None
    if pretrained is True:
        card = card or _default_card(name)
        return read_checkpoint(fetch_card(card)), card
    path = Path(pretrained).expanduser()
    if path.exists():
        return read_checkpoint(path), None
    text = str(pretrained)
    if text in CARDS:
        return read_checkpoint(fetch_card(CARDS[text])), CARDS[text]
    if (
        isinstance(pretrained, str)
        and _HUB_NAME.fullmatch(text)
        and not path.suffix.startswith((".pt", ".saf", ".bin"))
    ):
        return read_checkpoint(fetch_repository(text)), None
    ids = [row.id for row in CARDS.values() if row.architecture == (card.architecture if card else name)]
    raise FileNotFoundError(
        f"pretrained={text!r} is no file, no folder and no model id; "
        f"the models of {name} are {', '.join(ids) or 'not published'}"
    )


def _default_card(architecture: str) -> ModelCard:
    if architecture not in DEFAULT_CARDS:
        raise ValueError(
            f"no weights of {architecture} were published; use pretrained=False, a file, or "
            "pretrained_backbone=True"
        )
    return CARDS[DEFAULT_CARDS[architecture]]


def _plan(
    config: ModelConfig,
    card: ModelCard | None,
    weight_card: ModelCard | None,
    checkpoint: Checkpoint | None,
    num_classes: int | None,
) -> Blueprint:
    """What to build: as asked, else as the weights, else as published."""
    kind: ModelKind = kind_of_config(config)
    head_card = weight_card or card
    if kind == "classifier" and head_card is not None and head_card.head == "metadata_classifier":
        kind = "metadata_classifier"
    default = getattr(config, "num_classes", DEFAULT_NUM_CLASSES)
    blueprint = Blueprint(kind=kind, config=config, num_classes=default)
    if num_classes is None:
        num_classes = _count_classes(blueprint, head_card, checkpoint)
    return dataclasses.replace(blueprint, num_classes=num_classes)


def _count_classes(blueprint: Blueprint, card: ModelCard | None, checkpoint: Checkpoint | None) -> int:
    """Outputs of the weights, else the published number."""
    if card is not None and card.kind == blueprint.kind:
        return card.num_classes
    if checkpoint is None:
        return blueprint.num_classes
    found = classes_in_file(checkpoint, recognise(checkpoint.tensors, checkpoint.path), blueprint)
    return blueprint.num_classes if found is None else found


def _check_file_config(checkpoint: Checkpoint, blueprint: Blueprint, name: str) -> None:
    """Compare the architecture a file states, where it states one, with the one asked for."""
    stated = file_metadata(checkpoint).config
    if stated is None:
        return
    if kind_of_config(blueprint.config) in CLASSIFIERS:
        stated = backbone_of(stated)
    check_same_architecture(blueprint.config, stated, name)


def _load_backbone(model: nn.Module, config: ModelConfig, source: bool | str | Path) -> None:
    """Put published or own weights into the backbone of a fresh model."""
    name = backbone_name(backbone_of(config))
    if source is True:
        if name is None:
            raise ValueError("pretrained_backbone=True knows published backbones only; give a file")
        source = BACKBONE_CARDS[name]
    text = str(source)
    path = fetch_card(CARDS[text]) if text in CARDS else Path(text)
    if not path.expanduser().exists():
        raise FileNotFoundError(
            f"pretrained_backbone={text!r} is no file, no folder and no model id; the authors start {name} "
            f"from {BACKBONE_CARDS.get(name or '', 'nothing published')}"
        )
    _LOGGER.info("%s", load_checkpoint(model, path))


def build_with_weights(
    blueprint: Blueprint,
    checkpoint: Checkpoint,
    on_class_mismatch: ClassMismatch = "error",
    dtype: torch.dtype | None = None,
) -> Any:
    """Build without values and put the file's tensors in place, so that neither is held or made twice."""
    model = blueprint.build(torch.device("meta"))
    found = match(model, checkpoint, on_class_mismatch=on_class_mismatch)
    found.require_backbone()
    if not found.same_kind and blueprint.kind not in CLASSIFIERS:
        raise ValueError(
            f"{checkpoint.path} holds a {found.file_kind}, not a {blueprint.kind}; for its backbone under a "
            "fresh head use pretrained_backbone="
        )
    dtype = dtype or torch.get_default_dtype()
    if found.missing or _has_unsaved_values(model):
        model = blueprint.build(torch.device("cpu")).to(dtype=dtype)
        copy_into(model, found)
    else:
        _assign(model, found, dtype)
    _LOGGER.log(logging.WARNING if found.missing or found.notes else logging.INFO, "%s", report_of(found))
    return model


def _has_unsaved_values(model: nn.Module) -> bool:
    """Whether a model holds buffers that no file does, such as fixed tables; they come from building it."""
    saved = model.state_dict().keys()
    return any(name not in saved for name, _ in model.named_buffers())


def _assign(model: nn.Module, found: Match, dtype: torch.dtype) -> None:
    """Make the file's tensors the model's own."""
    tensors = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in found.tensors.items()
    }
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            tensors.setdefault(name, torch.zeros_like(buffer, device="cpu"))
    model.load_state_dict(tensors, strict=False, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    if found.reset_head:
        reset_head(model)
    left = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    assert not left, f"tensors without values after loading: {left[:3]}"
