# SPDX-License-Identifier: MIT
"""Write weights in another layout: ours, the official code's, Hugging Face's; exact to the bit, both ways."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from intern25.backbones.internimage import InternImageConfig
from intern25.data.preprocessing import Preprocessing
from intern25.weights.adapters import hugging_face
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.catalog import CARDS, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.files import FileMetadata, metadata_to_header, stand_alone, write_tensors, write_whole
from intern25.weights.generalists import is_generalist_file
from intern25.weights.identify import classes_of, file_metadata, identify
from intern25.weights.kinds import CLASSIFIERS, Blueprint, with_classes
from intern25.weights.layouts import Layout, Recognised, from_ours, recognise, translate
from intern25.weights.matching import check_same_architecture
from intern25.weights.uni_perceiver import holds_uni_perceiver, state_of, write_uni_perceiver

_SUFFIXES = {"intern25": (".safetensors",), "official": (".pth", ".pt")}


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    layout: Layout = "intern25",
    architecture: str | None = None,
    prefer_ema: bool = False,
    dtype: torch.dtype | None = None,
) -> None:
    """Convert a checkpoint of any layout; without ``dtype`` tensors keep every bit.

    Generalists keep all that their files say. Uni-Perceiver's own files become ``layout="intern25"`` files of
    the tensors that the encoder needs.

    Args:
        source: File or folder, as for ``load_checkpoint``.
        destination: ``.safetensors`` for ``layout="intern25"``, ``.pth`` for ``"official"``, a new folder for
            ``"hugging_face"`` (classifiers only). It appears whole or not at all.
        layout: Layout to write.
        architecture: Architecture or model id of the source; None to recognise it by config, file name or
            sizes.
        prefer_ema: Take the averaged weights of a training checkpoint.
        dtype: Floating type to store, such as ``torch.float16`` for half the size; None keeps each tensor's.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        ValueError: It cannot be read, its architecture is not recognised, ``destination`` does not suit, or a
            value is too large for ``dtype``.

    Example:
        >>> convert("internimage_t_1k_224.pth", "t.safetensors")  # doctest: +SKIP
    """
    destination = Path(destination)
    _check_destination(destination, layout)
    checkpoint = read_checkpoint(source, prefer_ema=prefer_ema)
    if is_generalist_file(checkpoint.path):
        _check_own_layout(checkpoint, "generalist", layout, architecture)
        write_tensors(destination, _all_cast(dict(checkpoint.tensors), dtype), dict(checkpoint.metadata))
        return
    if holds_uni_perceiver(checkpoint):
        _convert_uni_perceiver(checkpoint, destination, layout, architecture, dtype)
        return
    recognised = recognise(checkpoint.tensors, checkpoint.path, prefer_ema=prefer_ema)
    metadata, blueprint = _describe(checkpoint, recognised, architecture)
    translation = translate(checkpoint.tensors, recognised, blueprint)
    if translation.unexpected:
        raise ValueError(
            f"{checkpoint.path} has {len(translation.unexpected)} tensors without a name in {layout!r}, "
            f"the first {translation.unexpected[0]!r}; is it another architecture?"
        )
    tensors = _all_cast(from_ours(translation.tensors, layout, blueprint), dtype)
    _WRITERS[layout](destination, tensors, metadata)


def _convert_uni_perceiver(
    checkpoint: Checkpoint,
    destination: Path,
    layout: Layout,
    architecture: str | None,
    dtype: torch.dtype | None,
) -> None:
    """An encoder of its own, which has no other layout and no architecture by name."""
    _check_own_layout(checkpoint, "Uni-Perceiver", layout, architecture)
    state = state_of(checkpoint)
    write_uni_perceiver(destination, state, _all_cast(state.tensors, dtype))


def _check_own_layout(checkpoint: Checkpoint, kind: str, layout: Layout, architecture: str | None) -> None:
    if layout != "intern25" or architecture is not None:
        raise ValueError(
            f"{checkpoint.path} is a {kind}, which is converted to layout='intern25' only, without "
            f"architecture; layout={layout!r}, architecture={architecture!r}"
        )


def _all_cast(tensors: dict[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    if dtype is None:
        return tensors
    return {name: _cast(name, tensor, dtype) for name, tensor in tensors.items()}


def _cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """``tensor`` in ``dtype`` unless it counts something; refuses values that would become infinite."""
    if not tensor.is_floating_point():
        return tensor
    cast = tensor.to(dtype)
    if not torch.equal(cast.isfinite(), tensor.isfinite()):
        largest = float(tensor.abs().max())
        raise ValueError(f"{name} reaches {largest:g}, too large for {dtype}; choose another dtype")
    return cast


def _check_destination(destination: Path, layout: Layout) -> None:
    if layout not in _WRITERS:
        raise ValueError(f"layout={layout!r} must be one of {', '.join(_WRITERS)}")
    suffixes = _SUFFIXES.get(layout)
    if suffixes and destination.suffix not in suffixes:
        raise ValueError(
            f"layout={layout!r} is written to a {' or '.join(suffixes)} file, not to {destination}"
        )
    if layout == "hugging_face" and destination.exists():
        raise ValueError(f"{destination} exists; layout='hugging_face' writes a new folder")


def _describe(
    checkpoint: Checkpoint, recognised: Recognised, architecture: str | None
) -> tuple[FileMetadata, Blueprint]:
    """The file's own description, completed from the catalog and from its sizes, and what to build for it."""
    metadata = file_metadata(checkpoint)
    config, card = metadata.config, CARDS.get(checkpoint.path.stem)
    if architecture is not None:
        card = find_card(architecture)
        wanted = card.config if card else ARCHITECTURES[architecture]
        if config is not None:
            check_same_architecture(wanted, config, architecture)
        config = config or wanted
    blueprint = identify(checkpoint, recognised, config, likely=card.architecture if card else None)
    is_head = blueprint.kind not in CLASSIFIERS
    named = classes_of(checkpoint, card, blueprint.num_classes) if is_head else None
    return (
        dataclasses.replace(
            metadata,
            model=blueprint.kind,
            config=with_classes(blueprint.config, blueprint.num_classes),
            num_classes=None if blueprint.kind == "backbone" else blueprint.num_classes,
            preprocessing=metadata.preprocessing or (card.preprocessing if card else None),
            classes=metadata.classes or named,
        ),
        blueprint,
    )


def _write_own(destination: Path, tensors: Mapping[str, Tensor], metadata: FileMetadata) -> None:
    write_tensors(destination, tensors, metadata_to_header(metadata))


def _write_official(destination: Path, tensors: Mapping[str, Tensor], metadata: FileMetadata) -> None:
    """The container that the official program for this kind of model reads."""
    content: dict[str, object] = {"model": stand_alone(tensors)}
    if metadata.model not in CLASSIFIERS:
        meta = {} if metadata.classes is None else {"CLASSES": metadata.classes.en}
        content = {"meta": meta, "state_dict": stand_alone(tensors)}
    write_whole(destination, lambda temporary: torch.save(content, temporary))


def _write_hugging_face(destination: Path, tensors: Mapping[str, Tensor], metadata: FileMetadata) -> None:
    config = metadata.config
    assert isinstance(config, InternImageConfig), "other kinds have no such layout"
    if not destination.parent.is_dir():
        raise ValueError(f"cannot write {destination}: the folder {destination.parent} does not exist")
    temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent))
    try:
        _write_json(temporary / "config.json", hugging_face.write_config(config, metadata.num_classes or 0))
        if isinstance(metadata.preprocessing, Preprocessing):
            _write_json(
                temporary / "preprocessor_config.json",
                hugging_face.write_preprocessing(metadata.preprocessing),
            )
        write_tensors(temporary / "model.safetensors", tensors, {"format": "pt"})
        temporary.chmod(0o755)
        temporary.replace(destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


_WRITERS: Mapping[Layout, Callable[[Path, Mapping[str, Tensor], FileMetadata], None]] = {
    "intern25": _write_own,
    "official": _write_official,
    "hugging_face": _write_hugging_face,
}
