# SPDX-License-Identifier: MIT
"""Rows of annotation files, and the collection of records by picture; what is wrong becomes a defect."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from intern25.data.defects import Defect, refuse
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Language
from intern25.data.stores import ImageStore
from intern25.data.trees import FileTree, SplitMissingError, is_image, open_tree, split_of

T = TypeVar("T")

ANNOTATION_SUFFIXES = frozenset({".json", ".jsonl", ".tsv", ".csv", ".txt"})
_CHINESE = re.compile("[\u3400-\u9fff]")
_SHOWN = 60


def language_of(text: str) -> Language:
    """Chinese where a text has a Chinese character, else English.

    Example:
        >>> language_of("open 24小时"), language_of("24 h")
        ('zh', 'en')
    """
    return "zh" if _CHINESE.search(text) else "en"


def open_annotations(path: str | Path) -> tuple[FileTree, str | None]:
    """List the files around an annotation file, which may lie in a zip, or those of a whole data set.

    Returns:
        The tree, and the name of the file where ``path`` is one.

    Raises:
        ValueError: Nothing is there.
    """
    path = Path(path)
    if path.suffix.lower() not in ANNOTATION_SUFFIXES or path.is_dir():
        return open_tree(path), None
    tree = open_tree(path.parent)
    if path.name not in tree.members:
        raise ValueError(f"{path} does not exist")
    return tree, path.name


def file_of_split(tree: FileTree, names: Sequence[str], split: str) -> str:
    """Choose the annotation file of a split: one that names it, else the one that names no split.

    Raises:
        SplitMissingError: All files are of other splits.
        ValueError: Several files fit.
    """
    fitting = [name for name in names if split_of(name) == split]
    fitting = fitting or [name for name in names if not split_of(name)]
    if not fitting:
        raise SplitMissingError(f"{tree.where} has no split {split!r}: found {', '.join(sorted(names)[:8])}")
    if len(fitting) > 1:
        raise ValueError(
            f"{tree.where} has {len(fitting)} files for the split {split!r}; give the path of one: "
            f"{', '.join(sorted(fitting)[:8])}"
        )
    return fitting[0]


def json_document(tree: FileTree, name: str) -> Any:
    """Content of a JSON file.

    Raises:
        ValueError: It is empty or no JSON; the message says where.
    """
    text = tree.text(name)
    if not text.strip():
        raise ValueError(f"{tree.where}/{name} is empty; copy it again")
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{tree.where}/{name} is not valid JSON: {error}; copy it again") from error


@dataclass(slots=True)
class DefectRows:
    """What is wrong in one annotation file, row by row."""

    file: str
    rows: list[Defect] = field(default_factory=list)

    def add(self, problem: str, remedy: str, row: int | str | None = None) -> None:
        """Note one defect."""
        self.rows.append(Defect(self.file, problem, remedy, row))


def json_lines(tree: FileTree, name: str, defects: DefectRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of a ``.jsonl`` file."""
    for number, line in enumerate(tree.text(name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            defects.add(f"it is not valid JSON: {error}", "correct or remove the line", number)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            defects.add(f"it is no JSON object: {shown(row)}", "write {...} on each line", number)


def tab_lines(
    tree: FileTree, name: str, columns: Sequence[str], defects: DefectRows
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of each line of a tab-separated file without quoting.

    A first line of just these column names is a header; without it, fields are taken in this order.
    """
    for number, line in enumerate(tree.text(name).splitlines(), start=1):
        fields = line.split("\t")
        if not line.strip() or (number == 1 and [part.strip().lower() for part in fields] == list(columns)):
            continue
        if len(fields) != len(columns):
            wanted = " <tab> ".join(columns)
            defects.add(f"it has {len(fields)} fields: {shown(line)}", f"write {wanted}", number)
        else:
            yield number, dict(zip(columns, fields, strict=True))


def comma_lines(
    tree: FileTree, name: str, columns: Sequence[str], defects: DefectRows
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of each row of a csv file with a header of at least these columns.

    Raises:
        ValueError: The header lacks a column.
    """
    reader = csv.reader(io.StringIO(tree.text(name)))
    header = [part.strip().lower() for part in next(reader, [])]
    lacking = [column for column in columns if column not in header]
    if lacking:
        raise ValueError(
            f"{tree.where}/{name} must begin with a header that has {', '.join(columns)}; it lacks "
            f"{', '.join(lacking)}"
        )
    for fields in reader:
        if len(fields) == len(header):
            yield reader.line_num, dict(zip(header, fields, strict=True))
        elif fields:
            problem = f"it has {len(fields)} fields, the header {len(header)}"
            defects.add(problem, 'put a text with commas in "quotes"', reader.line_num)


def shown(value: Any) -> str:
    """A value as messages show it, cut short."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@dataclass(slots=True)
class ImagesByStem:
    """Finds pictures by the last number of their name, as COCO ids go: 42 is ``COCO_val2014_0...042.jpg``."""

    tree: FileTree
    _names: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.tree.names:
            number = re.search(r"(\d+)$", PurePosixPath(name).stem) if is_image(name) else None
            if number:
                self._names.setdefault(int(number[1]), []).append(name)

    def find(self, number: int, split: str) -> str | None:
        """Name of the picture with this number, the one in a folder of ``split`` where there are several."""
        found = self._names.get(number, [])
        return next((name for name in found if split_of(name) == split), found[0] if found else None)


@dataclass
class RecordRows(Generic[T]):
    """Records while a reader collects them, picture by picture."""

    images: FileTree
    """Where the pictures are."""
    split: str
    """Split that is read; pictures in a folder of another are left out."""
    defects: DefectRows
    """What is wrong with the rows."""
    any_folder: bool = False
    """Whether the annotations alone say the split, not the folders of the pictures."""
    store: ImageStore | None = None
    """Gives the bytes where it is not the tree."""
    _records: dict[str, list[T]] = field(default_factory=dict)
    _other_splits: set[str] = field(default_factory=set)

    @cached_property
    def by_number(self) -> ImagesByStem:
        """The pictures by the last number of their name."""
        return ImagesByStem(self.images)

    @cached_property
    def by_stem(self) -> dict[str, str]:
        """The pictures by their name without folder and suffix; those of the split win."""
        names = [name for name in self.images.names if is_image(name)]
        names.sort(key=lambda name: split_of(name) == self.split)
        return {PurePosixPath(name).stem: name for name in names}

    def picture(self, called: Any, row: int | str | None) -> str | None:
        """Full name of a picture that a row calls ``called``; ``None``, and a defect, where it is missing."""
        if not isinstance(called, str) or not called.strip():
            self.defects.add(f"the picture {shown(called)} is not a file name", "write its file name", row)
            return None
        name = self.images.find_image(called.strip(), self.split)
        if name is None:
            remedy = "copy the picture again, remove the row, or give its folder with images="
            self.defects.add(f"its picture {shown(called)} is missing", remedy, row)
        return name

    def add(self, name: str | None, record: T | None) -> None:
        """Append a record to a picture; ``None`` stands for what a defect was noted for."""
        if name is None or record is None:
            return
        split = split_of(name)
        if not self.any_folder and split and split != self.split:
            self._other_splits.add(split)
            return
        self._records.setdefault(name, []).append(record)

    def other_split(self, split: str) -> None:
        """Note a row of another split."""
        self._other_splits.add(split)

    def pictures(self) -> tuple[str, ...]:
        """Names of the pictures that have records by now."""
        return tuple(self._records)

    def text(self, value: Any, what: str, row: int | str | None) -> str | None:
        """A text of a row without surrounding white space; ``None``, and a defect, where it is none."""
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.defects.add(f"its {what} {shown(value)} is not a text", "write it, or remove the row", row)
        return None

    def language(self, value: Any, text: str, row: int | str | None) -> Language | None:
        """Language that a row states, else that of its text; ``None``, and a defect, for another."""
        if value is None:
            return language_of(text)
        if value in ("en", "zh"):
            return "zh" if value == "zh" else "en"
        self.defects.add(f"its language is {shown(value)}", "write en or zh, or leave it out", row)
        return None

    def finished(self, where: str, *, skip_bad: bool) -> AnnotatedPictures[T]:
        """Return the pictures that have records.

        Raises:
            ValueError: There are defects and ``skip_bad`` is false, or there are no records.
            SplitMissingError: All pictures lie in folders of other splits.
        """
        return annotated(
            self._records,
            self.store or self.images.store,
            f"{where} ({self.split})",
            self.defects,
            skip_bad=skip_bad,
            other_splits=self._other_splits,
        )


def annotated(
    records: Mapping[str, Sequence[T]],
    store: ImageStore,
    where: str,
    defects: DefectRows,
    *,
    skip_bad: bool,
    other_splits: Iterable[str] = (),
) -> AnnotatedPictures[T]:
    """Put the records of a reader together; see :meth:`RecordRows.finished`."""
    if not skip_bad:
        refuse(where, defects.rows)
    if not records:
        found = ", ".join(sorted(other_splits))
        if found and not defects.rows:
            raise SplitMissingError(f"{where}: there is no such split; found {found}")
        first = f"; the first defect: {defects.rows[0]}" if defects.rows else ": the file has none"
        raise ValueError(f"{where} has no usable row{first}")
    return AnnotatedPictures(
        names=tuple(records),
        records=tuple(map(tuple, records.values())),
        store=store,
        where=where,
        defects=tuple(defects.rows),
    )


def one_of(row: Mapping[str, Any], *keys: str) -> Any:
    """Value of the first of some keys that a row has; ``None`` where it has none."""
    return next((row[key] for key in keys if row.get(key) is not None), None)
