# SPDX-License-Identifier: MIT
"""``intern25 classify``: name what pictures show."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from intern25.cli.exits import DONE, SOME_FAILED, USER_ERROR
from intern25.cli.options import parse
from intern25.cli.progress import track

if TYPE_CHECKING:
    from PIL import Image

    from intern25.predictors import ClassificationPredictor
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
    model: str = "internimage_nano_caltech101"
    """Catalog name, weights file or folder; the default comes with the package and works offline."""
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
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    from intern25.predictors import load

    predictor = load(options.model, device=options.device, batch_size=options.batch_size)
    failed = 0
    drawn_names: set[str] = set()
    for name, result in track(
        _classify_all(predictor, pictures, options), total=len(pictures), label="classify"
    ):
        if isinstance(result, str):
            failed += 1
            _report_failure(name, result, options)
            continue
        drawn = None if options.output is None else _draw(result, options, drawn_names)
        print(result.to_json() if options.json else _text(result, options, drawn), flush=True)
    if failed == 0:
        return DONE
    if len(pictures) > 1:
        print(f"intern25: {failed} of {len(pictures)} pictures could not be read", file=sys.stderr)
    return SOME_FAILED if failed < len(pictures) else USER_ERROR


def _classify_all(
    predictor: ClassificationPredictor, pictures: Sequence[str], options: ClassifyOptions
) -> Iterator[tuple[str, Classification | str]]:
    """Yield each picture's name with its result, or with the reason why there is none."""
    for start in range(0, len(pictures), options.batch_size):
        names = pictures[start : start + options.batch_size]
        read = [_read(name) for name in names]
        images = [image for image in read if not isinstance(image, str)]
        results = iter(predictor.predict(images, top_k=options.top_k))
        for name, image in zip(names, read, strict=True):
            yield name, image if isinstance(image, str) else dataclasses.replace(next(results), source=name)


def _read(name: str) -> Image.Image | str:
    from intern25.data.images import ImageReadError, read_image

    try:
        return read_image(name)
    except ImageReadError as error:
        return str(error)


def _report_failure(name: str, reason: str, options: ClassifyOptions) -> None:
    print(f"intern25: error: {' '.join(reason.split())}", file=sys.stderr)
    if options.json:
        print(json.dumps({"source": name, "error": reason}, ensure_ascii=False), flush=True)


def _text(result: Classification, options: ClassifyOptions, drawn: Path | None) -> str:
    rows = zip(result.scores.tolist(), result.names(options.language), strict=True)
    lines = [f"{score:>7.1%}  {name}" for score, name in rows]
    title = f"{result.source}" if drawn is None else f"{result.source} -> {drawn}"
    return "\n".join([title, *lines])


def _draw(result: Classification, options: ClassifyOptions, taken: set[str]) -> Path:
    """Write the drawn picture; pictures of the same name in different folders get a number."""
    assert options.output is not None, "drawing needs a folder"
    assert result.source is not None, "drawing needs a name"
    from intern25.weights.files import write_whole

    stem = Path(result.source).stem
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    path = options.output / f"{name}.png"
    drawn = result.draw(k=options.top_k, language=options.language, font=options.font)
    write_whole(path, lambda temporary: drawn.save(temporary, format="PNG"))
    return path
