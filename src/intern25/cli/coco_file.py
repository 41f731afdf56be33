# SPDX-License-Identifier: MIT
"""The results of many pictures in COCO's forms: of objects and classes, and of panoptic segments."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from intern25.data.class_names import ClassNames
    from intern25.results import Detections, PanopticMap, SemanticMap

    AnyFound = Detections | SemanticMap | PanopticMap

FoundIn = TypeVar("FoundIn", contravariant=True)

RESULTS_NAME = "coco_results.json"
IMAGES_NAME = "coco_images.json"
PANOPTIC_NAME = "coco_panoptic.json"

# COCO numbers its 80 classes from 1 to 90 and leaves these out.
_COCO_HOLES = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO_CLASSES = 80


def category_ids(classes: ClassNames) -> tuple[int, ...]:
    """Return the category of each class: COCO's own numbers for its 80 classes, else the class numbers."""
    is_coco = len(classes) == _COCO_CLASSES and (classes.en[0], classes.en[-1]) == ("person", "toothbrush")
    if is_coco:
        return tuple(number for number in range(1, 91) if number not in _COCO_HOLES)
    return tuple(range(len(classes)))


class CocoWriter(Protocol[FoundIn]):
    """What collects results and writes them in one of COCO's forms."""

    def add(self, result: FoundIn, masks: Path) -> None:
        """Add the result of one more picture, whose masks lie in ``masks`` if they are saved."""

    def write(self, folder: Path) -> None:
        """Write what was collected."""


class _Images:
    """Pictures by id; one named by a number, as COCO's are, has that number as its id."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}

    def add(self, result: AnyFound) -> int:
        assert result.source is not None, "a result of the command line has a name"
        image_id = self._new_id(Path(result.source).stem)
        height, width = result.size
        self.rows[image_id] = {"id": image_id, "file_name": result.source, "width": width, "height": height}
        return image_id

    def _new_id(self, stem: str) -> int:
        if stem.isascii() and stem.isdigit() and int(stem) not in self.rows:
            return int(stem)
        number = len(self.rows) + 1
        while number in self.rows:
            number += 1
        return number


class CocoFile:
    """Objects, or classes of pixels, as a COCO result file, and a second file: which picture is which.

    Args:
        classes: Names of the model's classes, for the categories.
    """

    def __init__(self, classes: ClassNames) -> None:
        self._ids = category_ids(classes)
        self._categories = _categories(classes, self._ids)
        self._images = _Images()
        self._rows: list[dict[str, Any]] = []

    def add(self, result: Detections | SemanticMap, masks: Path) -> None:
        """Add the result of one more picture; its rows hold the masks."""
        self._rows += result.to_coco(self._images.add(result), category_ids=self._ids)

    def write(self, folder: Path) -> None:
        """Write both files, each whole or not at all."""
        images = list(self._images.rows.values())
        about = {"images": images, "categories": self._categories, "annotations": []}
        _write_json(folder / RESULTS_NAME, self._rows)
        _write_json(folder / IMAGES_NAME, about)


class CocoPanopticFile:
    """Segments as COCO's panoptic form: one file that names a PNG of segment ids for each picture.

    Args:
        classes: Names of the model's classes, for the categories.
        things: Numbers of those that are things.
    """

    def __init__(self, classes: ClassNames, things: Collection[int]) -> None:
        self._ids = category_ids(classes)
        self._categories = [
            {**row, "isthing": int(label in things)}
            for label, row in enumerate(_categories(classes, self._ids))
        ]
        self._images = _Images()
        self._annotations: list[dict[str, Any]] = []

    def add(self, result: PanopticMap, masks: Path) -> None:
        """Add the result of one more picture, whose segment ids lie in ``masks``."""
        image_id = self._images.add(result)
        annotation, _ = result.to_coco(image_id, file_name=masks.name, category_ids=self._ids)
        self._annotations.append(annotation)

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        content = {
            "images": list(self._images.rows.values()),
            "annotations": self._annotations,
            "categories": self._categories,
        }
        _write_json(folder / PANOPTIC_NAME, content)


def _categories(classes: ClassNames, ids: Sequence[int]) -> list[dict[str, Any]]:
    named = zip(ids, classes.en, classes.zh, strict=True)
    return [{"id": number, "name": en, "name_zh": zh} for number, en, zh in named]


def _write_json(path: Path, content: Any) -> None:
    from intern25.data.writing import write_whole

    text = json.dumps(content, ensure_ascii=False)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
