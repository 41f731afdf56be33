# SPDX-License-Identifier: MIT
"""``intern25 classify``: name what pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from intern25.cli.options import parse
from intern25.cli.pictures import (
    OutputNames,
    exit_status,
    predict_pictures,
    prepare_output,
    report_failure,
)
from intern25.cli.progress import track
from intern25.defaults import DEFAULT_CLASSIFIER

if TYPE_CHECKING:
    from intern25.results import Classification

_DESCRIPTION = (
    "Name what pictures show. Sources: files, folders, patterns, list files (.txt) or - for a list on stdin. "
    "Pictures that cannot be read are named on stderr and the rest goes on. "
    "Exit status: 0 all done, 1 some pictures could not be read, 2 nothing was done."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifyOptions:
    """Options of ``intern25 classify``."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE ...")]
    """Pictures: files, folders, patterns, list files (.txt), or - for a list on stdin."""
    model: str = DEFAULT_CLASSIFIER
    """Catalog name, weights file or folder; the default comes with the package and works offline."""
    classes: tuple[str, ...] = ()
    """Names to choose between, two or more, in any words; for a generalist."""
    top_k: int = 5
    """Number of classes shown for each picture."""
    language: Literal["en", "zh", "both"] = "en"
    """Language of the class names."""
    json: bool = False
    """Print one JSON object a line for each picture, names in both languages."""
    output: Path | None = None
    """Folder for drawn pictures (PNG); made when it does not exist."""
    font: Path | None = None
    """Font file for drawn pictures; Chinese names need one that has Chinese."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""
    batch_size: int = 8
    """Pictures that go through the model at once."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(ClassifyOptions, arguments, command="classify", description=_DESCRIPTION)
    for name, value in (("--top-k", options.top_k), ("--batch-size", options.batch_size)):
        if value < 1:
            raise ValueError(f"{name} {value} must be 1 or more")
    from intern25.cli.sources import expand_sources

    pictures = expand_sources(options.sources)
    prepare_output(options.output, pictures)
    from intern25.predictors import ClassificationPredictor, load_as

    predictor = load_as(
        ClassificationPredictor,
        options.model,
        classes=options.classes or None,
        device=options.device,
        batch_size=options.batch_size,
    )
    results = predict_pictures(
        lambda images: predictor.predict(images, top_k=options.top_k), pictures, options.batch_size
    )
    failed = 0
    names = None if options.output is None else OutputNames(options.output)
    for name, result in track(results, total=len(pictures), label="classify"):
        if isinstance(result, str):
            failed += 1
            report_failure(name, result, as_json=options.json)
            continue
        drawn = None if names is None else _draw(result, options, names)
        print(result.to_json() if options.json else _text(result, options, drawn), flush=True)
    return exit_status(failed, len(pictures))


def _text(result: Classification, options: ClassifyOptions, drawn: Path | None) -> str:
    rows = zip(result.scores.tolist(), result.names(options.language), strict=True)
    lines = [f"{score:>7.1%}  {name}" for score, name in rows]
    title = f"{result.source}" if drawn is None else f"{result.source} -> {drawn}"
    return "\n".join([title, *lines])


def _draw(result: Classification, options: ClassifyOptions, names: OutputNames) -> Path:
    """Write the drawn picture and return its path."""
    assert result.source is not None, "drawing needs a name"
    from intern25.data.writing import write_whole

    stem = names.stem(result.source)
    path = stem.with_name(f"{stem.name}.png")
    drawn = result.draw(k=options.top_k, language=options.language, font=options.font)
    write_whole(path, lambda temporary: drawn.save(temporary, format="PNG"))
    return path
