# SPDX-License-Identifier: MIT
"""This package's weight file: safetensors whose header says how to rebuild, feed and read the model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from torch import nn

from intern25._version import __version__
from intern25.backbones.internimage import InternImage
from intern25.data.class_names import ClassNames
from intern25.data.tensor_files import stand_alone as stand_alone
from intern25.data.tensor_files import write_tensors as write_tensors
from intern25.data.writing import write_whole as write_whole
from intern25.weights.kinds import (
    FAMILIES,
    AnyPreprocessing,
    ModelConfig,
    ModelKind,
    config_from_json,
    kind_of_model,
)

_PREFIX = "intern25."
_EXTRA_PREFIX = "intern25.extra."


@dataclass(frozen=True, kw_only=True, slots=True)
class FileMetadata:
    """What the header of a weight file says; None where it says nothing."""

    model: ModelKind | None = None
    """Class of the model, in a word."""
    config: ModelConfig | None = None
    """Architecture."""
    num_classes: int | None = None
    """Classes of the output."""
    classes: ClassNames | None = None
    """Names of the outputs."""
    preprocessing: AnyPreprocessing | None = None
    """Evaluation transform."""
    version: str | None = None
    """Version of this package that wrote the file."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Free text of the writer, such as licence and recipe."""


def save_model(
    path: str | Path,
    model: nn.Module,
    *,
    classes: ClassNames | None = None,
    preprocessing: AnyPreprocessing | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a model with everything needed to use it again; the file appears whole or not at all.

    Args:
        path: Destination, ``.safetensors``.
        model: A backbone, classifier, detector or segmenter of this package.
        classes: Names of the outputs.
        preprocessing: Evaluation transform of this kind of model.
        extra: Further text for the header.

    Raises:
        TypeError: ``model`` is of another class, or ``preprocessing`` is for another task.
        ValueError: ``path`` has another suffix, or the number of names is not the number of outputs.

    Example:
        >>> save_model("flowers.safetensors", model, preprocessing=Preprocessing(224))  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must end in .safetensors")
    num_classes = getattr(model, "num_classes", None)
    if classes is not None and len(classes.en) != num_classes:
        raise ValueError(f"{len(classes.en)} class names for a model with {num_classes} outputs")
    kind = model_kind(model)
    expected = FAMILIES[kind].preprocessing
    if preprocessing is not None and not isinstance(preprocessing, expected):
        raise TypeError(
            f"a {FAMILIES[kind].task} model takes a {expected.__name__}, not a {type(preprocessing).__name__}"
        )
    metadata = FileMetadata(
        model=kind,
        config=cast(ModelConfig, model.config),
        num_classes=num_classes,
        classes=classes,
        preprocessing=preprocessing,
        extra=extra or {},
    )
    write_tensors(path, dict(model.state_dict()), metadata_to_header(metadata))


def model_kind(model: nn.Module) -> ModelKind:
    """Word for the class of ``model`` in the header.

    Raises:
        TypeError: It is no model of this package on an InternImage.
    """
    kind = kind_of_model(model)
    if kind is None:
        raise TypeError(
            f"cannot save a {type(model).__name__}; expected InternImage, or a classifier, detector or "
            "segmenter of this package"
        )
    if not any(isinstance(module, InternImage) for module in model.modules()):
        raise TypeError(
            f"cannot save this {type(model).__name__}: its backbone is no InternImage, so the file could not "
            "be turned into a model again; save its state_dict() instead"
        )
    return kind


def read_metadata(path: str | Path) -> FileMetadata:
    """Read the header of a weight file, not its tensors.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is no safetensors file, or its header was damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weight file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from error
    return metadata_from_header(header, path)


def metadata_to_header(metadata: FileMetadata) -> dict[str, str]:
    """The header's text entries; safetensors holds nothing but text."""
    header = {"format": "pt", f"{_PREFIX}version": __version__}
    entries: dict[str, Any] = {
        "model": metadata.model,
        "num_classes": metadata.num_classes,
        "config": None if metadata.config is None else dataclasses.asdict(metadata.config),
    }
    for name, value in entries.items():
        if value is not None:
            header[_PREFIX + name] = json.dumps(value, ensure_ascii=False)
    if metadata.classes is not None:
        header[f"{_PREFIX}classes"] = metadata.classes.to_json()
    if metadata.preprocessing is not None:
        header[f"{_PREFIX}preprocessing"] = metadata.preprocessing.to_json()
    header.update({_EXTRA_PREFIX + name: str(value) for name, value in metadata.extra.items()})
    return header


def metadata_from_header(header: Mapping[str, str], path: Path) -> FileMetadata:
    """What :func:`metadata_to_header` wrote; entries of other programs are left out."""

    def entry(name: str, build: Callable[[str], Any]) -> Any:
        text = header.get(_PREFIX + name)
        if text is None:
            return None
        try:
            return build(text)
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: the entry {name!r} of its header cannot be read ({error})") from error

    kind: ModelKind | None = entry("model", _read_kind)
    # Files of the first version say no kind beside the configuration of a classifier.
    family = FAMILIES[kind or "classifier"]
    return FileMetadata(
        model=kind,
        config=entry("config", lambda text: config_from_json(kind or "classifier", text)),
        num_classes=entry("num_classes", lambda text: int(json.loads(text))),
        classes=entry("classes", ClassNames.from_json),
        preprocessing=entry("preprocessing", family.preprocessing.from_json),
        version=header.get(f"{_PREFIX}version"),
        extra={
            name.removeprefix(_EXTRA_PREFIX): text
            for name, text in header.items()
            if name.startswith(_EXTRA_PREFIX)
        },
    )


def _read_kind(text: str) -> ModelKind:
    kind = json.loads(text)
    if kind not in FAMILIES:
        raise ValueError(f"the kind {kind!r} is unknown to this version of intern25")
    return cast(ModelKind, kind)
