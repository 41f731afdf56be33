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
from intern25.weights.adapters import hugging_face
from intern25.weights.catalog import ARCHITECTURES, CARDS, find_card
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.create import file_metadata
from intern25.weights.files import (
    FileMetadata,
    ModelKind,
    metadata_to_header,
    stand_alone,
    write_tensors,
    write_whole,
)
from intern25.weights.layouts import Layout, Recognised, from_ours, recognise, translate
from intern25.weights.matching import check_same_architecture

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

    Args:
        source: File or folder, as for ``load_checkpoint``.
        destination: ``.safetensors`` for ``layout="intern25"``, ``.pth`` for ``"official"``, a new folder for
            ``"hugging_face"``. It appears whole or not at all.
        layout: Layout to write.
        architecture: Architecture or model id of the source; None to recognise it by config, name or sizes.
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
    recognised = recognise(checkpoint.tensors, checkpoint.path, prefer_ema=prefer_ema)
    metadata = _complete_metadata(checkpoint, recognised, architecture)
    config = metadata.config
    assert config is not None, "the architecture was completed above"
    translation = translate(checkpoint.tensors, recognised, config)
    if translation.unexpected:
        raise ValueError(
            f"{checkpoint.path} has {len(translation.unexpected)} tensors without a name in {layout!r}, "
            f"the first {translation.unexpected[0]!r}; is it another architecture?"
        )
    num_classes, kind = _describe_head(translation.tensors)
    metadata = dataclasses.replace(metadata, num_classes=num_classes, model=kind)
    tensors = from_ours(translation.tensors, layout, config)
    if dtype is not None:
        tensors = {name: _cast(name, tensor, dtype) for name, tensor in tensors.items()}
    _WRITERS[layout](destination, tensors, metadata)


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


def _complete_metadata(
    checkpoint: Checkpoint, recognised: Recognised, architecture: str | None
) -> FileMetadata:
    """The file's own description, completed from the catalog."""
    metadata = file_metadata(checkpoint)
    if architecture is not None:
        card = find_card(architecture)
        wanted = ARCHITECTURES[card.architecture if card else architecture]
        if metadata.config is not None:
            check_same_architecture(wanted, metadata.config, architecture)
    else:
        card = CARDS.get(checkpoint.path.stem)
        wanted = metadata.config or infer_architecture(checkpoint, recognised)
    if metadata.config is None:
        metadata = dataclasses.replace(metadata, config=wanted)
    if metadata.preprocessing is None and card is not None:
        metadata = dataclasses.replace(metadata, preprocessing=card.preprocessing)
    return metadata


def infer_architecture(checkpoint: Checkpoint, recognised: Recognised) -> InternImageConfig:
    """Find the published architecture by the sizes of the stem and the number of blocks.

    Raises:
        ValueError: None has these sizes.
    """
    names = [name.removeprefix(recognised.prefix).removeprefix("backbone.") for name in checkpoint.tensors]
    stem = "stem" if recognised.layout == "intern25" else "patch_embed"
    stages = "stages" if recognised.layout == "intern25" else "levels"
    widths = [
        tensor.shape[0]
        for name, tensor in checkpoint.tensors.items()
        if name.endswith(f"{stem}.conv2.weight")
    ]
    depths = tuple(
        len({name.split(".")[3] for name in names if name.startswith(f"{stages}.{stage}.blocks.")})
        for stage in range(4)
    )
    for config in ARCHITECTURES.values():
        if config.depths == depths and config.channels in widths:
            return config
    raise ValueError(
        f"{checkpoint.path} has {widths or 'no'} channels and depths {depths}, which no published "
        "architecture has; build the model yourself and use load_checkpoint and save_model"
    )


def _describe_head(tensors: Mapping[str, Tensor]) -> tuple[int | None, ModelKind]:
    """Number of classes and class of the model, from its tensors."""
    if not any(name.startswith("head.") for name in tensors):
        return None, "backbone"
    num_classes = tensors["classifier.weight"].shape[0] if "classifier.weight" in tensors else 0
    has_metadata = any(name.startswith("metadata_norm") for name in tensors)
    return num_classes, "metadata_classifier" if has_metadata else "classifier"


def _write_own(destination: Path, tensors: Mapping[str, Tensor], metadata: FileMetadata) -> None:
    write_tensors(destination, tensors, metadata_to_header(metadata))


def _write_official(destination: Path, tensors: Mapping[str, Tensor], _: FileMetadata) -> None:
    content = {"model": stand_alone(tensors)}
    write_whole(destination, lambda temporary: torch.save(content, temporary))


def _write_hugging_face(destination: Path, tensors: Mapping[str, Tensor], metadata: FileMetadata) -> None:
    config = metadata.config
    assert config is not None, "conversion knows the architecture"
    if not destination.parent.is_dir():
        raise ValueError(f"cannot write {destination}: the folder {destination.parent} does not exist")
    temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent))
    try:
        _write_json(temporary / "config.json", hugging_face.write_config(config, metadata.num_classes or 0))
        if metadata.preprocessing is not None:
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
