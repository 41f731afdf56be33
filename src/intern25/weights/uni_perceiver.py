# SPDX-License-Identifier: MIT
"""Load Uni-Perceiver encoders from the authors' files or from converted ones, and write the latter."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor

from intern25._version import __version__
from intern25.generalist.uni_perceiver import UniPerceiverConfig, UniPerceiverEncoder
from intern25.weights.adapters.uni_perceiver import is_uni_perceiver
from intern25.weights.adapters.uni_perceiver_state import UniPerceiverState, translate_uni_perceiver
from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.files import write_tensors

_HEADER = "intern25.uni_perceiver"


def holds_uni_perceiver(checkpoint: Checkpoint) -> bool:
    """Whether a file is one of the authors' or one that :func:`write_uni_perceiver` wrote."""
    return _HEADER in checkpoint.metadata or is_uni_perceiver(checkpoint.tensors)


def state_of(checkpoint: Checkpoint, *, ignore_unknown: bool = False) -> UniPerceiverState:
    """Sizes and state dict of a Uni-Perceiver file.

    Args:
        checkpoint: The file.
        ignore_unknown: Leave tensors of unknown names out instead of raising.

    Raises:
        ValueError: It is none, or not whole.
    """
    text = checkpoint.metadata.get(_HEADER)
    if text is None:
        return translate_uni_perceiver(
            checkpoint.tensors, str(checkpoint.path), ignore_unknown=ignore_unknown
        )
    try:
        config = UniPerceiverConfig(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{checkpoint.path}: the sizes in its header cannot be read ({error})") from error
    return UniPerceiverState(config=config, tensors=checkpoint.tensors, unused=(), notes=())


def load_uni_perceiver(path: str | Path, *, ignore_unknown: bool = False) -> UniPerceiverEncoder:
    """Load the encoder of Uni-Perceiver or Uni-Perceiver-MoE, without running code of the file.

    Args:
        path: A file of the authors, or one that ``intern25 convert`` made of it.
        ignore_unknown: Leave tensors of unknown names out instead of raising.

    Returns:
        The encoder in evaluation mode, float32.

    Raises:
        FileNotFoundError: Nothing is at ``path``.
        ValueError: It is no Uni-Perceiver, a name in it is unknown, or it is not whole.

    Example:
        >>> load_uni_perceiver("uni-perceiver-base-L12-H768-224size-pretrained.pth")  # doctest: +SKIP
    """
    state = state_of(read_checkpoint(path), ignore_unknown=ignore_unknown)
    encoder = UniPerceiverEncoder(state.config)
    try:
        lacking = encoder.load_state_dict(state.tensors, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the sizes in its header: {error}") from error
    lost = [name for name in lacking.missing_keys if not name.startswith("log_scale.")]
    if lost or lacking.unexpected_keys:
        raise ValueError(f"{path} is damaged: {', '.join([*lost, *lacking.unexpected_keys][:4])}")
    return encoder.eval()


def write_uni_perceiver(path: Path, state: UniPerceiverState, tensors: dict[str, Tensor]) -> None:
    """Write tensors of a state under our names, whole or not at all."""
    header = {
        "format": "pt",
        "intern25.version": __version__,
        _HEADER: json.dumps(dataclasses.asdict(state.config)),
    }
    write_tensors(path, tensors, header)


def parameters_of(config: UniPerceiverConfig) -> int:
    """Parameters of an encoder of these sizes."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in UniPerceiverEncoder(config).parameters())
