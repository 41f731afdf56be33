# SPDX-License-Identifier: MIT
"""Recognise whose names a checkpoint uses and what it holds, and translate its names to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from torch import Tensor

from intern25.weights.adapters import hugging_face
from intern25.weights.adapters.official import PROBE as OFFICIAL_PROBE
from intern25.weights.adapters.official import NameTable, backbone_pairs, table_of
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.kinds import CLASSIFIERS, FAMILIES, Blueprint, ModelKind, kind_of_config

Layout = Literal["intern25", "official", "hugging_face"]
OWN_PROBE = "stem.conv1.weight"
"""Ends the name of the first tensor of our backbone."""
_COMPOSITE = {"official": "backbone.cb_modules.0.", "intern25": "backbone.assisting."}
"""The first of two backbones, by layout; the second has no stem."""
_CLASSIFIER_PARTS = ("head.", "classifier.", "metadata_", "temporal.", "spatial.")
"""Starts of our names of a classifier outside its backbone."""
_LEAST_KNOWN = 0.5
"""Share of known names below which a file holds no model of a kind."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Recognised:
    """Layout of a checkpoint, what stands before its names, and what it holds."""

    layout: Layout
    prefix: str
    """Text in front of every name that belongs to the model, such as ``"module."``."""
    backbone: str
    """Name of the backbone inside the model, with a dot behind; empty where it is the model or flat in it."""
    kind: ModelKind
    """What the file holds, by its names."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Tensors under our names, and the file's names that have none."""

    tensors: dict[str, Tensor]
    file_names: dict[str, str]
    """Our name to the name in the file."""
    unexpected: tuple[str, ...]
    """Names of the file that belong to the model but that its architecture lacks."""
    ignored: tuple[str, ...]
    """Names of the file outside the model: heads of another kind of model, a second network."""
    same_kind: bool
    """Whether the file holds the kind of model that was wanted, rather than only its backbone."""


def recognise(names: Iterable[str], path: Path, *, prefer_ema: bool = False) -> Recognised:
    """Find the layout, the prefix and the kind of model of tensor names.

    Raises:
        ValueError: No InternImage is among them.
    """
    names = list(names)
    for probe in (OFFICIAL_PROBE, OWN_PROBE):
        found = [name.removesuffix(probe) for name in names if name.endswith(probe)]
        if found:
            before = _choose_prefix(found, prefer_ema)
            return _recognise_own(names, before) if probe == OWN_PROBE else _recognise_official(names, before)
    raise ValueError(
        f"{path} holds no InternImage: none of its {len(names)} tensors ends in {OFFICIAL_PROBE!r} "
        f"or {OWN_PROBE!r}; the first are {', '.join(names[:3])}"
    )


def _choose_prefix(prefixes: list[str], prefer_ema: bool) -> str:
    """Of several networks take the student, or its average the teacher; else the least nested."""
    wanted = "teacher." if prefer_ema else "student."
    marked = [prefix for prefix in prefixes if wanted in prefix]
    return min(marked or prefixes, key=len)


def _recognise_official(names: list[str], before: str) -> Recognised:
    """A detector or segmenter around ``backbone.``, else a classifier whose stages lie flat in it."""
    for backbone in (_COMPOSITE["official"], "backbone."):
        if before.endswith(backbone):
            prefix = before.removesuffix(backbone)
            kind = _official_kind(_inside(names, prefix))
            if kind is not None:
                return Recognised("official", prefix, backbone, kind)
    renamed = any(name.rpartition(".")[2] in ("layer_scale1", "layer_scale2") for name in names)
    is_hugging_face = renamed or before == hugging_face.PREFIX
    inside = _inside(names, before)
    return Recognised(
        "hugging_face" if is_hugging_face else "official",
        before,
        "",
        _classifier_kind(inside, heads=("head.", "conv_head.", "clip_projector."), metadata="meta_norm."),
    )


def _recognise_own(names: list[str], before: str) -> Recognised:
    for backbone in (_COMPOSITE["intern25"], "backbone."):
        if before.endswith(backbone):
            prefix = before.removesuffix(backbone)
            inside = _inside(names, prefix)
            kind = _own_kind(inside) or _classifier_kind(inside, heads=("head.",), metadata="metadata_norm.")
            return Recognised("intern25", prefix, backbone, kind)
    return Recognised("intern25", before, "", "backbone")


def _inside(names: list[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _official_kind(names: list[str]) -> ModelKind | None:
    """The first kind with a head whose mark is among these names."""
    marks = ((kind, family.mark) for kind, family in FAMILIES.items() if family.mark)
    return next((kind for kind, mark in marks if any(name.startswith(mark) for name in names)), None)


def _classifier_kind(names: list[str], *, heads: tuple[str, ...], metadata: str) -> ModelKind:
    if any(name.startswith(metadata) for name in names):
        return "metadata_classifier"
    return "classifier" if any(name.startswith(heads) for name in names) else "backbone"


def _own_kind(names: list[str]) -> ModelKind | None:
    """The kind with a head whose names are most like these; None when none is."""
    heads = [name for name in names if not name.startswith(("backbone.", *_CLASSIFIER_PARTS))]
    if not heads:
        return None
    best: tuple[float, float, ModelKind | None] = (_LEAST_KNOWN, 0.0, None)
    for kind, known in _own_heads().items():
        parts = {name if name in known else name.rpartition(".")[0] for name in heads}
        found = len(parts & known)
        best = max(best, (found / len(parts), found / len(known), kind), key=lambda score: score[:2])
    return best[2]


@cache
def _own_heads() -> Mapping[ModelKind, frozenset[str]]:
    """Our names outside the backbone of one architecture of each kind with a head."""
    names: dict[ModelKind, frozenset[str]] = {}
    for config in ARCHITECTURES.values():
        kind = kind_of_config(config)
        if kind not in CLASSIFIERS and kind not in names:
            pairs = names_of(Blueprint(kind=kind, config=config))
            names[kind] = frozenset(ours for ours, _ in pairs if not ours.startswith("backbone."))
    return names


def is_same_kind(first: ModelKind, second: ModelKind) -> bool:
    """Whether two kinds share one table of names."""
    return first == second or (first in CLASSIFIERS and second in CLASSIFIERS)


def translate(tensors: Mapping[str, Tensor], recognised: Recognised, blueprint: Blueprint) -> Translation:
    """Rename tensors to our names: all of a model of the same kind, of any other only the backbone."""
    same_kind = is_same_kind(recognised.kind, blueprint.kind)
    if same_kind:
        prefix, to_ours = recognised.prefix, _renaming(recognised, blueprint)
    else:
        prefix, to_ours = recognised.prefix + recognised.backbone, _backbone_renaming(recognised, blueprint)
    renamed: dict[str, Tensor] = {}
    file_names: dict[str, str] = {}
    unexpected, ignored = [], []
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            ignored.append(name)
            continue
        ours = to_ours(name.removeprefix(prefix))
        if ours is not None:
            renamed[ours], file_names[ours] = tensor, name
        elif same_kind or recognised.backbone:
            unexpected.append(name)
        else:
            ignored.append(name)
    return Translation(renamed, file_names, tuple(unexpected), tuple(ignored), same_kind)


def _renaming(recognised: Recognised, blueprint: Blueprint) -> Callable[[str], str | None]:
    """Function from a name of the whole model, without prefix, to ours."""
    if recognised.layout == "intern25":
        is_bare = not recognised.backbone
        return (lambda name: f"backbone.{name}") if is_bare else (lambda name: name)
    table = table_of(names_of(blueprint))
    if recognised.layout == "official":
        return table.to_ours
    return lambda name: table.to_ours(hugging_face.to_official_name(name))


def _backbone_renaming(recognised: Recognised, blueprint: Blueprint) -> Callable[[str], str | None]:
    """Function from a name of the backbone, without prefix, to ours."""
    table = table_of(backbone_pairs(blueprint.backbone, official=""))
    if recognised.layout == "intern25":
        known = {ours for ours, _ in backbone_pairs(blueprint.backbone)}
        return lambda name: f"backbone.{name}" if _is_known(f"backbone.{name}", known) else None
    if recognised.layout == "official":
        return table.to_ours
    return lambda name: table.to_ours(hugging_face.to_official_name(name))


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or name.rpartition(".")[0] in known


def names_of(blueprint: Blueprint) -> list[tuple[str, str]]:
    """``(ours, official)`` names of all modules and tensors of a model."""
    _, pairs = FAMILIES[blueprint.kind].parts()
    return pairs(blueprint.config)


def from_ours(tensors: Mapping[str, _Value], layout: Layout, blueprint: Blueprint) -> dict[str, _Value]:
    """Rename a model's tensors to another layout.

    Raises:
        ValueError: A tensor has no place in that layout.
    """
    if layout == "intern25":
        return dict(tensors)
    if layout == "hugging_face" and blueprint.kind not in CLASSIFIERS:
        raise ValueError(
            f"the hugging_face layout is for classifiers, not for a {blueprint.kind}; use 'official'"
        )
    table: NameTable = table_of(names_of(blueprint))
    renamed: dict[str, _Value] = {}
    for ours, tensor in tensors.items():
        official = table.to_official(ours)
        if official is None:
            raise ValueError(f"the {layout} layout has no place for {ours!r}")
        renamed[official if layout == "official" else hugging_face.from_official_name(official)] = tensor
    return renamed
