# SPDX-License-Identifier: MIT
"""From a list of pictures to one result each, or the reason why there is none."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from intern25.cli.exits import DONE, SOME_FAILED, USER_ERROR

if TYPE_CHECKING:
    from PIL import Image

    from intern25.results import Classification, Detections, PanopticMap, SemanticMap, Text

_DRAWN_SUFFIXES = {".png", ".mp4"}

Result = TypeVar("Result", "Classification", "Detections", "SemanticMap", "PanopticMap", "Text")


def predict_pictures(
    predict: Callable[[list[Image.Image]], list[Result]], names: Sequence[str], batch_size: int
) -> Iterator[tuple[str, Result | str]]:
    """Yield each picture's name with its result, or with the reason why it cannot be read."""
    for start in range(0, len(names), batch_size):
        batch = names[start : start + batch_size]
        read = [_read(name) for name in batch]
        results = iter(predict([image for image in read if not isinstance(image, str)]))
        for name, image in zip(batch, read, strict=True):
            yield name, image if isinstance(image, str) else dataclasses.replace(next(results), source=name)


def report_failure(name: str, reason: str, *, as_json: bool) -> None:
    """Name a picture that could not be read on stderr, and in the JSON lines if there are some."""
    print(f"intern25: error: {' '.join(reason.split())}", file=sys.stderr)
    if as_json:
        print(json.dumps({"source": name, "error": reason}, ensure_ascii=False), flush=True)


def exit_status(failed: int, total: int) -> int:
    """Return the exit status, after a line that counts the failures among many."""
    if failed == 0:
        return DONE
    if total > 1:
        print(f"intern25: {failed} of {total} pictures could not be read", file=sys.stderr)
    return SOME_FAILED if failed < total else USER_ERROR


def prepare_output(folder: Path | None, sources: Sequence[str]) -> None:
    """Make the folder for results.

    Raises:
        ValueError: A source lies in it whose drawing would have the source's own name.
    """
    if folder is None:
        return
    for source in map(Path, sources):
        if source.suffix.lower() in _DRAWN_SUFFIXES and source.parent.resolve() == folder.resolve():
            raise ValueError(
                f"{source} would be replaced by its own drawing in --output {folder}; choose another folder"
            )
    folder.mkdir(parents=True, exist_ok=True)


class OutputNames:
    """File names of one folder; sources of the same name in different folders get a number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: set[str] = set()

    def stem(self, source: str) -> Path:
        """Return a path without ending that no earlier source has."""
        stem = Path(source).stem
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name.lower())
        return self.folder / name


def _read(name: str) -> Image.Image | str:
    from intern25.data.images import ImageReadError, read_image

    try:
        return read_image(name)
    except ImageReadError as error:
        return str(error)
