# SPDX-License-Identifier: MIT
"""Captions in plain files: Flickr's lists and tables, and one JSON object a line."""

from __future__ import annotations

import re
from typing import Any

from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import (
    RecordRows,
    comma_lines,
    json_document,
    json_lines,
    language_of,
    one_of,
    shown,
)
from intern25.data.trees import FileTree, split_name

_TOKEN_LINE = re.compile(r"(?P<image>.+)#\d+\t(?P<caption>.*)")
_FLICKR_LIST = re.compile(r"(?:.*/)?[^/]*(?P<split>train|dev|test)images\.txt", re.IGNORECASE)


def read_json_list(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect captions of a JSON list ``[{"file": ..., "split": ..., "captions": [...]}, ...]``.

    Without a split, the folder of the picture says it.

    Raises:
        ValueError: The document is no list.
    """
    document = json_document(tree, name)
    if not isinstance(document, list):
        raise ValueError(
            f'{tree.where}/{name}: a list [{{"file": ..., "captions": [...]}}, ...] is expected, not '
            f"{shown(document)}"
        )
    for number, row in enumerate(document, start=1):
        if isinstance(row, dict):
            _add_row(row, number, rows)
        else:
            rows.defects.add(
                f"it is no object: {shown(row)}", 'write {"file": ..., "captions": [...]}', number
            )


def read_json_lines(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect captions of lines ``{"image": ..., "caption": ... or [...], "language": ...}``.

    The language may be left out; then a text with a Chinese character is Chinese.
    """
    for number, row in json_lines(tree, name, rows.defects):
        _add_row(row, number, rows)


def _add_row(row: dict[str, Any], number: int, rows: RecordRows[Sentence]) -> None:
    split = row.get("split")
    if isinstance(split, str) and split_name(split) != rows.split:
        rows.other_split(split_name(split))
        return
    picture = rows.picture(one_of(row, "image", "file", "file_name", "filename"), number)
    captions = one_of(row, "caption", "captions", "text", "sentence")
    if isinstance(captions, list) and not captions:
        rows.defects.add("it has no caption", "write one, or remove the row", number)
    for caption in captions if isinstance(captions, list) else [captions]:
        text = rows.text(caption, "caption", number)
        language = rows.language(row.get("language"), text or "", number)
        if text is not None and language is not None:
            rows.add(picture, Sentence(text=text, language=language))


def read_token_lines(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect captions of lines ``image.jpg#0 <tab> caption`` (``Flickr8k.token.txt``).

    Lists beside the file, such as ``Flickr_8k.trainImages.txt``, say the split (``dev`` is ``val``); without
    them the folders of the pictures do.
    """
    wanted = _listed_pictures(tree, rows.split)
    for number, line in enumerate(tree.text(name).splitlines(), start=1):
        if not line.strip():
            continue
        match = _TOKEN_LINE.fullmatch(line)
        if match is None:
            remedy = "write image.jpg#0 <tab> caption"
            rows.defects.add(f"it is not a numbered caption: {shown(line)}", remedy, number)
        elif wanted is None or match["image"] in wanted:
            _add_caption(match["image"], match["caption"], number, rows)


def read_comma_table(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect captions of a csv table with the columns ``image,caption``."""
    wanted = _listed_pictures(tree, rows.split)
    for number, row in comma_lines(tree, name, ("image", "caption"), rows.defects):
        if wanted is None or row["image"] in wanted:
            _add_caption(row["image"], row["caption"], number, rows)


def _add_caption(image: str, caption: str, number: int, rows: RecordRows[Sentence]) -> None:
    text = rows.text(caption, "caption", number)
    picture = rows.picture(image, number)
    if text is not None:
        rows.add(picture, Sentence(text=text, language=language_of(text)))


def _listed_pictures(tree: FileTree, split: str) -> set[str] | None:
    """Pictures of a split as Flickr 8k lists them; ``None`` where no such lists are there."""
    lists = [match for match in map(_FLICKR_LIST.fullmatch, tree.names) if match]
    if not lists:
        return None
    words = {"dev": "val"}
    chosen = [m.string for m in lists if words.get(m["split"].lower(), m["split"].lower()) == split]
    return {line.strip() for name in chosen for line in tree.text(name).splitlines() if line.strip()}


def is_token_file(tree: FileTree, name: str) -> bool:
    """Whether the first line of a text file is a numbered caption."""
    lines = tree.text(name).split("\n", 1)
    return _TOKEN_LINE.fullmatch(lines[0].rstrip("\r")) is not None


def is_comma_table(tree: FileTree, name: str) -> bool:
    """Whether a text file begins with the header of a csv table of captions."""
    header = tree.text(name).split("\n", 1)[0].lower()
    return {"image", "caption"} <= {part.strip() for part in header.split(",")}


def read_plain_sentences(tree: FileTree, name: str) -> tuple[Sentence, ...]:
    """Sentences of a text file, one a line; empty lines are passed over.

    Raises:
        ValueError: There is none.
    """
    lines = (line.strip() for line in tree.text(name).splitlines())
    sentences = tuple(Sentence(text=line, language=language_of(line)) for line in lines if line)
    if not sentences:
        raise ValueError(f"{tree.where}/{name} has no sentence; write one a line")
    return sentences
