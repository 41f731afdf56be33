# SPDX-License-Identifier: MIT
"""``intern25 info``: versions, backends and the catalog, or the facts of one model."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse

if TYPE_CHECKING:
    from intern25.weights.catalog import ModelCard

Facts = dict[str, Any]

_DESCRIPTION = (
    "Without a name: versions, what this machine has, operator backends (and why one does not run), and the "
    "catalog. With the name of an architecture or a published model: its numbers. --json prints one object."
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
    """Architecture or published model; without it: the installation and the catalog."""
    flops: bool = False
    """Count multiply-accumulates, by the authors' convention and as floating-point operations."""
    image_size: int | None = None
    """Side of the image that --flops counts; by default the published one."""
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
    else:
        facts = _model(options.name, options)
        print(json.dumps(facts, ensure_ascii=False) if options.json else _model_text(facts))
    return DONE


def _installation() -> Facts:
    import torch

    from intern25 import __version__
    from intern25.ops import Ready, backends
    from intern25.weights.catalog import CARDS

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
        "models": [_card_facts(card) for card in CARDS.values()],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _card_facts(card: ModelCard) -> Facts:
    return {
        "id": card.id,
        "architecture": card.architecture,
        "image_size": card.preprocessing.image_size,
        "num_classes": card.num_classes,
        "classes": card.classes,
        "metrics": dict(card.metrics),
        "pretraining": card.pretraining,
        "licence": card.licence,
        "source": str(card.packaged_path) if card.source == "package" else card.url,
        "available": card.available,
    }


def _model(name: str, options: InfoOptions) -> Facts:
    from intern25.backbones.classifier import num_parameters
    from intern25.weights.catalog import ARCHITECTURES, CARDS, DEFAULT_CARDS, find_card
    from intern25.weights.create import create_model

    card = find_card(name)
    config = ARCHITECTURES[card.architecture if card else name]
    num_classes = card.num_classes if card else 1000
    model = create_model(name, num_classes=num_classes, device="meta")
    facts: Facts = {
        "name": name,
        "parameters": num_parameters(model),
        "num_classes": num_classes,
        "config": dataclasses.asdict(config),
    }
    if card is not None:
        facts["weights"] = _card_facts(card)
    if options.flops:
        from intern25.backbones.flops import count_macs

        default = card or CARDS[DEFAULT_CARDS[name]]
        size = options.image_size or default.preprocessing.image_size
        count = count_macs(model, size)
        facts["image_size"] = size
        facts["macs_authors_convention"] = count.total
        facts["macs_parts"] = {
            "convolutions": count.conv,
            "linear": count.linear,
            "dcnv3": count.dcn,
            "attention": count.attention,
        }
        facts["flops"] = count.flops
    return facts


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
    models = facts["models"]
    rows = [("name", "input", "classes", "top-1", "weights")]
    for model in models:
        top1 = model["metrics"].get("top1")
        weights = "download" if model["source"].startswith("https") else "in the package"
        rows.append(
            (
                model["id"],
                str(model["image_size"]),
                str(model["num_classes"]),
                "-" if top1 is None else f"{top1:.1f}",
                weights if model["available"] else "not in this installation",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _model_text(facts: Facts) -> str:
    config, weights, parts = facts["config"], facts.get("weights"), facts.get("macs_parts")
    parameters = facts["parameters"]
    lines = [
        f"{facts['name']}",
        f"  {'parameters':<20} {parameters:,}",
        f"  {'classes':<20} {facts['num_classes']}",
        *(f"  {name:<20} {value}" for name, value in config.items()),
    ]
    if parts is not None:
        lines += [
            "",
            f"one image of {facts['image_size']} x {facts['image_size']}",
            f"  {'FLOPs as published':<20} {facts['macs_authors_convention']:,} (multiply-adds, DCNv3 as 5)",
            *(f"    {name:<18} {value:,}" for name, value in parts.items()),
            f"  {'operations':<20} {facts['flops']:,} (two a multiply-add, DCNv3 as 8)",
        ]
    if weights is not None:
        lines += ["", "weights", *(f"  {name:<20} {value}" for name, value in weights.items())]
    return "\n".join(lines)
