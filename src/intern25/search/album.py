# SPDX-License-Identifier: MIT
"""The files of an album: pictures and videos below a folder, walked without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from intern25.data.folders import IMAGE_SUFFIXES
from intern25.data.video import VIDEO_SUFFIXES

Kind = Literal["image", "video"]


class AlbumFile(NamedTuple):
    """One picture or video; a tuple, for there are hundreds of thousands."""

    path: str
    """Relative to the album, with forward slashes."""
    kind: Kind
    size: int
    """Bytes."""
    mtime: int
    """When it was changed, nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that was left out."""

    path: str
    """Relative to the album."""
    reason: str
    """What is wrong and what to do."""


def walk_album(album: Path) -> Iterator[AlbumFile | Unreadable]:
    """Yield the pictures and videos below ``album``, folder by folder in the order of their names.

    Convention:
        - kinds: by file name ending.
        - hidden files and folders (``.name``) are left out, and so is an index among them.
        - links to files are followed, links to folders are not: they can lead in circles.

    Yields:
        Files, and what could not be looked at.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(album / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Unreadable(folder or ".", f"{album / folder} cannot be listed: {error.strerror}")
            continue
        inner = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif file := _looked_at(entry, path):
                yield file
        folders.extend(reversed(inner))


def file_key(file: AlbumFile, every: float | None) -> int:
    """Return 64 bits that differ when a file must be looked at again.

    Args:
        file: What the folder says about the file.
        every: Seconds between the moments of a video, None for a picture.
    """
    return _number(f"{file.path}\0{file.size}\0{file.mtime}\0{every}")


def item_key(content: str, every: float | None, moment: int) -> int:
    """Return 64 bits for the ``moment``-th moment of a content; copies of a file share it."""
    return _number(f"{content}\0{every}\0{moment}")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def _looked_at(entry: os.DirEntry[str], path: str) -> AlbumFile | Unreadable | None:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path for each name would double the time
    kind: Kind
    if suffix in IMAGE_SUFFIXES:
        kind = "image"
    elif suffix in VIDEO_SUFFIXES:
        kind = "video"
    else:
        return None
    try:
        path.encode()
        facts = entry.stat()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        return Unreadable(shown, f"{shown}: its name is no UTF-8 text; rename it")
    except OSError as error:
        return Unreadable(path, f"{path} cannot be looked at: {error.strerror}")
    return AlbumFile(path, kind, facts.st_size, facts.st_mtime_ns)
