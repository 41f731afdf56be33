# SPDX-License-Identifier: MIT
"""The kinds of models that weights are for: what each is for, its configuration, its class, its names.

Configurations are light; the model classes and name tables are imported when one is built or loaded.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import nn

from intern25.backbones.internimage import INTERNIMAGE_NANO, InternImageConfig
from intern25.data.preprocessing import Preprocessing
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.detection.dino_config import DINOConfig
from intern25.detection.rcnn_config import CascadeMaskRCNNConfig, MaskRCNNConfig
from intern25.segmentation.config import Mask2FormerConfig, SegFormerConfig, UperNetConfig

Task = Literal["classification", "detection", "segmentation"]
ModelKind = Literal[
    "backbone",
    "classifier",
    "metadata_classifier",
    "mask_rcnn",
    "cascade_mask_rcnn",
    "dino",
    "upernet",
    "segformer",
    "mask2former",
]
ModelConfig = (
    InternImageConfig
    | MaskRCNNConfig
    | CascadeMaskRCNNConfig
    | DINOConfig
    | UperNetConfig
    | SegFormerConfig
    | Mask2FormerConfig
)
AnyPreprocessing = Preprocessing | DetectionPreprocessing | SegmentationPreprocessing
Pairs = list[tuple[str, str]]
"""``(ours, official)`` names of modules or whole tensors."""
_Parts = tuple[type[nn.Module], Callable[[Any], Pairs]]

_PREPROCESSINGS: Mapping[Task, type[AnyPreprocessing]] = {
    "classification": Preprocessing,
    "detection": DetectionPreprocessing,
    "segmentation": SegmentationPreprocessing,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One kind of model."""

    task: Task
    """What it does; a bare backbone counts as a classifier without its head."""
    config: type[Any]
    """Class of its configuration."""
    parts: Callable[[], _Parts]
    """Imports its class and the function from a configuration to its names."""
    mark: str = ""
    """Start of an official name that only files of this kind have; none for classifiers."""

    @property
    def preprocessing(self) -> type[AnyPreprocessing]:
        """Class of its evaluation transform."""
        return _PREPROCESSINGS[self.task]


def _backbone() -> _Parts:
    from intern25.backbones.internimage import InternImage
    from intern25.weights.adapters.official import classifier_pairs

    return InternImage, classifier_pairs


def _classifier() -> _Parts:
    from intern25.backbones.classifier import InternImageClassifier
    from intern25.weights.adapters.official import classifier_pairs

    return InternImageClassifier, classifier_pairs


def _metadata_classifier() -> _Parts:
    from intern25.backbones.metadata import InternImageMetaClassifier
    from intern25.weights.adapters.official import classifier_pairs

    return InternImageMetaClassifier, classifier_pairs


def _mask_rcnn() -> _Parts:
    from intern25.detection.mask_rcnn import MaskRCNN
    from intern25.weights.adapters.rcnn import pairs

    return MaskRCNN, pairs


def _cascade_mask_rcnn() -> _Parts:
    from intern25.detection.cascade import CascadeMaskRCNN
    from intern25.weights.adapters.rcnn import pairs

    return CascadeMaskRCNN, pairs


def _dino() -> _Parts:
    from intern25.detection.dino import DINO
    from intern25.weights.adapters.dino import pairs

    return DINO, pairs


def _upernet() -> _Parts:
    from intern25.segmentation.upernet import UperNet
    from intern25.weights.adapters.segmentation import pairs

    return UperNet, pairs


def _segformer() -> _Parts:
    from intern25.segmentation.segformer import SegFormer
    from intern25.weights.adapters.segmentation import pairs

    return SegFormer, pairs


def _mask2former() -> _Parts:
    from intern25.segmentation.mask2former import Mask2Former
    from intern25.weights.adapters.segmentation import pairs

    return Mask2Former, pairs


FAMILIES: Mapping[ModelKind, Family] = MappingProxyType(
    {
        "backbone": Family(task="classification", config=InternImageConfig, parts=_backbone),
        "classifier": Family(task="classification", config=InternImageConfig, parts=_classifier),
        "metadata_classifier": Family(
            task="classification", config=InternImageConfig, parts=_metadata_classifier
        ),
        "cascade_mask_rcnn": Family(
            task="detection",
            config=CascadeMaskRCNNConfig,
            parts=_cascade_mask_rcnn,
            mark="roi_head.bbox_head.0.",
        ),
        "mask_rcnn": Family(
            task="detection", config=MaskRCNNConfig, parts=_mask_rcnn, mark="roi_head.bbox_head."
        ),
        "dino": Family(task="detection", config=DINOConfig, parts=_dino, mark="bbox_head.transformer."),
        "upernet": Family(
            task="segmentation", config=UperNetConfig, parts=_upernet, mark="decode_head.psp_modules."
        ),
        "segformer": Family(
            task="segmentation", config=SegFormerConfig, parts=_segformer, mark="decode_head.fusion_conv."
        ),
        "mask2former": Family(
            task="segmentation",
            config=Mask2FormerConfig,
            parts=_mask2former,
            mark="decode_head.pixel_decoder.",
        ),
    }
)
"""Kind to all that differs between kinds; the first whose mark a file has is the file's."""

CLASSIFIERS: tuple[ModelKind, ...] = ("backbone", "classifier", "metadata_classifier")
"""Kinds that share one table of names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blueprint:
    """Everything that defines a model but the values of its tensors."""

    kind: ModelKind
    """Which class."""
    config: ModelConfig
    """Architecture."""
    num_classes: int = 0
    """Outputs; 0 for pooled features, and of no meaning for a backbone."""
    out_indices: tuple[int, ...] = (0, 1, 2, 3)
    """Stages that a bare backbone returns."""

    @property
    def backbone(self) -> InternImageConfig:
        """Architecture of the backbone."""
        return backbone_of(self.config)

    def build(self, device: torch.device) -> Any:
        """The model with initial weights, or without values on the meta device."""
        model_class, _ = FAMILIES[self.kind].parts()
        with device:
            if self.kind == "backbone":
                return model_class(self.config, out_indices=self.out_indices)
            if self.kind in CLASSIFIERS:
                return model_class(self.config, self.num_classes)
            return model_class(with_classes(self.config, self.num_classes))


def backbone_of(config: ModelConfig) -> InternImageConfig:
    """Architecture of the backbone of a model."""
    return config if isinstance(config, InternImageConfig) else config.backbone


def with_backbone(config: ModelConfig, backbone: InternImageConfig) -> ModelConfig:
    """``config`` on another backbone."""
    return (
        backbone if isinstance(config, InternImageConfig) else dataclasses.replace(config, backbone=backbone)
    )


def with_classes(config: ModelConfig, num_classes: int) -> ModelConfig:
    """``config`` for another number of classes; a classifier's does not hold it."""
    if isinstance(config, InternImageConfig) or config.num_classes == num_classes:
        return config
    if isinstance(config, UperNetConfig | SegFormerConfig):
        return dataclasses.replace(config, num_classes=num_classes, class_weights=())
    return dataclasses.replace(config, num_classes=num_classes)


def kind_of_config(config: ModelConfig) -> ModelKind:
    """Kind of the model a configuration is for; of InternImage's the plain classifier."""
    if isinstance(config, InternImageConfig):
        return "classifier"
    return next(kind for kind, family in FAMILIES.items() if isinstance(config, family.config))


def kind_of_model(model: nn.Module) -> ModelKind | None:
    """Kind of a model, None for a module that is not of this package."""
    from intern25.backbones.classifier import InternImageClassifier
    from intern25.backbones.internimage import InternImage
    from intern25.backbones.metadata import InternImageMetaClassifier

    if isinstance(model, InternImage):
        return "backbone"
    if isinstance(model, InternImageClassifier):
        return "metadata_classifier" if isinstance(model, InternImageMetaClassifier) else "classifier"
    config: Any = getattr(model, "config", None)
    heads = (family for kind, family in FAMILIES.items() if kind not in CLASSIFIERS)
    if not any(isinstance(config, family.config) for family in heads):
        return None
    kind = kind_of_config(config)
    return kind if isinstance(model, FAMILIES[kind].parts()[0]) else None


def config_from_json(kind: ModelKind, text: str) -> ModelConfig:
    """Configuration of a model of ``kind`` from the JSON of ``dataclasses.asdict``."""
    values: dict[str, Any] = json.loads(text)
    if kind not in CLASSIFIERS:
        values["backbone"] = InternImageConfig(**values["backbone"])
    config: ModelConfig = FAMILIES[kind].config(**values)
    return config


@dataclass(frozen=True, slots=True)
class ClassRows:
    """How the first size of a tensor depends on the number of classes."""

    per_class: int
    """Rows for each class."""
    extra: int
    """Rows beside them, such as a background class."""

    def classes(self, rows: int) -> int:
        """Number of classes of a tensor with ``rows`` rows."""
        return (rows - self.extra) // self.per_class


@cache
def class_rows(kind: ModelKind, config: ModelConfig) -> Mapping[str, ClassRows]:
    """Tensors of a kind of model whose rows belong to classes, by our names.

    Found by building the model for two numbers of classes on a small backbone without values; the names do
    not depend on the backbone.
    """
    if kind == "backbone":
        return {}
    small = dataclasses.replace(INTERNIMAGE_NANO, depths=(1, 1, 1, 1), head=backbone_of(config).head)
    meta = torch.device("meta")
    first, second = (
        Blueprint(kind=kind, config=with_backbone(config, small), num_classes=number).build(meta).state_dict()
        for number in _TWO_NUMBERS
    )
    found = {}
    for name, tensor in first.items():
        step = (second[name].shape[0] - tensor.shape[0]) if tensor.ndim else 0
        if step:
            found[name] = ClassRows(step, tensor.shape[0] - step * _TWO_NUMBERS[0])
    return MappingProxyType(found)


_TWO_NUMBERS = (3, 4)
