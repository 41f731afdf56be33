# SPDX-License-Identifier: MIT
"""Read the tensors out of a weight file or folder of any kind, without ever running code from it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from intern25.weights.pickles import read_pickle

_CONTAINERS = ("model", "module", "state_dict", "model_state_dict")
"""Keys under which training programs store the weights, in order of preference."""
_EMA_CONTAINERS = ("model_ema", "state_dict_ema", "ema")
_EMA_BUFFER_PREFIX = "ema_"
"""mmcv's averaging hook stores its copies under ``ema_`` plus the name with underscores for dots."""
_FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_WRONG_KINDS = (
    (
        b"version https://git-lfs",
        "a git-lfs pointer, not the weights; run 'git lfs pull' or download the file itself",
    ),
    (b"<!doctype html", "a web page, not weights; download it again with the 'resolve' address of the file"),
    (b"<html", "a web page, not weights; download it again with the 'resolve' address of the file"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Tensors of a file as they are named there."""

    path: Path
    """File or folder that was read."""
    container: str
    """What was read, in words: ``"'model' of a PyTorch file"``."""
    tensors: dict[str, Tensor]
    """Name in the file to tensor; may be mapped from the disk."""
    dropped: tuple[str, ...] = ()
    """Names that are never weights of a model, such as the copies of an averaging hook."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Text of a safetensors header."""
    class_names: tuple[str, ...] = ()
    """Names of the classes that mmdetection and mmsegmentation store beside the weights."""
    config: Mapping[str, Any] | None = None
    """Content of ``config.json`` next to the weights."""
    preprocessor: Mapping[str, Any] | None = None
    """Content of ``preprocessor_config.json`` next to the weights."""


def read_checkpoint(path: str | Path, *, prefer_ema: bool = False) -> Checkpoint:
    """Read a ``.pth``, ``.pt``, ``.bin`` or ``.safetensors`` file, or a Hugging Face folder.

    Args:
        path: File or folder.
        prefer_ema: Take the averaged weights of a training checkpoint.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It holds no readable weights; the message says what it is and what to do.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no such weight file or folder: {path}")
    if path.is_dir():
        return _read_folder(path, prefer_ema)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    return _read_file(path, prefer_ema)


def _read_file(path: Path, prefer_ema: bool) -> Checkpoint:
    kind = _kind_of(path)
    if kind == "safetensors":
        if prefer_ema:
            raise ValueError(
                f"{path} is a safetensors file, which has no separate averaged weights; drop prefer_ema"
            )
        tensors, metadata = _read_safetensors(path)
        return Checkpoint(path=path, container="a safetensors file", tensors=tensors, metadata=metadata)
    content = read_pickle(path)
    tensors, container = _find_tensors(content, path, prefer_ema)
    dropped = tuple(name for name in tensors if name.startswith(_EMA_BUFFER_PREFIX))
    for name in dropped:
        del tensors[name]
    return Checkpoint(
        path=path, container=container, tensors=tensors, dropped=dropped, class_names=_class_names(content)
    )


def _class_names(content: object) -> tuple[str, ...]:
    """``CLASSES`` of the ``meta`` of a file; empty when it has none."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    names = meta.get("CLASSES") if isinstance(meta, Mapping) else None
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return ()


def _kind_of(path: Path) -> str:
    """``"safetensors"`` or ``"pickle"``, or an error that says what the file is instead."""
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path} is empty; download or copy it again")
    with path.open("rb") as file:
        start = file.read(64)
    for mark, words in _WRONG_KINDS:
        if start.lstrip().lower().startswith(mark):
            raise ValueError(f"{path} is {words}")
    header = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and header < 100_000_000:
        return "safetensors"
    if start.startswith(b"PK\x03\x04"):
        _check_zip(path)
        return "pickle"
    if start.startswith(b"\x80"):
        return "pickle"
    raise ValueError(
        f"{path} ({size} bytes, starts with {start[:12]!r}) is no weight file; "
        "expected .safetensors, .pth, .pt, .bin or a folder with one of them"
    )


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is cut off ({path.stat().st_size} bytes); download or copy it again")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        raise ValueError(
            f"{path} is a TorchScript program, not weights; save its state_dict() with torch.save"
        )
    if not any(name.endswith("/data.pkl") for name in names):
        raise ValueError(f"{path} is a zip archive but no PyTorch file; unpack it and pass the file inside")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is a damaged safetensors file ({error}); download or copy it again"
        ) from error


def _find_tensors(content: object, path: Path, prefer_ema: bool) -> tuple[dict[str, Tensor], str]:
    """The state dict inside what was unpickled, and where it lay."""
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, not a dict of tensors; save model.state_dict()"
        )
    if prefer_ema:
        return _find_averaged(content, path)
    for key in _CONTAINERS:
        if _has_tensors(content.get(key)):
            return _only_tensors(content[key]), f"{key!r} of a PyTorch file"
    if _has_tensors(content):
        return _only_tensors(content), "a bare state dict in a PyTorch file"
    for key in _EMA_CONTAINERS:
        if _has_tensors(content.get(key)):
            return _only_tensors(content[key]), f"{key!r} of a PyTorch file, which has no other weights"
    raise ValueError(
        f"{path} holds no tensors; its entries are {', '.join(map(str, list(content)[:8])) or 'none'}"
    )


def _find_averaged(content: Mapping[Any, Any], path: Path) -> tuple[dict[str, Tensor], str]:
    """The averaged state dict of a training checkpoint."""
    for key in _EMA_CONTAINERS:
        if _has_tensors(content.get(key)):
            return _only_tensors(content[key]), f"{key!r} of a PyTorch file"
    for key in _CONTAINERS:
        tensors = content.get(key, {})
        if _has_tensors(tensors) and any(str(name).startswith(_EMA_BUFFER_PREFIX) for name in tensors):
            # mmcv's hook swaps before the file is written: the ordinary names hold the average.
            return _only_tensors(tensors), f"{key!r} of a PyTorch file, whose ordinary names hold the average"
    raise ValueError(
        f"{path} has no averaged weights ({', '.join(_EMA_CONTAINERS)}); "
        f"it has {', '.join(map(str, list(content)[:8]))}; drop prefer_ema"
    )


def _has_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(entry, Tensor) for entry in value.values())


def _only_tensors(value: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): entry.detach() for name, entry in value.items() if isinstance(entry, Tensor)}


def _read_folder(folder: Path, prefer_ema: bool) -> Checkpoint:
    config = _read_json(folder / "config.json")
    preprocessor = _read_json(folder / "preprocessor_config.json")
    for name in _FOLDER_FILES:
        if (folder / name).is_file():
            inner = read_checkpoint(folder / name, prefer_ema=prefer_ema)
            return Checkpoint(
                path=folder,
                container=f"{name} of a folder",
                tensors=inner.tensors,
                dropped=inner.dropped,
                metadata=inner.metadata,
                config=config,
                preprocessor=preprocessor,
            )
    found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
    raise ValueError(
        f"folder {folder} has none of {', '.join(_FOLDER_FILES)}; it has {found}. Pass the weight file itself"
    )


def _read_shards(index: Path) -> Checkpoint:
    """Every file of an index, merged."""
    content = _read_json(index) or {}
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index} has no 'weight_map'; it is no index of weight files")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(weight_map.values())):
        shard = index.parent / str(name)
        if Path(str(name)).name != name or not shard.is_file():
            raise ValueError(f"{index} names {name!r}, which is not next to it; download the missing file")
        tensors.update(_read_file(shard, prefer_ema=False).tensors)
    missing = sorted(set(weight_map) - set(tensors))
    if missing:
        raise ValueError(f"the files of {index} lack {len(missing)} tensors, the first {missing[0]!r}")
    return Checkpoint(path=index, container=f"the files of {index.name}", tensors=tensors)


def _read_json(path: Path) -> dict[str, Any] | None:
    """Content of a JSON object file, None when there is no such file."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(content).__name__}")
    return content
