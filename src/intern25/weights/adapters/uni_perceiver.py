# SPDX-License-Identifier: MIT
"""The published checkpoints of Uni-Perceiver and Uni-Perceiver-MoE: their layout, and the way to our names.

What is known and what is not:

- Names, shapes, the order of queries, keys and values, the place of norms, gates and experts, and the forward
  pass follow the authors' published code and configurations.
- The sizes add up to the published numbers of parameters: 124M and 354M, with experts 167M and 505M where
  picture and text have their own two merged experts.
- No published file has been read with this table; it is tested on files with these names that were made for
  the tests. A name or a shape that the table does not have is an error, never a guess.
- The authors wrote three of the four files with an earlier program and renamed them. Their renaming is
  published for models without experts; that files with experts use the names here follows from the program
  that loads them.
"""
# Names after fundamentalvision/Uni-Perceiver uniperceiver/modeling and uniperceiver/task_moe (Apache-2.0)

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PROBE = "fused_encoder.layers.0.norm1.weight"
"""Present in every file of the authors and in no other; what stands before it is the prefix of the file."""
PUBLISHED_ATTRIBUTES = 8
"""Entries of their attribute vectors."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Tensors of one role."""

    name: str
    """Name in the file; ``{layer}``, ``{expert}`` and ``{family}`` stand for a number or a word."""
    shape: tuple[str, ...]
    """Sizes, each in terms of the configuration's; empty for a number."""
    meaning: str
    """What it does."""
    ours: str | None
    """Our name with the same braces, experts stacked in one tensor; None where no output needs it."""


def _affine(name: str, out: str, into: str, meaning: str, ours: str | None) -> tuple[Entry, Entry]:
    """Weight and bias of a linear layer."""
    return (
        Entry(f"{name}.weight", (out, into), meaning, ours and f"{ours}.weight"),
        Entry(f"{name}.bias", (out,), meaning, ours and f"{ours}.bias"),
    )


def _norm(name: str, meaning: str, ours: str | None) -> tuple[Entry, Entry]:
    """Scale and shift of a LayerNorm."""
    return (
        Entry(f"{name}.weight", ("width",), meaning, ours and f"{ours}.weight"),
        Entry(f"{name}.bias", ("width",), meaning, ours and f"{ours}.bias"),
    )


def _routed(name: str, ours: str, out: str, into: str, router: str | None) -> tuple[Entry, ...]:
    """A linear layer with experts and its gate, which the second of two layers has but does not ask."""
    gate, embedded = f"{name}.gate.wg", f"{name}.gate.tag_transform"
    what = "of the experts" if router else "of experts that the layer before has chosen; unused"
    rename = {part: router and f"{router}.{part}" for part in ("embedding", "norm", "gate")}
    return (
        *_affine(f"{name}.experts.deepspeed_experts.{{expert}}", out, into, "one expert", ours),
        *_affine(
            f"{embedded}.0", "width", "attributes", f"embeds the attributes {what}", rename["embedding"]
        ),
        *_norm(f"{embedded}.1", f"norm of the embedded attributes {what}", rename["norm"]),
        Entry(
            f"{gate}.weight",
            ("experts", "width"),
            f"scores {what}",
            rename["gate"] and f"{rename['gate']}.weight",
        ),
    )


_LAYER, _OURS = "fused_encoder.layers.{layer}", "layers.{layer}"
_QKV = "queries, keys and values of all heads, one after the other"
LAYOUT: tuple[Entry, ...] = (
    Entry("token_embed.embeddings.weight", ("vocabulary", "width"), "token vectors", "words.weight"),
    Entry(
        "token_embed.embeddings_pos.position_embeddings.weight",
        ("text_positions", "width"),
        "places in a text",
        "word_positions.weight",
    ),
    Entry(
        "token_embed.embeddings_token_type.weight",
        ("types", "width"),
        "type of text in the first row; the second is unused",
        "word_type",
    ),
    *_norm("token_embed.embeddings_norm", "norm of text tokens and <SPE>", "word_norm"),
    Entry("video_embed.embeddings.weight", ("width", "3", "patch", "patch"), "patches", "patches.weight"),
    Entry("video_embed.embeddings.bias", ("width",), "patches, with the type of pictures", "patches.bias"),
    Entry(
        "video_embed.embeddings_st_pos.spatial_pos_embed.weight",
        ("cells", "width"),
        "places in a picture, row by row: fixed sines and cosines",
        "cell_positions.weight",
    ),
    Entry(
        "video_embed.embeddings_st_pos.temporal_pos_embed.weight",
        ("frames", "width"),
        "places in a video; a picture is its first frame",
        "frame_positions.weight",
    ),
    Entry(
        "video_embed.embeddings_type.weight", ("1", "width"), "type of pictures; in the bias already", None
    ),
    *_norm("video_embed.embeddings_norm", "norm of picture tokens, the same as of text", "picture_norm"),
    *_norm(f"{_LAYER}.norm1", "norm before attention", f"{_OURS}.attention_norm"),
    *_norm(f"{_LAYER}.norm2", "norm before the feed-forward part", f"{_OURS}.feedforward_norm"),
    Entry(f"{_LAYER}.gamma_1", ("width",), "LayerScale of attention", f"{_OURS}.attention_scale"),
    Entry(f"{_LAYER}.gamma_2", ("width",), "LayerScale of the rest", f"{_OURS}.feedforward_scale"),
    # Models without experts use torch's attention.
    Entry(f"{_LAYER}.self_attn.in_proj_weight", ("3*width", "width"), _QKV, f"{_OURS}.qkv.weight"),
    Entry(f"{_LAYER}.self_attn.in_proj_bias", ("3*width",), _QKV, f"{_OURS}.qkv.bias"),
    *_affine(f"{_LAYER}.self_attn.out_proj", "width", "width", "heads to tokens", f"{_OURS}.out"),
    *_affine(f"{_LAYER}.linear1", "feedforward", "width", "first linear layer", f"{_OURS}.fc1"),
    *_affine(f"{_LAYER}.linear2", "width", "feedforward", "second linear layer", f"{_OURS}.fc2"),
    # Models with experts have an attention of their own: layers 1, 3, ... without, 0, 2, ... with experts.
    *_affine(f"{_LAYER}.self_attn.qkv_proj", "3*width", "width", _QKV, f"{_OURS}.qkv"),
    *_affine(f"{_LAYER}.self_attn.dense", "width", "width", "heads to tokens", f"{_OURS}.out"),
    *_routed(f"{_LAYER}.self_attn.qkv_proj", f"{_OURS}.qkv", "3*width", "width", f"{_OURS}.attention_router"),
    *_routed(f"{_LAYER}.self_attn.dense", f"{_OURS}.out", "width", "width", None),
    *_routed(f"{_LAYER}.linear1", f"{_OURS}.fc1", "feedforward", "width", f"{_OURS}.feedforward_router"),
    *_routed(f"{_LAYER}.linear2", f"{_OURS}.fc2", "width", "feedforward", None),
    *_norm("loss_prepare.ln_post", "norm of what is compared", "output_norm"),
    *_affine("loss_prepare.proj", "width", "width", "projection of what is compared", "output_projection"),
    Entry(
        "loss_prepare.logit_scale_{family}",
        (),
        "logarithm of one over the temperature of a family of tasks",
        "log_scale.{family}",
    ),
)
"""Every tensor of the published files."""

_BRACES = {"layer": r"(?P<layer>\d+)", "expert": r"(?P<expert>\d+)", "family": r"(?P<family>\w+)"}


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", name)
    return re.compile("".join(_BRACES[p] if i % 2 else re.escape(p) for i, p in enumerate(parts)))


_PATTERNS = tuple((_pattern(entry.name), entry) for entry in LAYOUT)


def is_uni_perceiver(names: Iterable[str]) -> bool:
    """Whether tensor names are those of the authors' files, with any prefix."""
    return any(name == PROBE or name.endswith(f".{PROBE}") for name in names)


def entry_of(name: str) -> tuple[Entry | None, dict[str, str]]:
    """Entry of a name without prefix, and what stands in its braces; None for an unknown name."""
    for pattern, entry in _PATTERNS:
        match = pattern.fullmatch(name)
        if match:
            return entry, match.groupdict()
    return None, {}
