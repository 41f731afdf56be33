# SPDX-License-Identifier: MIT
"""Open Images csv: ``*annotations-bbox.csv``, class descriptions, and verified labels of whole pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from intern25.data.defects import Defect
from intern25.data.detection.annotations import AnnotationRows
from intern25.data.detection.images import RelativeAnnotations, StoredDetectionImages
from intern25.data.known_classes import named_classes
from intern25.data.trees import FileTree, SplitMissingError, split_of, without_split_folders

_BOXES = "annotations-bbox"
_COLUMNS = {"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"}


def openimages_roots(tree: FileTree) -> list[str]:
    """Folders that hold a data set of this form."""
    parents = {str(PurePosixPath(n).parent) for n in tree.names if _BOXES in n and n.endswith(".csv")}
    return sorted(
        {without_split_folders("" if p == "." else p, ("annotations", "csv", "labels")) for p in parents}
    )


def read_openimages(tree: FileTree, split: str, images: FileTree | None = None) -> StoredDetectionImages:
    """Read one split.

    The csv lists no pictures without a box, so they are not read. The size of a picture comes from its file.

    Args:
        tree: Files of the data set.
        split: ``train``, ``val`` or ``test``.
        images: Where the pictures lie if not in ``tree``.

    Raises:
        ValueError: There is no such split, or the class descriptions are missing.
    """
    pictures = images or tree
    file = _csv_of_split(tree, _BOXES, split)
    if file is None:
        raise SplitMissingError(
            f"{tree.where} has no csv of boxes of split {split!r}, such as {split}-{_BOXES}.csv"
        )
    keys, names = _descriptions(tree)
    labels = {key: label for label, key in enumerate(keys)}
    rows: dict[str, AnnotationRows] = {}
    defects: list[Defect] = []
    for line, row in enumerate(_dictionaries(tree, file, _COLUMNS), start=2):
        _add(file, line, row, labels, rows, defects)
    found = tuple(pictures.find_image(f"{image_id}.jpg", split) or f"{image_id}.jpg" for image_id in rows)
    if not any(name in pictures.members for name in found):
        raise ValueError(
            f"none of the {len(found)} pictures of {tree.where}/{file} is under {pictures.where}"
        )
    for image_id, label in _absent_labels(tree, split, labels):
        if image_id in rows:
            rows[image_id].negative.append(label)
    return StoredDetectionImages(
        where=f"{tree.where} ({split})",
        names=found,
        image_ids=tuple(rows),
        annotations=RelativeAnnotations(tuple(rows.values()), found, pictures.store),
        classes=named_classes(names),
        category_ids=tuple(keys),
        store=pictures.store,
        defects=tuple(defects),
    )


def _csv_of_split(tree: FileTree, kind: str, split: str) -> str | None:
    files = [name for name in tree.names if kind in name and name.endswith(".csv")]
    return next((name for name in files if split_of(PurePosixPath(name).name) == split), None)


def _dictionaries(tree: FileTree, file: str, columns: set[str]) -> Iterator[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(tree.text(file)))
    missing = columns - set(rows.fieldnames or ())
    if missing:
        raise ValueError(f"{tree.where}/{file} lacks the columns {', '.join(sorted(missing))}")
    yield from rows


def _descriptions(tree: FileTree) -> tuple[list[str], list[str]]:
    """Ids such as ``/m/011k07`` and names of the classes, in the order of the descriptions."""
    files = [name for name in tree.names if "class-descriptions" in name and name.endswith(".csv")]
    if not files:
        raise ValueError(
            f"{tree.where} has no class-descriptions-boxable.csv, which names the classes; it comes "
            "with the boxes"
        )
    rows = [
        row for row in csv.reader(io.StringIO(tree.text(files[0]))) if len(row) == 2 and row[0] != "LabelName"
    ]
    if not rows:
        raise ValueError(f"{tree.where}/{files[0]} names no classes: its lines must be '/m/011k07,Tortoise'")
    return [key for key, _ in rows], [name for _, name in rows]


def _add(
    file: str,
    line: int,
    row: dict[str, str],
    labels: dict[str, int],
    rows: dict[str, AnnotationRows],
    defects: list[Defect],
) -> None:
    """Take over one line of boxes, or note what is wrong with it."""
    label = labels.get(row["LabelName"])
    if label is None:
        problem = f"label {row['LabelName']!r} is not in the class descriptions"
        defects.append(Defect(file, problem, "add the class or remove the line", line))
        return
    try:
        left, top, right, bottom = (float(row[key]) for key in ("XMin", "YMin", "XMax", "YMax"))
    except (TypeError, ValueError):
        defects.append(Defect(file, "its coordinates are not numbers", "correct the line", line))
        return
    objects = rows.setdefault(row["ImageID"], AnnotationRows())
    objects.add((left, top, right, bottom), label, line, crowd=row.get("IsGroupOf") == "1")


def _absent_labels(tree: FileTree, split: str, labels: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Picture and class of each label that people verified to be absent."""
    file = _csv_of_split(tree, "human-imagelabels", split)
    if file is None:
        return
    for row in _dictionaries(tree, file, {"ImageID", "LabelName", "Confidence"}):
        if row["LabelName"] in labels and float(row["Confidence"]) == 0:
            yield row["ImageID"], labels[row["LabelName"]]
