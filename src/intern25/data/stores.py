# SPDX-License-Identifier: MIT
"""Where encoded images lie: a folder, a zip read in place, tar shards read in place, or memory.

Archives are opened once per process, so a store can be used from forked or spawned loader workers.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ImageData = bytes | NDArray[np.uint8]
"""An encoded image, or its decoded pixels ``(H, W, 3)``."""


class ImageStore(Protocol):
    """Gives the image of a name."""

    def read(self, name: str) -> ImageData:
        """Return the whole content of ``name``."""
        ...


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Files under one folder; names are relative paths with forward slashes."""

    root: Path

    def read(self, name: str) -> bytes:
        """Return the content of ``root/name``."""
        return (self.root / name).read_bytes()


class ZipStore:
    """Members of one zip file; names may leave out a prefix that all members share."""

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path = path
        self.prefix = prefix
        self._archive: zipfile.ZipFile | None = None
        self._owner = -1

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "prefix": self.prefix, "_archive": None, "_owner": -1}

    def read(self, name: str) -> bytes:
        """Return the content of the member ``prefix + name``."""
        if self._archive is None or self._owner != os.getpid():
            # A handle inherited by fork shares its file position with the parent.
            self._archive, self._owner = zipfile.ZipFile(self.path), os.getpid()
        return self._archive.read(self.prefix + name)


@dataclass(frozen=True, slots=True)
class TarMember:
    """Where one file lies inside an uncompressed tar."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TarStore:
    """Files inside uncompressed tars, read by position."""

    members: Mapping[str, TarMember]

    def read(self, name: str) -> bytes:
        """Return the content of ``name``."""
        member = self.members[name]
        with member.path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Images held in memory, encoded or decoded."""

    files: Mapping[str, ImageData]

    def read(self, name: str) -> ImageData:
        """Return the content of ``name``."""
        return self.files[name]
