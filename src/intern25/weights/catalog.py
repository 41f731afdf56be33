# SPDX-License-Identifier: MIT
"""Every model this package knows: one literal row a published model, one entry an architecture."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from intern25.backbones.internimage import (
    INTERNIMAGE_B,
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_S,
    INTERNIMAGE_T,
    INTERNIMAGE_XL,
    InternImageConfig,
)
from intern25.data.preprocessing import Preprocessing

ARCHITECTURES: Mapping[str, InternImageConfig] = MappingProxyType(
    {
        "internimage_nano": INTERNIMAGE_NANO,
        "internimage_t": INTERNIMAGE_T,
        "internimage_s": INTERNIMAGE_S,
        "internimage_b": INTERNIMAGE_B,
        "internimage_l": INTERNIMAGE_L,
        "internimage_xl": INTERNIMAGE_XL,
        "internimage_h": INTERNIMAGE_H,
        "internimage_g": INTERNIMAGE_G,
    }
)
"""Architecture name to its config."""

HUB_REPOSITORY = "OpenGVLab/InternImage"
"""Where the authors publish their files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """One model with weights."""

    id: str
    """Name for ``create_model``: the stem of the published file."""
    architecture: str
    """Key of ``ARCHITECTURES``."""
    task: Literal["classification"] = "classification"
    """What the model does."""
    head: Literal["classifier", "metadata_classifier"] = "classifier"
    """Plain classifier, or one that also reads the month and place of the picture."""
    num_classes: int
    """Outputs of the published head."""
    classes: str
    """Name of the class list, for ``class_names``."""
    preprocessing: Preprocessing
    """Evaluation transform at the published resolution."""
    source: Literal["hub", "package"] = "hub"
    """Downloaded from the hub, or shipped inside this package."""
    file: str
    """File name in the hub repository or in the package's assets."""
    hub_repository: str = HUB_REPOSITORY
    """Hub repository of ``file``."""
    hugging_face: str | None = None
    """Hub repository with the same weights in the Hugging Face layout."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Published results, such as ``{"top1": 83.5}`` in percent."""
    pretraining: str
    """Data the weights have seen, in order."""
    licence: str = "MIT"
    """Licence of the weights."""
    sha256: str | None = None
    """Checksum of ``file``; None where the publisher states none."""

    @property
    def config(self) -> InternImageConfig:
        """Architecture of the model."""
        return ARCHITECTURES[self.architecture]

    @property
    def url(self) -> str:
        """Address of the file on the hub."""
        return f"https://huggingface.co/{self.hub_repository}/resolve/main/{self.file}"

    @property
    def packaged_path(self) -> Path:
        """Path of the file inside the package; only rows with ``source="package"`` have one."""
        return Path(str(resources.files("intern25").joinpath("assets", self.file)))

    @property
    def available(self) -> bool:
        """Whether weights can be had: always for the hub, for the package when the file was shipped."""
        return self.source == "hub" or self.packaged_path.is_file()


_JOINT = "427M joint images (LAION-400M, YFCC-15M, CC12M), masked multi-view pre-training"

_ROWS = (
    ModelCard(
        id="internimage_t_1k_224",
        architecture="internimage_t",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(224),
        file="internimage_t_1k_224.pth",
        hugging_face="OpenGVLab/internimage_t_1k_224",
        metrics={"top1": 83.5},
        pretraining="ImageNet-1K",
    ),
    ModelCard(
        id="internimage_s_1k_224",
        architecture="internimage_s",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(224),
        file="internimage_s_1k_224.pth",
        hugging_face="OpenGVLab/internimage_s_1k_224",
        metrics={"top1": 84.2},
        pretraining="ImageNet-1K",
    ),
    ModelCard(
        id="internimage_b_1k_224",
        architecture="internimage_b",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(224),
        file="internimage_b_1k_224.pth",
        hugging_face="OpenGVLab/internimage_b_1k_224",
        metrics={"top1": 84.9},
        pretraining="ImageNet-1K",
    ),
    ModelCard(
        id="internimage_l_22kto1k_384",
        architecture="internimage_l",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(384),
        file="internimage_l_22kto1k_384.pth",
        hugging_face="OpenGVLab/internimage_l_22kto1k_384",
        metrics={"top1": 87.7},
        pretraining="ImageNet-22K, then ImageNet-1K",
    ),
    ModelCard(
        id="internimage_xl_22kto1k_384",
        architecture="internimage_xl",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(384),
        file="internimage_xl_22kto1k_384.pth",
        hugging_face="OpenGVLab/internimage_xl_22kto1k_384",
        metrics={"top1": 88.0},
        pretraining="ImageNet-22K, then ImageNet-1K",
    ),
    ModelCard(
        id="internimage_h_22kto1k_640",
        architecture="internimage_h",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(640),
        file="internimage_h_22kto1k_640.pth",
        hugging_face="OpenGVLab/internimage_h_22kto1k_640",
        metrics={"top1": 89.6},
        pretraining=f"{_JOINT}, then ImageNet-22K, then ImageNet-1K",
    ),
    ModelCard(
        id="internimage_g_22kto1k_512",
        architecture="internimage_g",
        num_classes=1000,
        classes="imagenet_1k",
        preprocessing=Preprocessing(512),
        file="internimage_g_22kto1k_512.pth",
        hugging_face="OpenGVLab/internimage_g_22kto1k_512",
        metrics={"top1": 90.1},
        pretraining=f"{_JOINT}, then ImageNet-22K, then ImageNet-1K",
    ),
    ModelCard(
        id="internimage_l_22k_192to384",
        architecture="internimage_l",
        num_classes=21841,
        classes="imagenet_22k",
        preprocessing=Preprocessing(384),
        file="internimage_l_22k_192to384.pth",
        hugging_face="OpenGVLab/internimage_l_22k_384",
        pretraining="ImageNet-22K",
    ),
    ModelCard(
        id="internimage_xl_22k_192to384",
        architecture="internimage_xl",
        num_classes=21841,
        classes="imagenet_22k",
        preprocessing=Preprocessing(384),
        file="internimage_xl_22k_192to384.pth",
        hugging_face="OpenGVLab/internimage_xl_22k_384",
        pretraining="ImageNet-22K",
    ),
    ModelCard(
        id="internimage_h_jointto22k_384",
        architecture="internimage_h",
        num_classes=21841,
        classes="imagenet_22k",
        preprocessing=Preprocessing(384),
        file="internimage_h_jointto22k_384.pth",
        hugging_face="OpenGVLab/internimage_h_jointto22k_384",
        pretraining=f"{_JOINT}, then ImageNet-22K",
    ),
    ModelCard(
        id="internimage_g_pretrainto22k_384",
        architecture="internimage_g",
        num_classes=21841,
        classes="imagenet_22k",
        preprocessing=Preprocessing(384),
        file="internimage_g_pretrainto22k_384.pth",
        hugging_face="OpenGVLab/internimage_g_jointto22k_384",
        pretraining=f"{_JOINT}, then ImageNet-22K",
    ),
    ModelCard(
        id="internimage_h_22ktoinat18_384",
        architecture="internimage_h",
        head="metadata_classifier",
        num_classes=8142,
        classes="inaturalist_2018",
        preprocessing=Preprocessing(384),
        file="internimage_h_22ktoinat18_384.pth",
        metrics={"top1": 92.6},
        pretraining=f"{_JOINT}, then ImageNet-22K, then iNaturalist 2018",
    ),
    ModelCard(
        id="internimage_nano_caltech101",
        architecture="internimage_nano",
        num_classes=100,
        classes="caltech101",
        preprocessing=Preprocessing(128, crop="squash"),
        source="package",
        file="internimage_nano_caltech101.safetensors",
        metrics={"top1": 66.2},
        pretraining="Caltech-101, trained by this project",
        licence="MIT (trained on Caltech-101, CC BY 4.0)",
    ),
)

CARDS: Mapping[str, ModelCard] = MappingProxyType({row.id: row for row in _ROWS})
"""Model id to its card."""

DEFAULT_CARDS: Mapping[str, str] = MappingProxyType(
    {
        "internimage_nano": "internimage_nano_caltech101",
        "internimage_t": "internimage_t_1k_224",
        "internimage_s": "internimage_s_1k_224",
        "internimage_b": "internimage_b_1k_224",
        "internimage_l": "internimage_l_22kto1k_384",
        "internimage_xl": "internimage_xl_22kto1k_384",
        "internimage_h": "internimage_h_22kto1k_640",
        "internimage_g": "internimage_g_22kto1k_512",
    }
)
"""Which weights ``pretrained=True`` means when only an architecture is named."""


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """Names that ``create_model`` takes, sorted.

    Args:
        pattern: Shell pattern, such as ``"internimage_l*"``.
        pretrained: Only models with weights, leaving bare architectures out.

    Example:
        >>> list_models("internimage_t*", pretrained=True)
        ['internimage_t_1k_224']
    """
    names = [card.id for card in CARDS.values() if card.available or not pretrained]
    if not pretrained:
        names.extend(ARCHITECTURES)
    return sorted(name for name in names if fnmatchcase(name, pattern))


def find_card(name: str) -> ModelCard | None:
    """Return the card of a model id, None for an architecture name.

    Raises:
        ValueError: ``name`` is neither; the message shows the nearest names.
    """
    if name in CARDS:
        return CARDS[name]
    if name in ARCHITECTURES:
        return None
    close = difflib.get_close_matches(name, [*CARDS, *ARCHITECTURES], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "see intern25.list_models()"
    raise ValueError(f"no model or architecture is called {name!r}; {hint}")
