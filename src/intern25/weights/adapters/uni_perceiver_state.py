# SPDX-License-Identifier: MIT
"""From the tensors of a published Uni-Perceiver to the state dict of our encoder: all known, all there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.generalist.attributes import NUM_ATTRIBUTES
from intern25.generalist.uni_perceiver import HEAD_WIDTH, UniPerceiverConfig, UniPerceiverEncoder
from intern25.weights.adapters.uni_perceiver import PROBE, PUBLISHED_ATTRIBUTES, Entry, entry_of

_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class UniPerceiverState:
    """A published checkpoint under our names."""

    config: UniPerceiverConfig
    """Its sizes."""
    tensors: dict[str, Tensor]
    """State dict of :class:`~intern25.generalist.uni_perceiver.UniPerceiverEncoder`."""
    unused: tuple[str, ...]
    """Names of the file that the output does not need."""
    notes: tuple[str, ...]
    """What a user should know, in words."""


def translate_uni_perceiver(
    tensors: Mapping[str, Tensor], where: str, *, ignore_unknown: bool = False
) -> UniPerceiverState:
    """Turn the tensors of a published file into an encoder's.

    Args:
        tensors: Name in the file to tensor.
        where: The file, for messages.
        ignore_unknown: Count tensors of unknown names among the unused ones instead of raising.

    Raises:
        ValueError: A name is unknown, a tensor is missing, or a shape does not fit the others.

    Source:
        Layout: :mod:`intern25.weights.adapters.uni_perceiver`, which says what of it is certain.
    """
    prefix = next((n.removesuffix(PROBE) for n in tensors if n.endswith(PROBE)), None)
    if prefix is None:
        raise ValueError(f"{where} is no Uni-Perceiver: it has no tensor {PROBE!r}")
    inside = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    found = [(name, *entry_of(name)) for name in inside]
    unknown = [*outside, *(name for name, entry, _ in found if entry is None)]
    if unknown and not ignore_unknown:
        raise ValueError(
            f"{where} has {len(unknown)} tensors that no published model needs, the first "
            f"{', '.join(unknown[:_SHOWN])}; are they prompts or heads of a tuned model? "
            "load_uni_perceiver(path, ignore_unknown=True) goes on without them"
        )
    config = config_of(inside, where)
    sizes = _sizes(config)
    parts: dict[str, dict[int, Tensor]] = {}
    unused = list(outside)
    for name, entry, braces in found:
        if entry is None:
            unused.append(prefix + name)
            continue
        tensor = inside[name]
        _check_shape(name, tensor, entry, sizes, where)
        if entry.ours is None:
            unused.append(prefix + name)
        else:
            ours = entry.ours.format(**braces)
            parts.setdefault(ours, {})[int(braces.get("expert", -1))] = _adapted(ours, tensor)
    return _checked(config, dict(_stacked(parts, config, where)), tuple(unused), where)


def config_of(tensors: Mapping[str, Tensor], where: str) -> UniPerceiverConfig:
    """Sizes of an encoder, from its tensors under published names without a prefix.

    Raises:
        ValueError: A tensor that says a size is missing.
    """

    def shape(dimensions: int, *names: str) -> torch.Size:
        for name in names:
            if name in tensors and tensors[name].ndim == dimensions:
                return tensors[name].shape
        raise ValueError(
            f"{where} has no {names[0]!r} of {dimensions} dimensions; copy or download the whole file again"
        )

    numbers = [entry_of(name)[1] for name in tensors]
    words = shape(2, "token_embed.embeddings.weight")
    first = "fused_encoder.layers.0.linear1"
    return UniPerceiverConfig(
        width=words[1],
        layers=_count(numbers, "layer", where),
        # No tensor says it; it is the same in every published size.
        heads=max(1, words[1] // HEAD_WIDTH),
        feedforward=shape(2, f"{first}.weight", f"{first}.experts.deepspeed_experts.0.weight")[0],
        experts=_count(numbers, "expert", where),
        vocabulary=words[0],
        text_positions=shape(2, "token_embed.embeddings_pos.position_embeddings.weight")[0],
        grid=math.isqrt(shape(2, "video_embed.embeddings_st_pos.spatial_pos_embed.weight")[0]),
        patch=shape(4, "video_embed.embeddings.weight")[-1],
        frames=shape(2, "video_embed.embeddings_st_pos.temporal_pos_embed.weight")[0],
    )


def _count(numbers: Sequence[Mapping[str, str]], brace: str, where: str) -> int:
    """How many layers or experts there are; their numbers must have no gap."""
    found = {int(braces[brace]) for braces in numbers if brace in braces}
    if found != set(range(len(found))):
        raise ValueError(f"{where} has the {brace}s {sorted(found)[:8]}, but some before them are missing")
    return len(found)


def _sizes(config: UniPerceiverConfig) -> dict[str, int]:
    return {
        "width": config.width, "3*width": 3 * config.width, "feedforward": config.feedforward,
        "vocabulary": config.vocabulary, "text_positions": config.text_positions, "types": 2,
        "cells": config.grid**2, "frames": config.frames, "patch": config.patch, "experts": config.experts,
        "attributes": PUBLISHED_ATTRIBUTES, "1": 1, "3": 3,
    }  # fmt: skip


def _check_shape(name: str, tensor: Tensor, entry: Entry, sizes: Mapping[str, int], where: str) -> None:
    expected = tuple(sizes[size] for size in entry.shape)
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"{where}: {name} ({entry.meaning}) is {tuple(tensor.shape)}, but {expected} goes with the other "
            "tensors of the file"
        )


def _adapted(ours: str, tensor: Tensor) -> Tensor:
    """The form of a tensor that our modules have."""
    if ours == "word_type":
        return tensor[0]
    if ours.endswith("router.embedding.weight"):
        # Ours has four more attributes, which these models never saw.
        return F.pad(tensor, (0, NUM_ATTRIBUTES - PUBLISHED_ATTRIBUTES))
    return tensor


def _stacked(
    parts: Mapping[str, Mapping[int, Tensor]], config: UniPerceiverConfig, where: str
) -> Iterator[tuple[str, Tensor]]:
    """Our names with their tensors, the experts of a layer in one."""
    for ours, numbered in parts.items():
        if -1 in numbered:
            if len(numbered) > 1:
                raise ValueError(f"{where} has {ours} both with and without experts")
            yield ours, numbered[-1]
        elif len(numbered) != config.experts:
            raise ValueError(f"{where} has {len(numbered)} of {config.experts} experts of {ours}")
        else:
            yield ours, torch.stack([numbered[index] for index in range(config.experts)])


def _checked(
    config: UniPerceiverConfig, tensors: dict[str, Tensor], unused: tuple[str, ...], where: str
) -> UniPerceiverState:
    """Compare with an encoder of these sizes; temperatures and one of two equal norms may be missing."""
    with torch.device("meta"):
        wanted = UniPerceiverEncoder(config).state_dict()
    for part in ("weight", "bias"):
        norms = (f"word_norm.{part}", f"picture_norm.{part}")
        for one, same in (norms, norms[::-1]):
            if one in tensors and same not in tensors:
                tensors[same] = tensors[one]
    missing = [name for name in wanted if name not in tensors]
    scales = [name for name in missing if name.startswith("log_scale.")]
    lost = [name for name in missing if name not in scales]
    other = [name for name in tensors if name not in wanted or tensors[name].shape != wanted[name].shape]
    if lost or other:
        raise ValueError(
            f"{where} holds no whole Uni-Perceiver: {len(lost)} tensors are missing, {len(other)} too many; "
            f"by our names {', '.join([*lost, *other][:_SHOWN])}"
        )
    families = ", ".join(name.removeprefix("log_scale.") for name in scales)
    notes = (f"the file has no temperature of {families}; theirs are the initial ones",) if scales else ()
    return UniPerceiverState(config=config, tensors=tensors, unused=unused, notes=notes)
