# SPDX-License-Identifier: MIT
"""Weight file of a generalist: safetensors with the architecture in its header.

The tokenizer is there too, where it is not the package's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from intern25._version import __version__
from intern25.backbones.internimage import InternImageConfig
from intern25.data.tensor_files import write_tensors
from intern25.generalist.config import GeneralistConfig, ProposalConfig, TextConfig
from intern25.generalist.model import Generalist
from intern25.generalist.tokenizer import Tokenizer

KIND = "generalist"
_PREFIX = "intern25."
_EXTRA_PREFIX = "intern25.extra."


@dataclass(frozen=True, slots=True)
class LoadedGeneralist:
    """A generalist with its tokenizer and what its file says of it."""

    model: Generalist
    """In evaluation mode, float32."""
    tokenizer: Tokenizer
    """Turns text into its tokens."""
    extra: Mapping[str, str]
    """Free text of the writer, such as licence and recipe."""


def save_generalist(
    path: str | Path,
    model: Generalist,
    *,
    tokenizer: Tokenizer | None = None,
    dtype: torch.dtype | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a generalist with everything needed to use it again; the file appears whole or not at all.

    Args:
        path: Destination, ``.safetensors``.
        model: The generalist.
        tokenizer: Another one than the package's.
        dtype: Floating-point type of the file, such as ``torch.float16``; None keeps the model's.
        extra: Further text for the header.

    Raises:
        ValueError: ``path`` has another suffix.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must end in .safetensors")
    header = {
        "format": "pt",
        f"{_PREFIX}version": __version__,
        f"{_PREFIX}model": json.dumps(KIND),
        f"{_PREFIX}config": json.dumps(dataclasses.asdict(model.config)),
        **{_EXTRA_PREFIX + name: text for name, text in (extra or {}).items()},
    }
    if tokenizer is not None:
        header[f"{_PREFIX}tokenizer"] = tokenizer.to_json()
    tensors = {
        name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    write_tensors(path, tensors, header)


def load_generalist(path: str | Path) -> LoadedGeneralist:
    """Read what :func:`save_generalist` wrote.

    Args:
        path: Weight file.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is no weight file of a generalist, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weight file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            if header.get(f"{_PREFIX}model") != json.dumps(KIND):
                raise ValueError(f"{path} holds no generalist; train one with intern25 train generalist")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from error
    model = _empty_model(header, path)
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    try:
        model.load_state_dict(floats, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its own architecture: {error}") from error
    text = header.get(f"{_PREFIX}tokenizer")
    return LoadedGeneralist(
        model=model.eval(),
        tokenizer=Tokenizer.packaged() if text is None else Tokenizer(text),
        extra={k.removeprefix(_EXTRA_PREFIX): v for k, v in header.items() if k.startswith(_EXTRA_PREFIX)},
    )


def _empty_model(header: Mapping[str, str], path: Path) -> Generalist:
    """A model without values, whose tensors are then those of the file: nothing is initialised in vain."""
    try:
        config = generalist_from_json(header[f"{_PREFIX}config"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the architecture in its header cannot be read ({error})") from error
    with torch.device("meta"):
        return Generalist(config)


def generalist_from_json(text: str) -> GeneralistConfig:
    """Architecture from the JSON of ``dataclasses.asdict``."""
    values: dict[str, Any] = json.loads(text)
    parts = {"backbone": InternImageConfig, "text": TextConfig, "proposals": ProposalConfig}
    return GeneralistConfig(**{k: parts[k](**v) if k in parts else v for k, v in values.items()})
