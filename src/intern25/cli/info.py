# SPDX-License-Identifier: MIT
"""``intern25 info``: versions, backends and the catalog, or the facts of one model."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse

if TYPE_CHECKING:
    from intern25.weights.card import ModelCard
    from intern25.weights.generalists import GeneralistCard
    from intern25.weights.kinds import ModelKind

Facts = dict[str, Any]

_GENERALIST = "generalist"
"""Task of a model that does all of them, with any names for classes."""
_SOURCES = {"unpublished": "the weights were never published"}
_METRICS = ("top1", "box_ap", "box_ap50", "box_ap50_voc07", "miou")
"""The first of these that a model has stands in the list."""

_DESCRIPTION = (
    "Without a name: versions, what this machine has, operator backends (and why one does not run), and the "
    "catalog. With the name of an architecture or a published model: its numbers. With a weight file: what "
    "it holds. --json prints one object."
)

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "safetensors",
    "huggingface_hub",
    "timm",
    "accelerate",
)
_CPU_FEATURES = (
    "avx2",
    "avx512_f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "neon",
    "bf16",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoOptions:
    """Options of ``intern25 info``."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    """Architecture, published model or weight file; without it: the installation and the catalog."""
    flops: bool = False
    """Count what the authors' tables call FLOPs, multiply-accumulates and floating-point operations."""
    image_size: tuple[int, ...] | None = None
    """Side, or height and width, of the picture that --flops counts; by default the authors' choice."""
    json: bool = False
    """Print one JSON object."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(InfoOptions, arguments, command="info", description=_DESCRIPTION)
    if options.name is None:
        if options.flops or options.image_size is not None:
            raise ValueError(
                "--flops and --image-size need the name of a model: intern25 info internimage_t --flops"
            )
        facts = _installation()
        print(json.dumps(facts, ensure_ascii=False) if options.json else _installation_text(facts))
    elif _is_file(options.name):
        facts = _file(options.name, options)
        print(json.dumps(facts, ensure_ascii=False) if options.json else _file_text(facts))
    else:
        facts = _model(options.name, options)
        print(json.dumps(facts, ensure_ascii=False) if options.json else _model_text(facts))
    return DONE


def _is_file(name: str) -> bool:
    """Whether a name is a path; names of the catalog win."""
    from intern25.weights.catalog import ARCHITECTURES, CARDS
    from intern25.weights.generalists import GENERALIST_CARDS, GENERALISTS

    known = (CARDS, ARCHITECTURES, GENERALISTS, GENERALIST_CARDS)
    return not any(name in names for names in known) and Path(name).expanduser().exists()


def _file(name: str, options: InfoOptions) -> Facts:
    from intern25.weights.file_facts import file_facts

    if options.flops or options.image_size is not None:
        raise ValueError(
            f"--flops and --image-size are for names of models; {name} is a file; leave them out"
        )
    return file_facts(name)


def _installation() -> Facts:
    import torch

    from intern25 import __version__
    from intern25.ops import Ready, backends
    from intern25.weights.catalog import CARDS
    from intern25.weights.generalists import GENERALIST_CARDS

    capabilities = torch.cpu.get_capabilities()
    statuses = backends()
    return {
        "intern25": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": {
            "name": capabilities.get("cpu_name", platform.processor()),
            "features": [name for name in _CPU_FEATURES if capabilities.get(name)],
            "threads": torch.get_num_threads(),
        },
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "backends": {
            name: {"ready": True, "detail": status.detail}
            if isinstance(status, Ready)
            else {"ready": False, "reason": status.reason}
            for name, status in statuses.items()
        },
        "models": [
            *(_card_facts(card) for card in CARDS.values()),
            *(_generalist_facts(card) for card in GENERALIST_CARDS.values()),
        ],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _card_facts(card: ModelCard) -> Facts:
    return {
        "id": card.id,
        "task": card.task,
        "architecture": card.architecture,
        "preprocessing": dataclasses.asdict(card.preprocessing),
        "num_classes": card.num_classes,
        "classes": card.classes,
        "metrics": dict(card.metrics),
        "pretraining": card.pretraining,
        "licence": card.licence,
        "source": _SOURCES.get(card.source)
        or (card.url if card.source == "hub" else str(card.packaged_path)),
        "available": card.available,
    }


def _generalist_facts(card: GeneralistCard) -> Facts:
    """Preprocessing and names stand in its file."""
    return {
        "id": card.id,
        "task": _GENERALIST,
        "architecture": card.architecture,
        "preprocessing": None,
        "num_classes": None,
        "classes": None,
        "metrics": dict(card.metrics),
        "pretraining": card.pretraining,
        "licence": card.licence,
        "source": str(card.packaged_path),
        "available": card.available,
    }


def _model(name: str, options: InfoOptions) -> Facts:
    from intern25.backbones.classifier import num_parameters
    from intern25.weights.catalog import ARCHITECTURES, find_card
    from intern25.weights.create import create_model
    from intern25.weights.generalists import GENERALISTS
    from intern25.weights.kinds import FAMILIES, kind_of_config

    if name in GENERALISTS:
        return _generalist(name, options)
    card = find_card(name)
    config = card.config if card else ARCHITECTURES[name]
    kind = card.kind if card else kind_of_config(config)
    model = create_model(name, device="meta")
    facts: Facts = {
        "name": name,
        "task": FAMILIES[kind].task,
        "parameters": num_parameters(model),
        "num_classes": model.num_classes,
        "config": dataclasses.asdict(config),
    }
    if card is not None:
        facts["weights"] = _card_facts(card)
    if options.flops:
        facts |= _cost(name, model, kind, card, options.image_size)
    return facts


def _generalist(name: str, options: InfoOptions) -> Facts:
    from intern25.backbones.classifier import num_parameters
    from intern25.weights.create import create_model
    from intern25.weights.generalists import GENERALIST_CARDS

    if options.flops or options.image_size is not None:
        raise ValueError(
            f"--flops and --image-size are for models of one task; how much {name} computes depends on what "
            "it is asked"
        )
    model = create_model(name, device="meta")
    facts: Facts = {
        "name": name,
        "task": _GENERALIST,
        "parameters": num_parameters(model),
        "num_classes": None,
        "config": dataclasses.asdict(model.config),
    }
    if name in GENERALIST_CARDS:
        facts["weights"] = _generalist_facts(GENERALIST_CARDS[name])
    return facts


def _cost(
    name: str, model: Any, kind: ModelKind, card: ModelCard | None, asked: tuple[int, ...] | None
) -> Facts:
    from intern25.weights.catalog import CARDS, DEFAULT_CARDS
    from intern25.weights.cost import cost_of, flops_of, table_size
    from intern25.weights.kinds import FAMILIES

    card = card or CARDS.get(DEFAULT_CARDS.get(name, ""))
    size = _size(asked) if asked else table_size(FAMILIES[kind].task, card)
    count = cost_of(model, kind, size)
    return {
        "image_size": size[0] if size[0] == size[1] else list(size),
        "macs_authors_convention": flops_of(count, kind),
        "macs": count.total,
        "macs_parts": {
            "convolutions": count.conv,
            "linear": count.linear,
            "dcnv3": count.dcn,
            "attention": count.attention,
            "deformable attention": count.deformable,
        },
        "flops": count.flops,
    }


def _size(values: tuple[int, ...]) -> tuple[int, int]:
    if len(values) > 2 or min(values) < 1:
        raise ValueError(f"--image-size {' '.join(map(str, values))} must be a side, or a height and a width")
    return values[0], values[-1]


def _installation_text(facts: Facts) -> str:
    cpu, packages, backends = (facts[key] for key in ("cpu", "packages", "backends"))
    lines = [
        f"intern25  {facts['intern25']}",
        f"python    {facts['python']} on {facts['system']}",
        f"cpu       {cpu['name']}, {cpu['threads']} threads, {' '.join(cpu['features'])}",
        f"gpu       {_gpus(facts)}",
        "",
        "packages",
        *(f"  {name:<16} {version or 'not installed'}" for name, version in packages.items()),
        "",
        "operator backends",
        *(f"  {name:<10} {_backend(status)}" for name, status in backends.items()),
        "",
        "models",
        *_catalog_rows(facts),
    ]
    return "\n".join(lines)


def _gpus(facts: Facts) -> str:
    names = facts["gpus"]
    if facts["mps"]:
        names = [*names, "Apple MPS"]
    return ", ".join(names) or "none"


def _backend(status: Facts) -> str:
    return f"ready: {status['detail']}" if status["ready"] else f"not used: {status['reason']}"


def _catalog_rows(facts: Facts) -> list[str]:
    rows = [("name", "task", "classes", "result", "weights")]
    for model in facts["models"]:
        weights = "download" if model["source"].startswith("https") else "in the package"
        rows.append(
            (
                model["id"],
                model["task"],
                _classes(model),
                _result(model["metrics"]),
                weights if model["available"] else _why_absent(model),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _classes(model: Facts) -> str:
    return "any" if model["num_classes"] is None else str(model["num_classes"])


def _result(metrics: Facts) -> str:
    found = next((name for name in _METRICS if name in metrics), None)
    return "-" if found is None else f"{found} {metrics[found]:.1f}"


def _why_absent(model: Facts) -> str:
    return "never published" if model["source"] in _SOURCES.values() else "not in this installation"


def _flat(config: Facts, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Settings one by one, those of a part behind its name."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _words(size: int | list[int]) -> str:
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} x {width}"


def _file_text(facts: Facts) -> str:
    rows = ((name, value) for name, value in _flat(facts) if name not in ("path", "notes"))
    notes = (f"  note: {note}" for note in facts["notes"])
    lines = (f"  {name:<29} {_number(value)}" for name, value in rows if value is not None)
    return "\n".join([facts["path"], *lines, *notes])


def _number(value: object) -> str:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else str(value)


def _model_text(facts: Facts) -> str:
    config, weights, parts = facts["config"], facts.get("weights"), facts.get("macs_parts")
    parameters = facts["parameters"]
    lines = [
        f"{facts['name']}",
        f"  {'task':<29} {facts['task']}",
        f"  {'parameters':<29} {parameters:,}",
        f"  {'classes':<29} {_classes(facts)}",
        *(f"  {name:<29} {value}" for name, value in _flat(config) if name != "num_classes"),
    ]
    if parts is not None:
        lines += [
            "",
            f"one image of {_words(facts['image_size'])}",
            f"  {'FLOPs as published':<20} {facts['macs_authors_convention']:,} (as the authors count)",
            f"  {'multiply-adds':<20} {facts['macs']:,} (DCNv3 as 5)",
            *(f"    {name:<20} {value:,}" for name, value in parts.items() if value),
            f"  {'operations':<20} {facts['flops']:,} (two a multiply-add, DCNv3 as 8)",
        ]
    if weights is not None:
        lines += ["", "weights", *(f"  {name:<20} {value}" for name, value in weights.items())]
    return "\n".join(lines)
