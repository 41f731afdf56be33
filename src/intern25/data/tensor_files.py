# SPDX-License-Identifier: MIT
"""Tensors in safetensors files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from intern25.data.writing import write_whole


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        OSError: It could not be written; what was at ``path`` is as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = stand_alone(tensors)
    try:
        write_whole(path, lambda temporary: save_file(plain, temporary, metadata=dict(header)))
    except SafetensorError as error:
        raise OSError(f"cannot write the weights {path}: {error}") from error


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
