# SPDX-License-Identifier: MIT
"""One row of the catalog: a model with weights, or a published configuration whose weights never appeared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.kinds import (
    FAMILIES,
    AnyPreprocessing,
    ModelConfig,
    ModelKind,
    Task,
    kind_of_config,
    with_classes,
)

HUB_REPOSITORY = "OpenGVLab/InternImage"
"""Where the authors publish their files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """One model."""

    id: str
    """Name for ``create_model``: the stem of the published file."""
    architecture: str
    """Key of ``ARCHITECTURES``."""
    head: Literal["classifier", "metadata_classifier"] = "classifier"
    """Of classifiers: a plain one, or one that also reads the month and place of the picture."""
    num_classes: int
    """Outputs of the published head."""
    classes: str
    """Name of the class list, for ``class_names``; outputs beyond its end have no name."""
    preprocessing: AnyPreprocessing
    """Evaluation transform of the published result."""
    source: Literal["hub", "package", "unpublished"] = "hub"
    """Downloaded from the hub, shipped inside this package, or never published."""
    file: str
    """File name in the hub repository or in the package's assets; the expected one if unpublished."""
    hub_repository: str = HUB_REPOSITORY
    """Hub repository of ``file``."""
    hugging_face: str | None = None
    """Hub repository with the same weights in the Hugging Face layout."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Published results in percent, such as ``{"top1": 83.5}``, ``{"box_ap": 47.2}``, ``{"miou": 47.9}``."""
    published_gflops: float | None = None
    """What the authors' table calls FLOPs, in units of 1e9."""
    counted_size: tuple[int, int] | None = None
    """Height and width it holds for, where that is not the usual size of the task."""
    pretraining: str
    """Data the weights have seen, in order."""
    licence: str = "MIT"
    """Licence of the weights."""
    sha256: str | None = None
    """Checksum of ``file``; None where the publisher states none."""

    @property
    def config(self) -> ModelConfig:
        """Architecture of the model."""
        return with_classes(ARCHITECTURES[self.architecture], self.num_classes)

    @property
    def kind(self) -> ModelKind:
        """Class of the model, in a word."""
        kind = kind_of_config(self.config)
        return self.head if kind == "classifier" else kind

    @property
    def task(self) -> Task:
        """What the model does."""
        return FAMILIES[self.kind].task

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
        return self.source == "hub" or (self.source == "package" and self.packaged_path.is_file())
