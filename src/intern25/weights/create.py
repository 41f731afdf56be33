# SPDX-License-Identifier: MIT
"""``create_model``: an architecture or a published model by name, with or without weights."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

import torch

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImage, InternImageConfig
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.weights.adapters import hugging_face
from intern25.weights.catalog import ARCHITECTURES, CARDS, DEFAULT_CARDS, ModelCard, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.download import fetch_card, fetch_repository
from intern25.weights.files import FileMetadata, metadata_from_header
from intern25.weights.layouts import count_classes
from intern25.weights.load import copy_into, report_of, reset_head
from intern25.weights.matching import ClassMismatch, Match, check_same_architecture, match

_LOGGER = logging.getLogger(__name__)

DEFAULT_NUM_CLASSES = 1000
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_ALL_STAGES = (0, 1, 2, 3)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What to build."""

    config: InternImageConfig
    num_classes: int
    with_metadata: bool
    out_indices: tuple[int, ...] | None
    """Stages of a bare backbone; None for a classifier."""

    def build(self, device: torch.device) -> InternImage | InternImageClassifier:
        """The model with initial weights, or without values on the meta device."""
        with device:
            if self.out_indices is not None:
                return InternImage(self.config, out_indices=self.out_indices)
            if self.with_metadata:
                return InternImageMetaClassifier(self.config, self.num_classes)
            return InternImageClassifier(self.config, self.num_classes)


@overload
def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: Literal[False] = False,
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> InternImageClassifier: ...


@overload
def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: Literal[True],
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> InternImage: ...


def create_model(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    num_classes: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] = _ALL_STAGES,
    drop_path: float | None = None,
    on_class_mismatch: ClassMismatch = "error",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> InternImage | InternImageClassifier:
    """Create an InternImage by name.

    Args:
        name: An architecture (``"internimage_t"``) or a published model (``"internimage_t_1k_224"``);
            ``list_models()`` lists both.
        pretrained: False for fresh weights; True for the published weights of ``name`` (of an architecture:
            its ImageNet-1K model); or a weight file, a folder, another model id, or a hub repository such as
            ``"OpenGVLab/internimage_t_1k_224"``.
        num_classes: Outputs of the classifier, 0 for pooled features; None for those of the weights, or 1000.
        features_only: Build the bare backbone, which returns a list of NCHW maps and has ``feature_info``.
        out_indices: Stages whose maps the bare backbone returns.
        drop_path: Stochastic depth of the last block; None for the architecture's published value.
        on_class_mismatch: When the weights have another number of classes: ``"error"``, ``"reset"`` for a
            fresh last layer, or ``"22k_to_1k"`` for the ImageNet-1K rows of a 21841-way one.
        device: Where the model lives; ``"meta"`` builds it without memory.
        dtype: Floating type of the parameters.

    Returns:
        ``InternImageClassifier``, or ``InternImage`` with ``features_only``; in training mode.

    Raises:
        ValueError: The name is unknown (the message shows the nearest) or the weights do not fit.
        FileNotFoundError: ``pretrained`` names nothing that exists.
        ConnectionError: Weights must be downloaded and the hub cannot be reached.

    Example:
        >>> model = create_model("internimage_nano", num_classes=10)
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    card = find_card(name)
    if tuple(out_indices) != _ALL_STAGES and not features_only:
        raise ValueError(
            f"out_indices={tuple(out_indices)} needs features_only=True: a classifier uses every stage"
        )
    config = ARCHITECTURES[card.architecture if card else name]
    if drop_path is not None:
        config = dataclasses.replace(config, drop_path=drop_path)
    target = torch.device(device) if device is not None else torch.get_default_device()
    checkpoint, weight_card = _find_weights(name, card, pretrained)
    head_card = weight_card or card
    plan = _Plan(
        config=config,
        num_classes=_count_classes(num_classes, head_card, checkpoint),
        with_metadata=head_card is not None and head_card.head == "metadata_classifier",
        out_indices=tuple(out_indices) if features_only else None,
    )
    if checkpoint is None:
        return plan.build(target).to(dtype=dtype)
    if target.type == "meta":
        raise ValueError(
            "device='meta' holds no values; create the model with pretrained=False, or on a real device"
        )
    _check_file_config(checkpoint, config, name)
    return _build_with_weights(plan, checkpoint, on_class_mismatch, dtype).to(target)


def _find_weights(
    name: str, card: ModelCard | None, pretrained: bool | str | Path
) -> tuple[Checkpoint | None, ModelCard | None]:
    """The opened weights, and their card when they are a published model."""
    if pretrained is False:
        return None, None
    if pretrained is True:
        card = card or CARDS[DEFAULT_CARDS[name]]
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


def _count_classes(asked: int | None, card: ModelCard | None, checkpoint: Checkpoint | None) -> int:
    """Outputs to build: as asked, else those of the weights."""
    if asked is not None:
        return asked
    if card is not None:
        return card.num_classes
    in_file = None if checkpoint is None else count_classes(checkpoint.tensors, checkpoint.path)
    return DEFAULT_NUM_CLASSES if in_file is None else in_file


def _check_file_config(checkpoint: Checkpoint, config: InternImageConfig, name: str) -> None:
    """Compare the architecture a file states, where it states one, with the one asked for."""
    stated = file_metadata(checkpoint).config
    if stated is not None:
        check_same_architecture(config, stated, name)


def file_metadata(checkpoint: Checkpoint) -> FileMetadata:
    """What a checkpoint says of its model, from our header or from Hugging Face's JSON files."""
    metadata = metadata_from_header(checkpoint.metadata, checkpoint.path)
    if checkpoint.config is not None and hugging_face.is_config(checkpoint.config):
        return dataclasses.replace(
            metadata,
            config=hugging_face.read_config(checkpoint.config),
            num_classes=checkpoint.config.get("num_classes"),
            preprocessing=hugging_face.read_preprocessing(checkpoint.preprocessor or {}),
        )
    return metadata


def _build_with_weights(
    plan: _Plan, checkpoint: Checkpoint, on_class_mismatch: ClassMismatch, dtype: torch.dtype | None
) -> InternImage | InternImageClassifier:
    """Build without values and put the file's tensors in place, so that neither is held or made twice."""
    model = plan.build(torch.device("meta"))
    found = match(model, checkpoint, on_class_mismatch=on_class_mismatch)
    found.require_backbone()
    dtype = dtype or torch.get_default_dtype()
    if found.missing:
        model = plan.build(torch.device("cpu")).to(dtype=dtype)
        copy_into(model, found)
    else:
        _assign(model, found, dtype)
    _LOGGER.log(logging.WARNING if found.missing or found.notes else logging.INFO, "%s", report_of(found))
    return model


def _assign(model: InternImage | InternImageClassifier, found: Match, dtype: torch.dtype) -> None:
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
