# SPDX-License-Identifier: MIT
"""What an index knows about the files of its album, and where the two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from intern25.search.album import AlbumFile, Unreadable, file_key
from intern25.search.tables import Tables

USUAL_EVERY = 1.0
"""Seconds between the moments of a video, where nobody says."""

Content = tuple[str, float | None]
"""Hash of a file's bytes, and the seconds between moments for a video."""

_COLUMNS = ("file", "path", "content", "every")


@dataclass(frozen=True, slots=True)
class IndexedFiles:
    """The files of an index, without their embeddings."""

    by_key: dict[int, tuple[str, Content]] = field(default_factory=dict)
    """From what identifies a state of a file to its path and content."""
    key_of: dict[Content, int] = field(default_factory=dict)
    """From a content to a file that has it."""
    contents_of: dict[str, set[Content]] = field(default_factory=dict)
    """From a path to its contents; more than one after a run that was killed."""

    @classmethod
    def of(cls, tables: Tables) -> IndexedFiles:
        """Read the files of the tables."""
        files = cls()
        for batch in tables.read(_COLUMNS):
            columns = [batch.column(name).to_pylist() for name in _COLUMNS]
            for key, path, content, every in zip(*columns, strict=True):
                if key not in files.by_key:
                    files.by_key[key] = (path, (content, every))
                    files.key_of[content, every] = key
                    files.contents_of.setdefault(path, set()).add((content, every))
        return files

    def usual_every(self) -> float:
        """Return the seconds between moments that most videos were indexed with."""
        counts = Counter(every for _, (_, every) in self.by_key.values() if every is not None)
        return counts.most_common(1)[0][0] if counts else USUAL_EVERY


@dataclass(frozen=True, slots=True)
class Plan:
    """Where an album and its index differ."""

    fresh: list[AlbumFile]
    """Files whose state is not in the index."""
    stale: list[int]
    """States in the index that no file has."""
    gone: dict[Content, list[str]]
    """Contents of the paths that are in the index and not in the album."""
    unlisted: list[Unreadable]
    """Folders and files that could not be looked at; what the index has of them stays."""
    unchanged: int

    @property
    def total(self) -> int:
        """Number of pictures and videos in the album."""
        return len(self.fresh) + self.unchanged


def plan_of(album: Iterable[AlbumFile | Unreadable], indexed: IndexedFiles, every: float) -> Plan:
    """Compare an album with its index.

    Args:
        album: What a walk through the album finds.
        indexed: The index.
        every: Seconds between the moments of videos.
    """
    fresh: list[AlbumFile] = []
    unlisted: list[Unreadable] = []
    paths: set[str] = set()
    states: set[int] = set()
    for file in album:
        if isinstance(file, Unreadable):
            unlisted.append(file)
            continue
        key = file_key(file, every if file.kind == "video" else None)
        paths.add(file.path)
        if key in indexed.by_key:
            states.add(key)
        else:
            fresh.append(file)
    hidden = {file.path for file in unlisted}
    stale: list[int] = []
    gone: dict[Content, list[str]] = {}
    for key, (path, content) in indexed.by_key.items():
        if key not in states and not _is_below(path, hidden):
            stale.append(key)
            if path not in paths:
                gone.setdefault(content, []).append(path)
    return Plan(fresh, stale, gone, unlisted, len(states))


def _is_below(path: str, hidden: set[str]) -> bool:
    """Whether ``path`` or one of its folders is among ``hidden``."""
    while hidden and path:
        if path in hidden:
            return True
        path = path.rpartition("/")[0]
    return False
