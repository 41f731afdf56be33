# SPDX-License-Identifier: MIT
"""CrowdHuman odgt: one json object a line, full-body boxes that may leave the picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from intern25.data.class_names import class_names
from intern25.data.defects import Defect
from intern25.data.detection.annotations import AnnotationRows
from intern25.data.detection.images import RelativeAnnotations, StoredDetectionImages
from intern25.data.trees import FileTree, SplitMissingError, split_of, without_split_folders


def crowdhuman_roots(tree: FileTree) -> list[str]:
    """Folders that hold a data set of this form."""
    parents = {str(PurePosixPath(name).parent) for name in tree.names if name.endswith(".odgt")}
    return sorted({without_split_folders("" if p == "." else p, ("annotations",)) for p in parents})


def read_crowdhuman(tree: FileTree, split: str, images: FileTree | None = None) -> StoredDetectionImages:
    """Read one split: full boxes (``fbox``); ``mask`` objects and those marked ``ignore`` are crowds.

    Args:
        tree: Files of the data set.
        split: ``train``, ``val`` or ``test``.
        images: Where the pictures lie if not in ``tree``.

    Raises:
        ValueError: There is no such split, or a line is not json.
    """
    pictures = images or tree
    files = [name for name in tree.names if name.endswith(".odgt")]
    chosen = [name for name in files if split_of(PurePosixPath(name).name) == split]
    if not chosen:
        raise SplitMissingError(
            f"{tree.where} has no annotation_{split}.odgt: found {', '.join(files) or 'no odgt file'}"
        )
    ids: list[str] = []
    rows: list[AnnotationRows] = []
    defects: list[Defect] = []
    for number, line in enumerate(tree.text(chosen[0]).splitlines(), start=1):
        if line.strip():
            record = _parse(f"line {number} of {tree.where}/{chosen[0]}", line)
            ids.append(str(record["ID"]))
            rows.append(_objects(f"{record['ID']}", record["gtboxes"], defects))
    names = tuple(pictures.find_image(f"{image_id}.jpg", split) or f"{image_id}.jpg" for image_id in ids)
    if not any(name in pictures.members for name in names):
        raise ValueError(
            f"none of the {len(names)} pictures of {tree.where}/{chosen[0]} is under {pictures.where}"
        )
    return StoredDetectionImages(
        where=f"{tree.where} ({split})",
        names=names,
        image_ids=tuple(ids),
        annotations=RelativeAnnotations(tuple(rows), names, pictures.store, fractions=False),
        classes=class_names("crowdhuman"),
        category_ids=(1,),
        store=pictures.store,
        defects=tuple(defects),
        amodal=True,
    )


def _parse(where: str, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not valid JSON: {error}") from error
    if not isinstance(record, dict) or "ID" not in record or not isinstance(record.get("gtboxes"), list):
        raise ValueError(f"{where} has no 'ID' and list 'gtboxes'")
    return record


def _objects(name: str, objects: list[Mapping[str, Any]], defects: list[Defect]) -> AnnotationRows:
    rows = AnnotationRows()
    for number, item in enumerate(objects, start=1):
        box = item.get("fbox")
        if not isinstance(box, list) or len(box) != 4:
            defects.append(Defect(name, f"fbox {box!r} is not [x, y, width, height]", "correct it", number))
            continue
        x, y, width, height = (float(value) for value in box)
        ignored = item.get("tag") != "person" or item.get("extra", {}).get("ignore", 0) == 1
        rows.add((x, y, x + width, y + height), 0, number, crowd=ignored)
    return rows
