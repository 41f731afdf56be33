# SPDX-License-Identifier: MIT
"""Fit the tensors of a checkpoint to a model before anything is copied."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage, InternImageConfig
from intern25.weights.checkpoint import Checkpoint
from intern25.weights.kinds import (
    CLASSIFIERS,
    Blueprint,
    ClassRows,
    ModelConfig,
    ModelKind,
    class_rows,
    kind_of_model,
)
from intern25.weights.layouts import Layout, Translation, recognise, translate

ClassMismatch = Literal["error", "reset", "22k_to_1k"]

IMAGENET_22K = 21841
IMAGENET_1K = 1000
_LAST_LAYERS = ("classifier.", "metadata_classifier.")
_KERNEL_POINTS = 9
"""Every InternImage samples a 3x3 grid."""
_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Tensors ready to be put into a model, by the model's names, and everything worth telling."""

    checkpoint: Checkpoint
    layout: Layout
    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]
    converted: tuple[str, ...]
    notes: tuple[str, ...]
    reset_head: bool
    """Whether the last layer of a classifier must be made anew."""
    backbones: tuple[str, ...]
    """What stands before the names of the model's backbones: two for a composite one."""
    file_kind: ModelKind
    """What the file holds."""
    same_kind: bool
    """Whether that is the kind of the model; if not, only its backbone was taken."""

    def require_backbone(self) -> None:
        """Refuse a file without the whole backbone: the model would give noise without a word.

        Raises:
            ValueError: Backbone tensors are missing, other than layer scales.
        """
        lost = [
            name for name in self.missing if name.startswith(self.backbones) and not name.endswith(".scale")
        ]
        if lost:
            raise ValueError(
                f"{self.checkpoint.path} lacks {len(lost)} tensors of the backbone, the first "
                f"{', '.join(lost[:_SHOWN])}; is it another variant? load_checkpoint with "
                "allow_missing=True loads what there is"
            )


def match(
    model: nn.Module,
    checkpoint: Checkpoint,
    *,
    on_class_mismatch: ClassMismatch = "error",
    prefer_ema: bool = False,
) -> Match:
    """Translate, convert and check a checkpoint against a model; the model is only looked at.

    Raises:
        TypeError: ``model`` is no InternImage.
        ValueError: The tensors do not fit.
    """
    if on_class_mismatch not in ("error", "reset", "22k_to_1k"):
        raise ValueError(f"on_class_mismatch={on_class_mismatch!r} must be 'error', 'reset' or '22k_to_1k'")
    backbones = find_backbones(model)
    blueprint = blueprint_of(model)
    recognised = recognise(checkpoint.tensors, checkpoint.path, prefer_ema=prefer_ema)
    translation = translate(checkpoint.tensors, recognised, blueprint)
    fitting = _Fitting(model, blueprint, translation, checkpoint, tuple(backbones))
    fitting.place_backbones()
    fitting.remove_center_points()
    fitting.fit_classes(on_class_mismatch)
    fitting.split()
    fitting.check_shapes()
    fitting.note_layer_scales()
    fitting.note_kind(recognised.kind)
    return Match(
        checkpoint=checkpoint,
        layout=recognised.layout,
        tensors=fitting.tensors,
        missing=fitting.missing,
        unexpected=(*translation.unexpected, *fitting.unexpected),
        ignored=(*checkpoint.dropped, *translation.ignored, *fitting.ignored),
        converted=tuple(fitting.converted),
        notes=tuple(fitting.notes),
        reset_head=fitting.reset_head,
        backbones=tuple(backbones),
        file_kind=recognised.kind,
        same_kind=translation.same_kind,
    )


def find_backbones(model: nn.Module) -> dict[str, InternImage]:
    """The InternImages of a model by the start of their names: one, or two for a composite backbone.

    Raises:
        TypeError: ``model`` neither is nor has an InternImage.
    """
    found = {
        f"{name}." if name else "": module
        for name, module in model.named_modules()
        if isinstance(module, InternImage)
    }
    if not found:
        raise TypeError(
            f"cannot load InternImage weights into a {type(model).__name__} without an InternImage backbone"
        )
    return found


def blueprint_of(model: nn.Module) -> Blueprint:
    """What a model is; a module not of this package counts as a backbone with foreign parts around it."""
    kind = kind_of_model(model)
    if kind is None:
        first, *_ = find_backbones(model).values()
        return Blueprint(kind="classifier", config=first.config)
    config: ModelConfig = model.config  # type: ignore[assignment]
    number = getattr(model, "num_classes", 0)
    return Blueprint(kind=kind, config=config, num_classes=number if isinstance(number, int) else 0)


class _Fitting:
    """The steps of one match, over our names; each method does one of them."""

    def __init__(
        self,
        model: nn.Module,
        blueprint: Blueprint,
        translation: Translation,
        checkpoint: Checkpoint,
        backbones: tuple[str, ...],
    ) -> None:
        self.blueprint = blueprint
        self.is_foreign = kind_of_model(model) is None
        self.config: InternImageConfig = blueprint.backbone
        self.path = checkpoint.path
        self.source = dict(translation.tensors)
        self.file_names = dict(translation.file_names)
        self.same_kind = translation.same_kind
        self.targets = dict(model.state_dict(keep_vars=True))
        self.is_backbone = isinstance(model, InternImage)
        self.backbones = backbones
        self.tensors: dict[str, Tensor] = {}
        self.missing: tuple[str, ...] = ()
        self.unexpected: list[str] = []
        self.ignored: list[str] = []
        self.converted: list[str] = []
        self.notes: list[str] = []
        self.reset_head = False

    def place_backbones(self) -> None:
        """Put a lone backbone where the model has its own: at two places if composite."""
        places = [place for place in self.backbones if place not in ("", "backbone.")]
        if (self.same_kind and not self.is_foreign) or not places:
            return
        for name in [name for name in self.source if name.startswith("backbone.")]:
            tensor, file_name = self.source.pop(name), self.file_names[name]
            for place in places:
                placed = place + name.removeprefix("backbone.")
                if placed in self.targets:
                    self.source[placed], self.file_names[placed] = tensor, file_name

    def model_name(self, ours: str) -> str | None:
        """Name in the model of one of the classifier's tensors; None for heads a backbone does not have."""
        if not self.is_backbone:
            return ours
        return ours.removeprefix("backbone.") if ours.startswith("backbone.") else None

    def remove_center_points(self) -> None:
        """Drop the centre's rows of full offset and mask layers for a model with ``remove_center``."""
        if not self.config.remove_center:
            return
        changed = 0
        for name, tensor in self.source.items():
            pairs = {"offset": 2, "mask": 1}.get(name.split(".")[-2], 0)
            target = self.targets.get(self.model_name(name) or "")
            if (
                pairs
                and target is not None
                and tensor.shape[0] * (_KERNEL_POINTS - 1) == target.shape[0] * _KERNEL_POINTS
            ):
                self.source[name] = _without_center(tensor, pairs)
                changed += 1
        if changed:
            self.converted.append(
                f"dropped the centre point from {changed} offset and mask tensors (remove_center)"
            )

    def fit_classes(self, choice: ClassMismatch) -> None:
        """Handle last layers with another number of classes."""
        rows = class_rows(self.blueprint.kind, self.blueprint.config) if self.same_kind else {}
        names = [name for name in rows if name in self.source and name in self.targets]
        wrong = [name for name in names if self.source[name].shape[0] != self.targets[name].shape[0]]
        if not wrong:
            return
        have = _classes_of(rows[wrong[0]], self.source[wrong[0]])
        want = _classes_of(rows[wrong[0]], self.targets[wrong[0]])
        if choice == "reset":
            for name in names:
                self.ignored.append(self.file_names[name])
                del self.source[name]
            self.reset_head = self.blueprint.kind in CLASSIFIERS
            rest = "starts fresh" if self.reset_head else "keeps the model's values"
            self.converted.append(f"dropped the {have}-class head; the {want}-class head {rest}")
        elif choice == "22k_to_1k":
            self._select_imagenet_1k(names, have, want)
        else:
            more = (
                ", '22k_to_1k' for the ImageNet-1K rows of a 22K head,"
                if self.blueprint.kind in CLASSIFIERS
                else ""
            )
            raise ValueError(
                f"{self.path} has {have} classes, the model has {want}. Choose on_class_mismatch='reset' for "
                f"a fresh head{more} or num_classes={have}"
            )

    def _select_imagenet_1k(self, names: list[str], have: int, want: int) -> None:
        if (have, want) != (IMAGENET_22K, IMAGENET_1K):
            raise ValueError(
                f"on_class_mismatch='22k_to_1k' turns {IMAGENET_22K} classes into {IMAGENET_1K}, "
                f"but {self.path} has {have} and the model {want}; use 'reset'"
            )
        from intern25.data.class_names import imagenet_22k_to_1k

        rows = torch.tensor(imagenet_22k_to_1k())
        for name in names:
            self.source[name] = self.source[name].index_select(0, rows)
        self.converted.append(f"took the {want} ImageNet-1K rows of the {have}-class head")

    def split(self) -> None:
        """Sort tensors into those of the model, those it ignores and those it has no place for."""
        for ours, tensor in self.source.items():
            name = self.model_name(ours)
            if name is not None and name in self.targets:
                self.tensors[name] = tensor
            elif self._belongs_to_dropped_head(ours):
                self.ignored.append(self.file_names[ours])
            else:
                self.unexpected.append(self.file_names[ours])
        fresh = _LAST_LAYERS if self.reset_head else ()
        self.missing = tuple(
            name
            for name in self.targets
            if name not in self.tensors
            and not name.endswith("num_batches_tracked")
            and not (fresh and name.startswith(fresh))
        )

    def _belongs_to_dropped_head(self, ours: str) -> bool:
        """A model without a head, or without its last layer, has no use for them."""
        has_classifier = "classifier.weight" in self.targets
        if not ours.startswith("backbone."):
            return self.is_backbone or (ours.startswith(_LAST_LAYERS) and not has_classifier)
        return False

    def check_shapes(self) -> None:
        """Refuse the file if a single shape differs."""
        wrong = [
            f"{name}: {tuple(tensor.shape)} in the file, {tuple(self.targets[name].shape)} in the model"
            for name, tensor in self.tensors.items()
            if tensor.shape != self.targets[name].shape
        ]
        if wrong:
            raise ValueError(
                f"{self.path} does not fit this model, {len(wrong)} shapes differ "
                f"({'; '.join(wrong[:_SHOWN])}). {describe_file(self.source)}"
            )

    def note_layer_scales(self) -> None:
        """Layer scales change every number, so their absence on one side is always told."""
        in_file = any(name.endswith(".scale") for name in self.source)
        if self.config.layer_scale is not None and any(name.endswith(".scale") for name in self.missing):
            self.notes.append(f"the file has no layer scales; the model's stay at {self.config.layer_scale}")
        if self.config.layer_scale is None and in_file:
            self.notes.append(
                "the file has layer scales, which the model leaves out; for the file's numbers build the "
                "model with layer_scale=1.0"
            )

    def note_kind(self, file_kind: ModelKind) -> None:
        """A detector or segmenter whose head stays as it was is always told."""
        if not self.same_kind and self.blueprint.kind not in CLASSIFIERS:
            self.notes.append(
                f"the file holds a {_words(file_kind)}, so only its backbone was taken; the rest of the "
                f"{_words(self.blueprint.kind)} keeps its values"
            )


def _classes_of(rows: ClassRows, tensor: Tensor) -> int:
    return rows.classes(tensor.shape[0])


def _words(kind: ModelKind) -> str:
    """A kind as a user reads it: ``"mask_rcnn"`` as ``"mask rcnn"``."""
    return kind.replace("_", " ")


def _without_center(tensor: Tensor, values_per_point: int) -> Tensor:
    """Rows of all points but the centre; rows are ordered group, point, then (x, y) for offsets."""
    per_group = tensor.unflatten(0, (-1, _KERNEL_POINTS, values_per_point))
    kept = [point for point in range(_KERNEL_POINTS) if point != _KERNEL_POINTS // 2]
    without: Tensor = per_group[:, kept].flatten(0, 2)
    return without


def describe_file(tensors: dict[str, Tensor]) -> str:
    """Which architecture a file's sizes belong to, for error messages."""
    from intern25.weights.architectures import BACKBONES

    stem = next((tensor for name, tensor in tensors.items() if name.endswith("stem.conv2.weight")), None)
    if stem is None:
        return "The file has no stem"
    names = [name for name, config in BACKBONES.items() if config.channels == stem.shape[0]]
    return (
        f"Its {stem.shape[0]} channels are those of {names[0]}"
        if names
        else f"It has {stem.shape[0]} channels"
    )


def check_same_architecture(wanted: ModelConfig, found: ModelConfig, name: str) -> None:
    """Refuse a file whose config says another architecture; training-only settings may differ.

    Raises:
        ValueError: They differ; the message names the fields.
    """
    if type(found) is not type(wanted):
        raise ValueError(
            f"the weights are not of {name}: their config is a {type(found).__name__}, not a "
            f"{type(wanted).__name__}; for its backbone alone use pretrained_backbone="
        )
    different = [
        f"{field}={theirs!r} instead of {ours!r}" for field, theirs, ours in _differences(wanted, found)
    ]
    if different:
        raise ValueError(f"the weights are not of {name}: their config has {', '.join(different)}")


def _differences(wanted: ModelConfig, found: ModelConfig) -> list[tuple[str, object, object]]:
    """``(field, in the file, wanted)`` of the settings that change what a model computes from its tensors."""
    if not isinstance(wanted, InternImageConfig):
        assert not isinstance(found, InternImageConfig), "both are of one class"
        return _differences(wanted.backbone, found.backbone)
    assert isinstance(found, InternImageConfig), "both are of one class"
    found = dataclasses.replace(found, drop_path=wanted.drop_path)
    if found.layer_scale is not None and wanted.layer_scale is not None:
        found = dataclasses.replace(found, layer_scale=wanted.layer_scale)
    return [
        (field.name, getattr(found, field.name), getattr(wanted, field.name))
        for field in dataclasses.fields(wanted)
        if getattr(found, field.name) != getattr(wanted, field.name) and field.name != "remove_center"
    ]
