# SPDX-License-Identifier: MIT
"""``intern25 convert``: weights from any layout to another, exact in every bit unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from intern25.cli.exits import DONE
from intern25.cli.options import parse

_DESCRIPTION = (
    "Convert weights of classifiers, detectors and segmenters between layouts: .pth files of the official "
    "code, Hugging Face folders (classifiers), and this package's safetensors, which describe themselves. "
    "Without --dtype tensors keep every bit, both ways. "
    "--json prints one object: source, destination, layout, bytes."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertOptions:
    """Options of ``intern25 convert``."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """Weight file or folder to read."""
    destination: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DESTINATION")]
    """What to write: .safetensors for intern25, .pth for official, a new folder for hugging_face."""
    layout: Literal["intern25", "official", "hugging_face"] = "intern25"
    """Layout of the destination."""
    architecture: str | None = None
    """Architecture or catalog name of the source; by default recognised by its config, file name or sizes."""
    prefer_ema: bool = False
    """Take the averaged weights of a training checkpoint."""
    dtype: Literal["keep", "float32", "float16", "bfloat16"] = "keep"
    """Floating type of the stored tensors; float16 halves a float32 file."""
    json: bool = False
    """Print one JSON object."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(ConvertOptions, arguments, command="convert", description=_DESCRIPTION)
    import torch

    from intern25.weights.convert import convert

    convert(
        options.source,
        options.destination,
        layout=options.layout,
        architecture=options.architecture,
        prefer_ema=options.prefer_ema,
        dtype=None if options.dtype == "keep" else getattr(torch, options.dtype),
    )
    size = _size(options.destination)
    if options.json:
        record = {
            "source": str(options.source),
            "destination": str(options.destination),
            "layout": options.layout,
            "bytes": size,
        }
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(f"{options.source} -> {options.destination} ({options.layout} layout, {size / 1e6:.1f} MB)")
    return DONE


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
