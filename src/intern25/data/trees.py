# SPDX-License-Identifier: MIT
"""The files of a data set, in a folder or inside a zip archive, by relative name.

A path may go on inside an archive: ``packs.zip/cells`` is the folder ``cells`` of ``packs.zip``.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from intern25.data.folders import IMAGE_SUFFIXES
from intern25.data.stores import FolderStore, ImageStore, ZipStore

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "minival": "val",
    "test": "test",
    "testing": "test",
    "trainval": "trainval",
}
_EXIF_ORIENTATION = 0x0112


class SplitMissingError(ValueError):
    """A data set has no such split; the message says which it has."""


@dataclass(frozen=True)
class FileTree:
    """Names of all files under one folder, with forward slashes, and the store that reads them."""

    where: str
    """Path for messages."""
    names: tuple[str, ...] = field(repr=False)
    store: FolderStore | ZipStore

    @cached_property
    def members(self) -> frozenset[str]:
        """The names, to look one up."""
        return frozenset(self.names)

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name in self.names:
            if is_image(name):
                index.setdefault(name.rsplit("/", 1)[-1], []).append(name)
        return index

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return self.store.read(name)

    def text(self, name: str) -> str:
        """Return the content of a text file.

        Raises:
            ValueError: It is not UTF-8.
        """
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.where}/{name} is not UTF-8 text ({error}); save it as UTF-8") from error

    def under(self, folder: str) -> FileTree:
        """Return the tree of one folder inside; ``""`` is this tree."""
        if not folder:
            return self
        prefix = folder + "/"
        names = tuple(name[len(prefix) :] for name in self.names if name.startswith(prefix))
        store = (
            FolderStore(self.store.root / folder)
            if isinstance(self.store, FolderStore)
            else ZipStore(self.store.path, self.store.prefix + prefix)
        )
        return FileTree(f"{self.where}/{folder}", names, store)

    def find_image(self, name: str, split: str = "") -> str | None:
        """Return the full name of a picture that annotations call ``name``.

        The folder in ``name`` counts where it exists; of several files of one name, the one whose folder
        names ``split`` is taken, else the first.
        """
        name = name.replace("\\", "/").removeprefix("./")
        if name in self.members:
            return name
        found = self._by_base.get(name.rsplit("/", 1)[-1], [])
        whole = [path for path in found if path.endswith("/" + name)] or found
        matching = [path for path in whole if split_of(path) == split] or whole
        return matching[0] if matching else None


def open_tree(path: str | Path) -> FileTree:
    """List the files of a folder, a zip archive, or a folder inside an archive.

    Raises:
        ValueError: Nothing is there, or the archive is damaged.
    """
    path = Path(path)
    if path.is_dir():
        return FileTree(str(path), _walk(path), FolderStore(path))
    for part in (path, *path.parents):
        if part.suffix.lower() == ".zip" and part.is_file():
            return _open_zip(part, path.relative_to(part).as_posix())
    if not path.exists():
        raise ValueError(f"the data path {path} does not exist")
    raise ValueError(f"{path} is not a folder or a .zip archive")


def _walk(root: Path) -> tuple[str, ...]:
    names: list[str] = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        relative = Path(folder).relative_to(root)
        names.extend((relative / file).as_posix() for file in files if not _is_hidden(file))
    return tuple(sorted(names))


def _is_hidden(name: str) -> bool:
    """Whether a part of a path is the system's: .DS_Store, ._a.jpg, __MACOSX, .ipynb_checkpoints."""
    return name.startswith(".") or name == "__MACOSX"


def _open_zip(path: Path, inside: str) -> FileTree:
    try:
        with zipfile.ZipFile(path) as archive:
            files = (info.filename for info in archive.infolist() if not info.is_dir())
            names = tuple(sorted(name for name in files if not any(map(_is_hidden, name.split("/")))))
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a readable zip archive: {error}") from error
    tree = FileTree(str(path), names, ZipStore(path))
    if inside == ".":
        return tree
    part = tree.under(inside)
    if not part.names:
        folders = sorted({name.split("/", 1)[0] for name in names if "/" in name})
        raise ValueError(f"{path} has no folder {inside}; it has {', '.join(folders) or 'no folders'}")
    return part


def is_image(name: str) -> bool:
    """Whether a name ends like a picture."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def split_of(name: str) -> str:
    """Split that a file name speaks of (``train``, ``val``, ``test``, ``trainval``); ``""`` for none.

    The last part of the path that has such a word decides.

    Example:
        >>> split_of("annotations/instances_val2017.json")
        'val'
    """
    for part in reversed(name.split("/")):
        for word in re.findall(r"[a-z]+", part.lower()):
            if word in _SPLIT_WORDS:
                return _SPLIT_WORDS[word]
    return ""


def split_name(split: str) -> str:
    """Name of the split that a user asks for: ``valid`` is ``val``; others, such as ``train_extra``, stay."""
    return _SPLIT_WORDS.get(split.lower(), split)


def without_split_folders(folder: str, also: Iterable[str] = ()) -> str:
    """Take split names and the names ``also`` off the end of a folder path."""
    extra = set(also)
    parts = [part for part in folder.split("/") if part]
    while parts and (parts[-1].lower() in extra or _is_split_folder(parts[-1])):
        parts.pop()
    return "/".join(parts)


def _is_split_folder(part: str) -> bool:
    return re.sub(r"[\d_-]+", "", part.lower()) in _SPLIT_WORDS


def stored_image_size(store: ImageStore, name: str) -> tuple[int, int]:
    """(height, width) of a stored picture, upright, from its header.

    Raises:
        ValueError: The file is missing or is no picture.
    """
    try:
        # Of a file only the header is read.
        data = store.root / name if isinstance(store, FolderStore) else store.read(name)
        if isinstance(data, np.ndarray):
            return data.shape[0], data.shape[1]
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
            return (image.width, image.height) if turned else (image.height, image.width)
    except (OSError, KeyError, SyntaxError) as error:
        raise ValueError(f"the size of {name} cannot be read: {error}") from error
