# SPDX-License-Identifier: MIT
"""Pictures of words and lines to read: tables of files and texts, and the lists of the ICDAR contests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Line
from intern25.data.multimodal.rows import (
    DefectRows,
    RecordRows,
    file_of_split,
    language_of,
    open_annotations,
    shown,
    tab_lines,
)
from intern25.data.trees import FileTree, open_tree, split_name, split_of

WordFormat = Literal["auto", "sets", "tsv", "icdar"]
FORMATS = ("sets", "tsv", "icdar")
FORMAT_HELP = (
    "expected labels.tsv (file, set, split, text or file, text between tabs), or gt.txt with lines "
    'word_1.png, "text"'
)
_SET_COLUMNS = ("file", "set", "split", "text")
_PLAIN_COLUMNS = ("file", "text")
_WORD_FILE = re.compile(r"(?:.*/)?(?:(?![^/]*caption)[^/]*\.tsv|[^/]*gt[^/]*\.txt)", re.IGNORECASE)
_ICDAR_LINE = re.compile(r'\s*(?P<image>[^,]+?)\s*,\s*"(?P<text>.*)"\s*')


def read_words(
    path: str | Path,
    format: WordFormat = "auto",
    *,
    split: str = "train",
    subset: str | None = None,
    images: str | Path | None = None,
    skip_bad: bool = False,
) -> AnnotatedPictures[Line]:
    r"""Read one split of a data set of words or lines.

    Convention:
        - tables are split at tabs without quoting: ``file <tab> text``, or with the columns ``set`` and
          ``split`` in between, below a header.
        - ICDAR: ``word_1.png, "text"`` a line; ``\"`` inside is a quotation mark.
        - the case of a text is kept; a text with a Chinese character is Chinese.

    Args:
        path: A folder, a ``.zip``, a folder inside a zip, or a label file in any of them.
        format: ``auto`` looks at the files.
        split: ``train``, ``val`` or ``test``.
        subset: One ``set`` of a table with that column, such as ``iiit5k``; all of them by default.
        images: Folder or zip of the pictures where they lie elsewhere.
        skip_bad: Leave bad rows out, as rows of ``defects``, instead of raising.

    Returns:
        The pictures, each with one line.

    Raises:
        ValueError: Nothing usable is there, or rows are bad; the message shows the first.
        SplitMissingError: The data set has other splits only.
    """
    if format not in ("auto", *FORMATS):
        raise ValueError(
            f"unknown format {format!r} of a reading data set; known: auto, {', '.join(FORMATS)}"
        )
    split = split_name(split)
    tree, name = open_annotations(path)
    if name is None:
        names = [name for name in tree.names if _WORD_FILE.fullmatch(name)]
        if not names:
            raise ValueError(f"no words to read in {tree.where}; {FORMAT_HELP}")
        name = file_of_split(tree, names, split)
    kind = _format_of(tree, name) if format == "auto" else format
    if subset is not None and kind != "sets":
        raise ValueError(f"{tree.where}/{name} has no column 'set', so there is no subset {subset!r}")
    pictures = open_tree(images) if images is not None else tree
    rows = RecordRows[Line](pictures, split, DefectRows(name), any_folder=split_of(name) == split)
    lines = _set_lines(tree, name, rows, subset) if kind == "sets" else _lines(tree, name, kind, rows)
    seen: set[str] = set()
    for number, image, content in lines:
        text, picture = rows.text(content, "text", number), rows.picture(image, number)
        if picture is not None and picture in seen:
            rows.defects.add(f"the picture {image} is listed twice", "give each picture one line", number)
        elif text is not None and picture is not None:
            rows.add(picture, Line(text=text, language=language_of(text)))
            seen.add(picture)
    return rows.finished(f"{tree.where}/{name}", skip_bad=skip_bad)


def _format_of(tree: FileTree, name: str) -> str:
    first = tree.text(name).split("\n", 1)[0].rstrip("\r")
    if tuple(part.strip().lower() for part in first.split("\t")) == _SET_COLUMNS:
        return "sets"
    return "tsv" if "\t" in first else "icdar"


def _set_lines(
    tree: FileTree, name: str, rows: RecordRows[Line], subset: str | None
) -> Iterator[tuple[int, str, str]]:
    """Line number, picture and text of the rows of one split, and of one set where one is asked for."""
    subsets: set[str] = set()
    for number, row in tab_lines(tree, name, _SET_COLUMNS, rows.defects):
        subsets.add(row["set"])
        if split_name(row["split"]) != rows.split:
            rows.other_split(split_name(row["split"]))
        elif subset in (None, row["set"]):
            yield number, row["file"], row["text"]
    if subset is not None and subset not in subsets:
        found = ", ".join(sorted(subsets)) or "none"
        raise ValueError(f"{tree.where}/{name} has no set {subset!r}; it has {found}")


def _lines(tree: FileTree, name: str, kind: str, rows: RecordRows[Line]) -> Iterator[tuple[int, str, str]]:
    """Line number, picture and text of each row of a plain table or an ICDAR list."""
    if kind == "tsv":
        for number, row in tab_lines(tree, name, _PLAIN_COLUMNS, rows.defects):
            yield number, row["file"], row["text"]
        return
    for number, line in enumerate(tree.text(name).splitlines(), start=1):
        match = _ICDAR_LINE.fullmatch(line)
        if match:
            yield number, match["image"], match["text"].replace('\\"', '"')
        elif line.strip():
            rows.defects.add(f"it is no line of a word: {shown(line)}", 'write word_1.png, "text"', number)
