# SPDX-License-Identifier: MIT
"""Plain text to learn a language from: files with one sentence or document a line, left on the disk."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intern25.data.defects import Defect, refuse
from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import language_of
from intern25.data.stores import FolderStore
from intern25.data.trees import FileTree, SplitMissingError, open_tree, split_name, split_of

_MARK = b"\xef\xbb\xbf"
"""Byte order mark that some editors put in front of UTF-8."""
_NOT_UTF8 = "it is not UTF-8"
_SAVE = "save the file as UTF-8"


class Texts(Protocol):
    """Texts of one split."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sentence:
        """Return a text with its language."""
        ...


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file whose lines are read by position."""

    name: str
    """Name for messages."""
    path: Path | None = None
    """Where it lies on the disk."""
    content: bytes = field(default=b"", repr=False)
    """All of it, of a file inside an archive."""

    def lines(self) -> Iterator[bytes]:
        """Lines with their line ends, one after the other."""
        if self.path is None:
            yield from BytesIO(self.content)
        else:
            with self.path.open("rb") as file:
                yield from file

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on."""
        if self.path is None:
            return self.content[offset : offset + size]
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """Lines of text files, each read when asked for; implements :class:`Texts`.

    Memory: 24 bytes a line, whatever its length; files in a zip archive are held as they are.
    """

    files: tuple[TextFile, ...]
    """The files."""
    places: NDArray[np.int64]
    """``(N, 3)``: file, first byte and number of bytes of each line."""
    where: str = "texts"
    """Path and split, for messages."""
    defects: tuple[Defect, ...] = ()
    """Lines that were left out."""

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sentence:
        """Return a line without surrounding white space, with its language."""
        file, offset, size = self.places[index].tolist()
        text = self.files[file].read(offset, size).decode("utf-8").strip()
        return Sentence(text=text, language=language_of(text))

    def select(self, indices: Sequence[int]) -> StoredTexts:
        """Return the lines at ``indices``, in that order."""
        return replace(self, places=self.places[np.asarray(indices, dtype=np.int64)])


def read_texts(path: str | Path, *, split: str = "train", skip_bad: bool = False) -> StoredTexts:
    """Find the lines of the text files of one split.

    Convention:
        - a ``.txt`` file, or all of a folder or a ``.zip`` archive; where one of them is called ``text...``,
          or lies in a folder called so, only those.
        - UTF-8, one sentence or document a line; empty lines are passed over.
        - the name or folder of a file says its split (``train``, ``val``, ``test``); files that name none are
          for training.
        - a text with a Chinese character is Chinese, any other English.

    Args:
        path: The data.
        split: ``train``, ``val`` or ``test``.
        skip_bad: Leave bad lines out, as rows of ``defects``, instead of raising.

    Raises:
        ValueError: There is no text, or lines are bad; the message shows the first.
        SplitMissingError: The files are of other splits.

    Example:
        >>> read_texts("texts/", split="val")[0]  # doctest: +SKIP
        Sentence(text='一只狗在跑', language='zh')
    """
    split = split_name(split)
    tree, names = _text_files(Path(path))
    chosen = [name for name in names if (split_of(name) or "train") in _splits(split)]
    if not chosen:
        raise SplitMissingError(f"{tree.where} has no text file of the split {split!r}: {_listed(names)}")
    files = tuple(_open(tree, name) for name in chosen)
    places = array("q")
    defects: list[Defect] = []
    for number, file in enumerate(files):
        defects.extend(_scan(file, number, places))
    where = f"{tree.where} ({split})"
    if not skip_bad:
        refuse(where, defects)
    if not places:
        first = f"; the first defect: {defects[0]}" if defects else f": {_listed(chosen)} are empty"
        raise ValueError(f"{where} has no line of text{first}")
    table = np.frombuffer(places, dtype=np.int64).reshape(-1, 3)
    return StoredTexts(files, table, where, tuple(defects))


def _splits(split: str) -> tuple[str, ...]:
    return ("train", "trainval") if split == "train" else (split,)


def _text_files(path: Path) -> tuple[FileTree, list[str]]:
    """The tree and the names of its text files."""
    if path.suffix.lower() == ".txt" and not path.is_dir():
        tree = open_tree(path.parent)
        if path.name not in tree.members:
            raise ValueError(f"{path} does not exist")
        return tree, [path.name]
    tree = open_tree(path)
    names = [name for name in tree.names if name.lower().endswith(".txt")]
    if not names:
        raise ValueError(f"{tree.where} has no text file; give .txt files with a sentence or document a line")
    named = [name for name in names if any(part.lower().startswith("text") for part in name.split("/"))]
    return tree, named or names


def _open(tree: FileTree, name: str) -> TextFile:
    if isinstance(tree.store, FolderStore):
        return TextFile(name, path=tree.store.root / name)
    return TextFile(name, content=tree.read(name))


def _scan(file: TextFile, number: int, places: array[int]) -> list[Defect]:
    """Append the places of the good lines of a file; return its bad ones, all together if none is good."""
    defects: list[Defect] = []
    offset, before = 0, len(places)
    for row, line in enumerate(file.lines(), start=1):
        start = len(_MARK) if row == 1 and line.startswith(_MARK) else 0
        if line[start:].strip():
            problem = _problem(line)
            if problem:
                defects.append(Defect(file.name, problem, f"{_SAVE}, or remove the line", row))
            else:
                places.extend((number, offset + start, len(line) - start))
        offset += len(line)
    if len(places) == before and len(defects) > 1:
        return [
            Defect(file.name, f"none of its lines can be read; in the first, {defects[0].problem}", _SAVE)
        ]
    return defects


def _problem(line: bytes) -> str:
    """What is wrong with a line; empty where nothing is."""
    if b"\0" in line:
        return "it has a zero byte, as UTF-16 and files that are no text have"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"{_NOT_UTF8}: {error.reason} at byte {error.start}"
    return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:8])
