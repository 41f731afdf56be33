# SPDX-License-Identifier: MIT
"""Recognise whose names a checkpoint uses, and translate them to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from torch import Tensor

from intern25.backbones.internimage import InternImageConfig
from intern25.weights.adapters import hugging_face
from intern25.weights.adapters.official import PROBE as OFFICIAL_PROBE
from intern25.weights.adapters.official import name_table

Layout = Literal["intern25", "official", "hugging_face"]
OWN_PROBE = "stem.conv1.weight"
"""Ends the name of the first tensor of our backbone."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Recognised:
    """Layout of a checkpoint and what stands before its names."""

    layout: Layout
    prefix: str
    """Text in front of every name that belongs to the model, such as ``"module."`` or ``"backbone."``."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Tensors under our classifier's names, and the file's names that have none."""

    tensors: dict[str, Tensor]
    file_names: dict[str, str]
    """Our name to the name in the file."""
    unexpected: tuple[str, ...]
    """Names of the file that belong to the model but that its architecture lacks."""
    ignored: tuple[str, ...]
    """Names of the file outside the model: necks and heads of a detector, a second network."""


def recognise(names: Iterable[str], path: Path, *, prefer_ema: bool = False) -> Recognised:
    """Find the layout and prefix of tensor names.

    Raises:
        ValueError: No InternImage is among them.
    """
    names = list(names)
    for probe in (OFFICIAL_PROBE, OWN_PROBE):
        prefixes = [name.removesuffix(probe) for name in names if name.endswith(probe)]
        if prefixes:
            prefix = _choose_prefix(prefixes, prefer_ema)
            if probe == OWN_PROBE:
                return Recognised("intern25", prefix.removesuffix("backbone."))
            renamed = any(name.rpartition(".")[2] in ("layer_scale1", "layer_scale2") for name in names)
            is_hugging_face = renamed or prefix == hugging_face.PREFIX
            return Recognised("hugging_face" if is_hugging_face else "official", prefix)
    raise ValueError(
        f"{path} holds no InternImage: none of its {len(names)} tensors ends in {OFFICIAL_PROBE!r} "
        f"or {OWN_PROBE!r}; the first are {', '.join(names[:3])}"
    )


def _choose_prefix(prefixes: list[str], prefer_ema: bool) -> str:
    """Of several networks take the student, or its average the teacher; else the least nested."""
    wanted = "teacher." if prefer_ema else "student."
    marked = [prefix for prefix in prefixes if wanted in prefix]
    return min(marked or prefixes, key=len)


def count_classes(tensors: Mapping[str, Tensor], path: Path) -> int | None:
    """Outputs of the last layer in a file, None when it has none.

    Raises:
        ValueError: No InternImage is among the tensors.
    """
    recognised = recognise(tensors, path)
    name = "classifier.weight" if recognised.layout == "intern25" else "head.weight"
    rows = tensors.get(recognised.prefix + name)
    return None if rows is None else rows.shape[0]


def translate(
    tensors: Mapping[str, Tensor], recognised: Recognised, config: InternImageConfig
) -> Translation:
    """Rename tensors to our classifier's names (``backbone.``, ``head.``, ``classifier.``)."""
    to_ours = _renaming(tensors, recognised, config)
    renamed: dict[str, Tensor] = {}
    file_names: dict[str, str] = {}
    unexpected, ignored = [], []
    for name, tensor in tensors.items():
        if not name.startswith(recognised.prefix):
            ignored.append(name)
            continue
        ours = to_ours(name.removeprefix(recognised.prefix))
        if ours is None:
            unexpected.append(name)
        else:
            renamed[ours], file_names[ours] = tensor, name
    return Translation(renamed, file_names, tuple(unexpected), tuple(ignored))


def _renaming(
    names: Iterable[str], recognised: Recognised, config: InternImageConfig
) -> Callable[[str], str | None]:
    """Function from a name without prefix to ours."""
    if recognised.layout == "intern25":
        bare = f"{recognised.prefix}backbone.{OWN_PROBE}" not in set(names)
        return (lambda name: f"backbone.{name}") if bare else (lambda name: name)
    table = name_table(config)
    if recognised.layout == "official":
        return table.to_ours
    return lambda name: table.to_ours(hugging_face.to_official_name(name))


def from_ours(tensors: Mapping[str, _Value], layout: Layout, config: InternImageConfig) -> dict[str, _Value]:
    """Rename a classifier's tensors to another layout.

    Raises:
        ValueError: A tensor has no place in that layout.
    """
    if layout == "intern25":
        return dict(tensors)
    table = name_table(config)
    renamed: dict[str, _Value] = {}
    for ours, tensor in tensors.items():
        official = table.to_official(ours)
        if official is None:
            raise ValueError(f"the {layout} layout has no place for {ours!r}")
        renamed[official if layout == "official" else hugging_face.from_official_name(official)] = tensor
    return renamed
