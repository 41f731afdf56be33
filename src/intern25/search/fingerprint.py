# SPDX-License-Identifier: MIT
"""A short text that tells the weights of two models apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

_VALUES_LOOKED_AT = 1024


def fingerprint_of(model: nn.Module) -> str:
    """Return 16 digits from the names, shapes and some values of every tensor.

    What is special: values are taken at even steps, so that a gigabyte of weights takes milliseconds;
    training moves every tensor, and one step of it shows.

    Args:
        model: Any model; the device does not matter.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = fingerprint_of(layer)
        >>> _ = nn.init.zeros_(layer.weight)
        >>> before == fingerprint_of(layer)
        False
    """
    return _digits(sorted(model.state_dict().items()))


def fingerprint_of_file(path: str | Path) -> str:
    """Return the 16 digits of the model that a safetensors file holds, as :func:`fingerprint_of` does.

    What is special: they are the same on every device, where the loaded model may be an optimised one.
    """
    return _digits(_tensors_in(Path(path)))


def _tensors_in(path: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            yield name, file.get_tensor(name)


def _digits(tensors: Iterable[tuple[str, Tensor]]) -> str:
    state = hashlib.blake2b(digest_size=8)
    for name, tensor in tensors:
        state.update(f"{name}{tuple(tensor.shape)}".encode())
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, len(flat) // _VALUES_LOOKED_AT)]
        state.update(sample.to("cpu", torch.float32).numpy().tobytes())
    return state.hexdigest()
