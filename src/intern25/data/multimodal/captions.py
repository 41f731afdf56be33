# SPDX-License-Identifier: MIT
"""Open a caption data set from a path, whatever its format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from intern25.data.multimodal.caption_files import (
    is_comma_table,
    is_token_file,
    read_comma_table,
    read_json_lines,
    read_json_list,
    read_plain_sentences,
    read_token_lines,
)
from intern25.data.multimodal.caption_shards import has_caption_shards, read_caption_shards
from intern25.data.multimodal.coco_captions import is_coco, read_coco_captions, read_sentences_by_id
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import (
    DefectRows,
    RecordRows,
    file_of_split,
    json_document,
    open_annotations,
)
from intern25.data.trees import FileTree, open_tree, split_name, split_of

CaptionFormat = Literal["auto", "coco", "list", "jsonl", "token", "csv", "coco_ids", "shards"]
Reader = Callable[[FileTree, str, RecordRows[Sentence]], None]
_READERS: dict[str, Reader] = {
    "coco": read_coco_captions,
    "list": read_json_list,
    "jsonl": read_json_lines,
    "token": read_token_lines,
    "csv": read_comma_table,
    "coco_ids": read_sentences_by_id,
}
FORMAT_HELP = (
    "expected captions_train.json in COCO's form, captions.json (a list), *.jsonl, *token*.txt, captions.txt "
    "or .csv with image,caption, captions*.tsv with coco_id and sentence, or webdataset shards *.tar"
)
_CAPTION_FILE = re.compile(
    r"(?:.*/)?(?:[^/]*caption[^/]*\.(?:json|csv|txt|tsv)|(?![^/]*(?:question|statement))[^/]*\.jsonl"
    r"|[^/]*token[^/]*\.txt)",
    re.IGNORECASE,
)


def read_captions(
    path: str | Path,
    format: CaptionFormat = "auto",
    *,
    split: str = "train",
    images: str | Path | None = None,
    skip_bad: bool = False,
) -> AnnotatedPictures[Sentence]:
    """Read one split of a caption data set.

    Convention:
        - a folder, a ``.zip`` read in place, a folder inside a zip, an annotation file in any of them, or
          webdataset shards ``name-{000000..000009}.tar``.
        - the name of the annotation file says the split, else the rows do, else the folders of the pictures.
        - a text with a Chinese character is Chinese where nothing else is said.

    Args:
        path: The data set.
        format: ``auto`` looks at the files.
        split: ``train``, ``val`` or ``test``.
        images: Folder or zip of the pictures where they lie elsewhere.
        skip_bad: Leave bad rows out, as rows of ``defects``, instead of raising.

    Returns:
        The pictures that have captions.

    Raises:
        ValueError: Nothing usable is there, or rows are bad; the message shows the first.
        SplitMissingError: The data set has other splits only.
    """
    if format not in ("auto", "shards", *_READERS):
        known = ", ".join(("auto", *_READERS, "shards"))
        raise ValueError(f"unknown format {format!r} of a caption data set; known: {known}")
    split = split_name(split)
    if format == "shards" or (format == "auto" and has_caption_shards(Path(path))):
        return read_caption_shards(path, split=split, skip_bad=skip_bad)
    tree, name = open_annotations(path)
    if name is None:
        name = _annotation_file(tree, format, split)
    kind = _format_of(tree, name) if format == "auto" else format
    if kind is None:
        raise ValueError(f"{tree.where}/{name} is no caption file; {FORMAT_HELP}")
    pictures = open_tree(images) if images is not None else tree
    rows = RecordRows[Sentence](pictures, split, DefectRows(name), any_folder=split_of(name) == split)
    _READERS[kind](tree, name, rows)
    return rows.finished(f"{tree.where}/{name}", skip_bad=skip_bad)


def read_sentences(path: str | Path) -> tuple[Sentence, ...]:
    """Read sentences without pictures from a text file, one a line, in a folder or a zip.

    Raises:
        ValueError: The file is missing or empty.
    """
    tree, name = open_annotations(path)
    if name is None:
        raise ValueError(f"{path} is no text file; give one with a sentence on each line")
    return read_plain_sentences(tree, name)


def _annotation_file(tree: FileTree, format: str, split: str) -> str:
    names = [name for name in tree.names if _CAPTION_FILE.fullmatch(name)]
    kinds = {name: _format_of(tree, name) for name in names}
    found = [name for name, kind in kinds.items() if kind is not None and format in ("auto", kind)]
    if not found:
        wanted = FORMAT_HELP if format == "auto" else f"expected the {format} format"
        raise ValueError(f"no captions in {tree.where}; {wanted}")
    return file_of_split(tree, found, split)


def _format_of(tree: FileTree, name: str) -> str | None:
    """Format of an annotation file; ``None`` for one that holds no captions of pictures."""
    suffix = name.rsplit(".", 1)[-1].lower()
    if suffix == "json":
        document = json_document(tree, name)
        return "coco" if is_coco(document) else "list"
    if suffix in ("jsonl", "tsv"):
        return {"jsonl": "jsonl", "tsv": "coco_ids"}[suffix]
    if is_comma_table(tree, name):
        return "csv"
    return "token" if is_token_file(tree, name) else None
