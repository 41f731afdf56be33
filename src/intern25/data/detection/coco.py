# SPDX-License-Identifier: MIT
"""COCO json, and what is written in its form: LVIS, Objects365, Open Images, Roboflow exports."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from intern25.data.defects import Defect
from intern25.data.detection.annotations import AnnotationRows, Size
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.masks import MaskError, stored_mask
from intern25.data.known_classes import named_classes
from intern25.data.trees import (
    FileTree,
    SplitMissingError,
    split_of,
    stored_image_size,
    without_split_folders,
)

_OTHER_FILES = ("caption", "panoptic", "keypoint", "image_info", "stuff", "labels", "config", "package")
_USUAL_NAMES = ("instances", "annotation", "coco", "lvis", "objects365", "objv2", "bbox", "openimages", "det")
_FOLDERS = ("annotations", "labels", "images")


def coco_files(tree: FileTree) -> list[str]:
    """Names of the json files that look like detection annotations."""
    files = [name for name in tree.names if name.lower().endswith(".json")]
    files = [name for name in files if not any(word in PurePosixPath(name).name for word in _OTHER_FILES)]
    usual = [name for name in files if _has_usual_name(PurePosixPath(name))]
    return usual or files


def _has_usual_name(path: PurePosixPath) -> bool:
    stem = path.stem.lower()
    alone = bool(split_of(stem)) and stem.isalnum()
    return alone or any(word in stem for word in _USUAL_NAMES) or path.parent.name.lower() == "annotations"


def coco_roots(tree: FileTree) -> list[str]:
    """Folders that hold a data set of this form."""
    parents = (str(PurePosixPath(name).parent) for name in coco_files(tree))
    return sorted({without_split_folders("" if parent == "." else parent, _FOLDERS) for parent in parents})


def read_coco(tree: FileTree, split: str, images: FileTree | None = None) -> StoredDetectionImages:
    """Read one split.

    Args:
        tree: Files of the data set.
        split: ``train``, ``val`` or ``test``; the json file is found by its name.
        images: Where the pictures lie if not in ``tree``.

    Raises:
        ValueError: There is no such split, or the file is not COCO json.
    """
    return read_coco_file(tree, _file_of_split(tree, split), split, images or tree)


def _file_of_split(tree: FileTree, split: str) -> str:
    files = coco_files(tree)
    if not files:
        raise ValueError(f"{tree.where} has no COCO json, such as annotations/instances_{split}2017.json")
    chosen = [name for name in files if split_of(name) == split]
    if not chosen and split in ("train", "all"):
        chosen = [name for name in files if not split_of(name)]
    chosen = [name for name in chosen if "instances" in name] or chosen
    if not chosen:
        raise SplitMissingError(
            f"{tree.where} has no annotations of split {split!r}: found {', '.join(files[:8])}. The name of "
            "the json file must say its split, such as instances_train.json"
        )
    if len(chosen) > 1:
        raise ValueError(f"{tree.where} has several files for split {split!r}: {', '.join(chosen)}; give one")
    return chosen[0]


def read_coco_file(tree: FileTree, name: str, split: str, images: FileTree) -> StoredDetectionImages:
    """Read one COCO json file; see :func:`read_coco`."""
    where = f"{tree.where}/{name}"
    return _CocoDocument(where, _parse(where, tree.text(name)), split, images).read()


def _parse(where: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{where} is not valid JSON: {error}; it may be cut off") from error
    missing = [
        key
        for key in ("images", "annotations", "categories")
        if not isinstance(document, dict) or not isinstance(document.get(key), list)
    ]
    if missing:
        raise ValueError(
            f"{where} is not COCO json: it has no list {', '.join(repr(key) for key in missing)}"
        )
    if not document["images"] or not document["categories"]:
        empty = "images" if not document["images"] else "categories"
        raise ValueError(f"{where} lists no {empty}")
    return dict(document)


class _CocoDocument:
    """One parsed file on its way to images and annotations."""

    def __init__(self, where: str, document: dict[str, Any], split: str, images: FileTree) -> None:
        self.where = where
        self.document = document
        self.split = split
        self.images = images
        self.defects: list[Defect] = []

    def read(self) -> StoredDetectionImages:
        categories = self._categories()
        self._label_of = {category["id"]: label for label, category in enumerate(categories)}
        records = self._records()
        rows = {
            image_id: AnnotationRows(
                negative=self._image_level(record, "neg_category_ids"),
                not_exhaustive=self._image_level(record, "not_exhaustive_category_ids"),
            )
            for image_id, record in records.items()
        }
        sizes = {image_id: self._size(record) for image_id, record in records.items()}
        seen: set[int | str] = set()
        for row in self.document["annotations"]:
            self._add(row, rows, sizes, seen)
        names = [self._name(record) for record in records.values()]
        self._check_some_exist(names)
        return StoredDetectionImages(
            where=self.where,
            names=tuple(names),
            image_ids=tuple(records),
            annotations=tuple(rows[image_id].annotation(sizes[image_id]) for image_id in records),
            classes=named_classes([str(category.get("name", category["id"])) for category in categories]),
            category_ids=tuple(category["id"] for category in categories),
            frequencies=_frequencies(categories),
            store=self.images.store,
            defects=tuple(self.defects),
        )

    def _categories(self) -> list[dict[str, Any]]:
        categories = self.document["categories"]
        ids = [category.get("id") if isinstance(category, dict) else None for category in categories]
        if not any(all(isinstance(value, kind) for value in ids) for kind in (int | float, str)):
            raise ValueError(
                f"{self.where}: every category needs an 'id' and a 'name', ids all numbers or all text"
            )
        double = sorted({str(category_id) for category_id in ids if ids.count(category_id) > 1})
        if double:
            raise ValueError(
                f"{self.where}: category ids {', '.join(double)} occur twice; give each class its own"
            )
        return sorted(categories, key=lambda category: category["id"])

    def _records(self) -> dict[int | str, dict[str, Any]]:
        records: dict[int | str, dict[str, Any]] = {}
        for record in self.document["images"]:
            if not isinstance(record, dict) or not isinstance(record.get("id"), int | float | str):
                raise ValueError(f"{self.where}: every image needs an 'id', not so {str(record)[:100]}")
            if record["id"] in records:
                self._defect(f"image id {record['id']} occurs twice", "give each image its own id", None)
            else:
                records[record["id"]] = record
        return records

    def _name(self, record: Mapping[str, Any]) -> str:
        """Name of the picture in the tree; as the file calls it where it is missing."""
        name = record.get("file_name")
        if name is None:  # LVIS
            name = "/".join(str(record.get("coco_url", record["id"])).split("/")[-2:])
        return self.images.find_image(str(name), self.split) or str(name)

    def _check_some_exist(self, names: list[str]) -> None:
        if not any(name in self.images.members for name in names):
            raise ValueError(
                f"none of the {len(names)} pictures of {self.where} is under {self.images.where}; the first "
                f"is {names[0]}. Give the folder of the pictures with images="
            )

    def _size(self, record: Mapping[str, Any]) -> Size:
        height, width = record.get("height"), record.get("width")
        if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
            return height, width
        try:
            return stored_image_size(self.images.store, self._name(record))
        except ValueError:
            return 1, 1  # the check reports the missing picture

    def _add(
        self,
        row: Any,
        rows: Mapping[int | str, AnnotationRows],
        sizes: Mapping[int | str, Size],
        seen: set[int | str],
    ) -> None:
        """Take over one annotation, or note what is wrong with it."""
        if not isinstance(row, dict):
            self._defect(f"an annotation is no object: {str(row)[:60]}", "remove it", None)
            return
        for key in ("id", "image_id", "category_id"):
            if isinstance(row.get(key), list | dict):
                problem = f"{key} {str(row[key])[:60]} is a list or an object"
                self._defect(problem, "write one number or text", None)
                return
        row_id: int | str = row.get("id", "without id")
        image_id: int | str = row.get("image_id", "none")
        if row_id in seen and row_id != "without id":
            self._defect("its id occurs twice", "give each annotation its own id", row_id)
            return
        seen.add(row_id)
        if image_id not in rows:
            self._defect(
                f"image_id {image_id!r} is not among the images", "remove it or add the image", row_id
            )
        elif row.get("category_id") not in self._label_of:
            category = row.get("category_id")
            self._defect(
                f"category_id {category!r} is not among the categories",
                "add the category or correct the id",
                row_id,
            )
        else:
            self._add_object(row, row_id, rows[image_id], sizes[image_id])

    def _add_object(
        self, row: Mapping[str, Any], row_id: int | str, rows: AnnotationRows, size: Size
    ) -> None:
        box = _corners(row.get("bbox"))
        if box is None:
            self._defect(
                f"bbox {str(row.get('bbox'))[:60]} is not [x, y, width, height]", "correct it", row_id
            )
            return
        try:
            mask = stored_mask(row.get("segmentation"), size)
        except MaskError as error:
            self._defect(str(error), "correct its segmentation", row_id)
            return
        area = row.get("area")
        rows.add(
            box,
            self._label_of[row["category_id"]],
            row_id,
            mask=mask,
            crowd=bool(row.get("iscrowd", 0)) or bool(row.get("isgroupof", row.get("is_group_of", 0))),
            difficult=bool(row.get("ignore", 0)),
            area=float(area) if isinstance(area, int | float) else None,
        )

    def _image_level(self, record: Mapping[str, Any], key: str) -> list[int]:
        """Labels of a list of category ids that LVIS keeps with the picture."""
        return [self._label_of[category] for category in record.get(key, ()) if category in self._label_of]

    def _defect(self, problem: str, remedy: str, row: int | str | None) -> None:
        self.defects.append(Defect(self.where, problem, remedy, row))


def _corners(box: Any) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of COCO's [x, y, width, height]; ``None`` for anything else."""
    if not isinstance(box, list) or len(box) != 4:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in box):
        return None
    x, y, width, height = box
    return x, y, x + width, y + height


def _frequencies(categories: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    """Rare, common or frequent, as LVIS says of each class; ``None`` for other data."""
    letters = tuple(str(category.get("frequency", "")) for category in categories)
    return letters if letters and set(letters) <= {"r", "c", "f"} else None
