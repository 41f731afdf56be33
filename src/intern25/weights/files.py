# SPDX-License-Identifier: MIT
"""This package's weight file: safetensors whose header says how to rebuild, feed and read the model."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor, nn

from intern25._version import __version__
from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImage, InternImageConfig
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.data.class_names import ClassNames
from intern25.data.preprocessing import Preprocessing

ModelKind = Literal["backbone", "classifier", "metadata_classifier"]

_PREFIX = "intern25."
_EXTRA_PREFIX = "intern25.extra."


@dataclass(frozen=True, kw_only=True, slots=True)
class FileMetadata:
    """What the header of a weight file says; None where it says nothing."""

    model: ModelKind | None = None
    """Class of the model."""
    config: InternImageConfig | None = None
    """Architecture."""
    num_classes: int | None = None
    """Outputs of the classifier."""
    classes: ClassNames | None = None
    """Names of the outputs."""
    preprocessing: Preprocessing | None = None
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
    preprocessing: Preprocessing | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a model with everything needed to use it again; the file appears whole or not at all.

    Args:
        path: Destination, ``.safetensors``.
        model: A classifier or backbone of this package.
        classes: Names of the outputs.
        preprocessing: Evaluation transform.
        extra: Further text for the header.

    Raises:
        TypeError: ``model`` is of another class.
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
    metadata = FileMetadata(
        model=model_kind(model),
        config=cast(InternImageConfig, model.config),
        num_classes=num_classes,
        classes=classes,
        preprocessing=preprocessing,
        extra=extra or {},
    )
    write_tensors(path, dict(model.state_dict()), metadata_to_header(metadata))


def model_kind(model: nn.Module) -> ModelKind:
    """Word for the class of ``model`` in the header."""
    if isinstance(model, InternImageMetaClassifier):
        return "metadata_classifier"
    if isinstance(model, InternImageClassifier):
        return "classifier"
    if isinstance(model, InternImage):
        return "backbone"
    raise TypeError(f"cannot save a {type(model).__name__}; expected InternImage or InternImageClassifier")


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

    return FileMetadata(
        model=entry("model", json.loads),
        config=entry("config", lambda text: InternImageConfig(**json.loads(text))),
        num_classes=entry("num_classes", lambda text: int(json.loads(text))),
        classes=entry("classes", ClassNames.from_json),
        preprocessing=entry("preprocessing", Preprocessing.from_json),
        version=header.get(f"{_PREFIX}version"),
        extra={
            name.removeprefix(_EXTRA_PREFIX): text
            for name, text in header.items()
            if name.startswith(_EXTRA_PREFIX)
        },
    )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    plain = stand_alone(tensors)
    write_whole(path, lambda temporary: save_file(plain, temporary, metadata=dict(header)))


def stand_alone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU that share no memory; views and ties are copied, the rest is passed on as it is."""
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        alone = tensor.detach().cpu().contiguous()
        if alone.untyped_storage().nbytes() != alone.nbytes or alone.data_ptr() in seen:
            alone = alone.clone()
        seen.add(alone.data_ptr())
        plain[name] = alone
    return plain


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then put it in place in one step.

    Raises:
        ValueError: The folder of ``path`` does not exist.
    """
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: the folder {path.parent} does not exist")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        # mkstemp makes files private; a weight file is as readable as any new file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
