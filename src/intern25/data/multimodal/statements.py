# SPDX-License-Identifier: MIT
"""Sentences that are true or false of a picture: NLVR, and one JSON object a line."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Statement
from intern25.data.multimodal.rows import (
    DefectRows,
    RecordRows,
    json_lines,
    one_of,
    open_annotations,
    shown,
)
from intern25.data.stores import MemoryStore
from intern25.data.trees import FileTree, SplitMissingError, is_image, open_tree, split_name

StatementFormat = Literal["auto", "nlvr", "jsonl"]
FORMAT_HELP = (
    "expected NLVR (dev.jsonl with its pictures dev-<identifier>-<k>.png, in folders or dev_images.zip), or "
    "*.jsonl with image, statement and label"
)
_LABELS = {"true": True, "false": False}
_NLVR_PICTURE = re.compile(r"(?P<key>[a-z]+-\d+-\d+)-(?P<order>\d+)\.png")


def read_statements(
    path: str | Path,
    format: StatementFormat = "auto",
    *,
    split: str = "dev",
    images: str | Path | None = None,
    skip_bad: bool = False,
) -> AnnotatedPictures[Statement]:
    """Read one split of a data set of statements.

    Each sentence of NLVR has six pictures, the same three boxes in every order; each is a picture of its own
    here. They are read from where they lie, or from ``<split>_images.zip``, which is held in memory.

    Args:
        path: A folder, a ``.zip``, a folder inside a zip, or a ``.jsonl`` file in any of them.
        format: ``auto`` looks at the rows.
        split: Name of the file: ``train``, ``dev``, ``test``, ``hidden``, ...
        images: Folder or zip of the pictures where they lie elsewhere.
        skip_bad: Leave bad rows out, as rows of ``defects``, instead of raising.

    Returns:
        The pictures, each with its statements.

    Raises:
        ValueError: Nothing usable is there, or rows are bad; the message shows the first.
        SplitMissingError: There is no file of this split.
    """
    if format not in ("auto", "nlvr", "jsonl"):
        raise ValueError(f"unknown format {format!r} of statements; known: auto, nlvr, jsonl")
    tree, name = open_annotations(path)
    name = name or _file_of(tree, split)
    split = PurePosixPath(name).stem if format != "jsonl" else split
    defects = DefectRows(name)
    lines = list(json_lines(tree, name, defects))
    is_nlvr = format == "nlvr" or (format == "auto" and any("identifier" in row for _, row in lines))
    pictures = open_tree(images) if images is not None else tree
    if is_nlvr:
        pictures, store = _with_nested_zip(pictures, split)
        rows = RecordRows[Statement](pictures, split, defects, any_folder=True, store=store)
        _read_nlvr(lines, split, rows)
    else:
        rows = RecordRows[Statement](pictures, split, defects, any_folder=True)
        _read_lines(lines, rows)
    return rows.finished(f"{tree.where}/{name}", skip_bad=skip_bad)


def _file_of(tree: FileTree, split: str) -> str:
    """The ``.jsonl`` file whose name is the split, or ends in it."""
    names = [name for name in tree.names if name.endswith(".jsonl")]
    if not names:
        raise ValueError(f"no statements in {tree.where}; {FORMAT_HELP}")
    words = (split.lower(), split_name(split))
    fitting = [name for name in names if PurePosixPath(name).stem.lower().endswith(words)]
    if not fitting:
        found = ", ".join(sorted(names)[:8])
        raise SplitMissingError(f"{tree.where} has no split {split!r}: found {found}")
    if len(fitting) > 1:
        raise ValueError(f"{tree.where} has several files for {split!r}: {', '.join(fitting[:8])}; give one")
    return fitting[0]


def _with_nested_zip(tree: FileTree, split: str) -> tuple[FileTree, MemoryStore | None]:
    """The tree of the pictures: those of ``<split>_images.zip`` where they lie in such an archive."""
    archives = [name for name in tree.names if name.rsplit("/", 1)[-1].lower() == f"{split}_images.zip"]
    if not archives:
        return tree, None
    where = f"{tree.where}/{archives[0]}"
    try:
        with zipfile.ZipFile(io.BytesIO(tree.read(archives[0]))) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if is_image(name)}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{where} is not a readable zip archive: {error}") from error
    return FileTree(where, tuple(sorted(files)), tree.store), MemoryStore(files)


def _read_nlvr(lines: list[tuple[int, dict[str, Any]]], split: str, rows: RecordRows[Statement]) -> None:
    pictures: dict[str, list[str]] = {}
    for name in rows.images.names:
        match = _NLVR_PICTURE.fullmatch(name.rsplit("/", 1)[-1])
        if match:
            pictures.setdefault(match["key"], []).append(name)
    seen: set[str] = set()
    for number, row in lines:
        key = f"{split}-{row.get('identifier')}"
        if key in seen:
            rows.defects.add(f"its identifier {row['identifier']} occurs twice", "remove one", number)
            continue
        seen.add(key)
        statement = _statement(row, number, rows)
        if key not in pictures:
            rows.defects.add(f"its pictures {key}-<k>.png are missing", "copy them, or remove it", number)
        for name in pictures.get(key, ()):
            rows.add(name, statement)


def _read_lines(lines: list[tuple[int, dict[str, Any]]], rows: RecordRows[Statement]) -> None:
    for number, row in lines:
        picture = rows.picture(one_of(row, "image", "file", "file_name"), number)
        rows.add(picture, _statement(row, number, rows))


def _statement(row: Mapping[str, Any], number: int, rows: RecordRows[Statement]) -> Statement | None:
    text = rows.text(one_of(row, "sentence", "statement", "text"), "sentence", number)
    label = one_of(row, "label", "is_true")
    is_true = label if isinstance(label, bool) else _LABELS.get(str(label).lower())
    language = rows.language(row.get("language"), text or "", number)
    if is_true is None:
        rows.defects.add(f"its label is {shown(label)}", "write true or false", number)
    if text is None or is_true is None or language is None:
        return None
    return Statement(text=text, is_true=is_true, language=language)
