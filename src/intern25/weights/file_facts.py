# SPDX-License-Identifier: MIT
"""What a weight file holds, in a few facts, whoever wrote it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from intern25.weights.checkpoint import Checkpoint, read_checkpoint
from intern25.weights.generalists import is_generalist_file
from intern25.weights.identify import file_metadata, identify
from intern25.weights.layouts import recognise
from intern25.weights.uni_perceiver import holds_uni_perceiver, parameters_of, state_of

_UNI_PERCEIVER_NOTE = (
    "the layout follows the authors' published code; no published file was at hand when it was written down"
)


def file_facts(path: str | Path) -> dict[str, Any]:
    """Say what a weight file is: a model of one task, a generalist, or a Uni-Perceiver.

    Args:
        path: File or folder that :func:`~intern25.weights.checkpoint.read_checkpoint` reads.

    Returns:
        ``path``, ``container``, ``holds``, ``layout``, ``tensors``, ``values`` (numbers in all tensors),
        ``notes``, and what is particular to the kind. JSON can hold it.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It holds no readable weights of a known kind.
    """
    checkpoint = read_checkpoint(path)
    particular = (
        {"holds": "generalist", "layout": "intern25", "notes": []}
        if is_generalist_file(checkpoint.path)
        else _uni_perceiver(checkpoint)
        if holds_uni_perceiver(checkpoint)
        else _model_of_one_task(checkpoint)
    )
    return {
        "path": str(checkpoint.path),
        "container": checkpoint.container,
        "tensors": len(checkpoint.tensors),
        "values": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        **particular,
    }


def _uni_perceiver(checkpoint: Checkpoint) -> dict[str, Any]:
    state = state_of(checkpoint, ignore_unknown=True)
    published = "intern25.uni_perceiver" not in checkpoint.metadata
    return {
        "holds": "Uni-Perceiver-MoE" if state.config.experts else "Uni-Perceiver",
        "layout": "official" if published else "intern25",
        "parameters": parameters_of(state.config),
        "unused_tensors": len(state.unused),
        "config": dataclasses.asdict(state.config),
        "notes": [*state.notes, *([_UNI_PERCEIVER_NOTE] if published else [])],
    }


def _model_of_one_task(checkpoint: Checkpoint) -> dict[str, Any]:
    recognised = recognise(checkpoint.tensors, checkpoint.path)
    facts: dict[str, Any] = {"holds": recognised.kind.replace("_", " "), "layout": recognised.layout}
    try:
        blueprint = identify(checkpoint, recognised, file_metadata(checkpoint).config)
    except ValueError as error:
        return {**facts, "notes": [str(error)]}
    return {**facts, "num_classes": blueprint.num_classes or None, "notes": []}
