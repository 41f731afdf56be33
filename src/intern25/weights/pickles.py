# SPDX-License-Identifier: MIT
"""Read PyTorch pickles without running their code, also those with foreign objects inside.

Training programs store their settings beside the weights (yacs, DeepSpeed, mmcv), and PyTorch's safe reader
refuses such a file as a whole. Here inert stand-ins take the place of foreign classes: nothing of theirs is
called.
"""

from __future__ import annotations

import pickle
import threading
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

_FORBIDDEN_MODULES = frozenset(
    {"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__", "commands", "pty"}
)
"""No settings object comes from here: a file that asks for these is an attack, not a checkpoint."""
_HARMLESS_BUILTINS = frozenset(
    {"dict", "list", "set", "frozenset", "int", "float", "str", "bool", "tuple", "slice", "object", "getattr"}
)
"""Containers, and ``getattr`` by which enumerations are stored; never called either."""


_KNOWN_FOREIGN = (
    "yacs.config.CfgNode",
    "argparse.Namespace",
    "mmcv.utils.config.ConfigDict",
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "torch.distributed.fsdp.api.ShardingStrategy",
)
"""Classes met in published files; other names are read from the file itself where its format allows."""

_NUMPY: list[Any] = [
    (np.dtype, "numpy.dtype"),
    (np.dtypes.Float64DType, "numpy.dtypes.Float64DType"),
    (np.dtypes.Float32DType, "numpy.dtypes.Float32DType"),
    (np.dtypes.Int64DType, "numpy.dtypes.Int64DType"),
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy._core.multiarray.scalar"),  # type: ignore[attr-defined]
]
"""Numbers such as the best accuracy so far; numpy's own functions, which run nothing from the file."""

_LOCK = threading.Lock()
"""PyTorch keeps the list of safe names in one global place."""


class _InertObject(list[Any]):
    """Stands for a foreign object: takes any arguments, items and state, and keeps none."""

    def __new__(cls, *_: Any, **__: Any) -> _InertObject:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def append(self, _: Any) -> None:
        """Forget the item."""

    def extend(self, _: Any) -> None:
        """Forget the items."""

    def __setstate__(self, _: Any) -> None:
        """Forget the state."""


class _InertMapping:
    """Stands for a foreign subclass of dict: what comes back is a plain ``OrderedDict``."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


def read_pickle(path: Path) -> object:
    """Return the content of a file written by ``torch.save``; tensors may be mapped from the disk.

    Raises:
        ValueError: The file is damaged, or asks for code that no weights need.
    """
    with _LOCK:
        try:
            return _load(path)
        except pickle.UnpicklingError:
            return _load_with_stand_ins(path)


def _load(path: Path) -> object:
    mapped = zipfile.is_zipfile(path) or None
    try:
        with warnings.catch_warnings():
            # Of an unusual pickle protocol; what cannot be read is said by an error.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # torch raises many kinds for one cause
        raise ValueError(
            f"{path} is damaged or was not written by torch.save ({_first_line(error)}); "
            "download or copy it again"
        ) from error


def _load_with_stand_ins(path: Path) -> object:
    names = _foreign_names(path)
    for name in names:
        module, _, last = name.rpartition(".")
        if module.split(".")[0] in _FORBIDDEN_MODULES and last not in _HARMLESS_BUILTINS:
            raise ValueError(
                f"{path} would run {name} when unpickled, which no weights need; nothing of it was run. "
                "Do not use this file"
            )
    with torch.serialization.safe_globals([*_NUMPY, *((_stand_in(name), name) for name in names)]):
        try:
            return _load(path)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"{path} cannot be read without running code from it ({_reason(error)}). If you trust it, "
                "load it in the program that wrote it and save only its state_dict()"
            ) from error


def _foreign_names(path: Path) -> list[str]:
    """Classes and functions the file names; the old format without a zip archive cannot be listed."""
    names = set(_KNOWN_FOREIGN)
    if zipfile.is_zipfile(path):
        names.update(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    return sorted(names - {name for _, name in _NUMPY})


def _stand_in(name: str) -> type:
    """Dict-like classes must take items, which PyTorch allows for its own dict types only."""
    is_mapping = name.lower().endswith(("dict", "cfgnode"))
    return _InertMapping if is_mapping else _InertObject


def _reason(error: BaseException) -> str:
    """What PyTorch's safe reader stumbled on, without its advice to trust the file."""
    lines = [
        line for line in str(error).splitlines() if "GLOBAL" in line or "Can only" in line or "Trying" in line
    ]
    return lines[0].strip() if lines else _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
