# SPDX-License-Identifier: MIT
"""What names pictures and videos: a file, a folder, a pattern, a list file, or ``-`` for a list on stdin."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from intern25.data.folders import IMAGE_SUFFIXES
from intern25.data.video import VIDEO_SUFFIXES

LIST_SUFFIX = ".txt"


def expand_sources(sources: Sequence[str], *, with_videos: bool = False) -> list[str]:
    """Return the pictures that ``sources`` name, in order.

    Args:
        sources: Words of the command line.
        with_videos: Also take the videos of folders.

    Convention:
        - folder: every picture below it, by file name ending, sorted.
        - pattern: ``*``, ``?``, ``[...]`` and ``**``, sorted; quoted, so that the shell leaves it alone.
        - list file (``.txt``): one path a line, relative to the list's folder; empty lines are skipped.
        - ``-``: such a list on stdin, relative to the working folder.

    A single file is returned as it is, present or not: reading it says what is wrong.

    Raises:
        ValueError: A folder, pattern or list names no picture, or a list file cannot be read.
    """
    if not sources:
        raise ValueError("no pictures given; name a file, a folder, a pattern, a list file (.txt) or -")
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES if with_videos else IMAGE_SUFFIXES
    pictures: list[str] = []
    for source in sources:
        found = list(_expand(source, suffixes))
        if not found:
            raise ValueError(_nothing_found(source, suffixes))
        pictures.extend(found)
    return pictures


def _expand(source: str, suffixes: Set[str]) -> Iterator[str]:
    path = Path(source)
    if source == "-":
        yield from _lines(_read_stdin(), Path())
    elif path.is_dir():
        files = (file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        yield from map(str, sorted(files))
    elif not path.exists() and glob.has_magic(source):
        yield from sorted(match for match in glob.glob(source, recursive=True) if Path(match).is_file())  # noqa: PTH207
    elif path.suffix.lower() == LIST_SUFFIX:
        yield from _lines(_read_list(path), path.parent)
    else:
        yield source


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"the list on stdin cannot be read as UTF-8 text: {error}") from error


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ValueError(f"the list file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the list file {path} cannot be read as UTF-8 text: {error}") from error


def _lines(text: str, folder: Path) -> Iterator[str]:
    """Paths of a list; ``folder / path`` leaves absolute paths as they are."""
    for line in text.splitlines():
        if line.strip():
            yield str(folder / line.strip())


def _nothing_found(source: str, suffixes: Set[str]) -> str:
    if source == "-":
        return "stdin names no pictures; give one path a line"
    if Path(source).is_dir():
        return f"no pictures in the folder {source}; looked for {', '.join(sorted(suffixes))}"
    if Path(source).suffix.lower() == LIST_SUFFIX:
        return f"the list file {source} names no pictures; give one path a line"
    return f"the pattern {source!r} matches no file"
