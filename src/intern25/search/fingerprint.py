# SPDX-License-Identifier: MIT
"""A short text that tells the weights of two models apart."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

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
    state = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        state.update(f"{name}{tuple(tensor.shape)}".encode())
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, len(flat) // _VALUES_LOOKED_AT)]
        state.update(sample.to("cpu", torch.float32).numpy().tobytes())
    return state.hexdigest()
