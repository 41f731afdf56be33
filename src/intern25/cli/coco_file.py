# SPDX-License-Identifier: MIT
"""The results of many pictures as one COCO result file, and a second file: which picture is which."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intern25.data.class_names import ClassNames
    from intern25.results import Detections, SemanticMap

RESULTS_NAME = "coco_results.json"
IMAGES_NAME = "coco_images.json"

# COCO numbers its 80 classes from 1 to 90 and leaves these out.
_COCO_HOLES = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO_CLASSES = 80


def category_ids(classes: ClassNames) -> tuple[int, ...]:
    """Return the category of each class: COCO's own numbers for its 80 classes, else the class numbers."""
    is_coco = len(classes) == _COCO_CLASSES and (classes.en[0], classes.en[-1]) == ("person", "toothbrush")
    if is_coco:
        return tuple(number for number in range(1, 91) if number not in _COCO_HOLES)
    return tuple(range(len(classes)))


class CocoFile:
    """Collects results; a picture named by a number, as COCO's are, has that number as its id.

    Args:
        classes: Names of the model's classes, for the categories.
    """

    def __init__(self, classes: ClassNames) -> None:
        self._ids = category_ids(classes)
        self._categories = [
            {"id": self._ids[label], "name": en, "name_zh": zh}
            for label, (en, zh) in enumerate(zip(classes.en, classes.zh, strict=True))
        ]
        self._images: dict[int, dict[str, Any]] = {}
        self._rows: list[dict[str, Any]] = []

    def add(self, result: Detections | SemanticMap) -> None:
        """Add the result of one more picture."""
        assert result.source is not None, "a result of the command line has a name"
        image_id = self._new_id(Path(result.source).stem)
        height, width = result.size
        self._images[image_id] = {
            "id": image_id,
            "file_name": result.source,
            "width": width,
            "height": height,
        }
        self._rows += result.to_coco(image_id, category_ids=self._ids)

    def write(self, folder: Path) -> None:
        """Write both files, each whole or not at all."""
        from intern25.data.writing import write_whole

        about = {"images": list(self._images.values()), "categories": self._categories, "annotations": []}
        for name, content in ((RESULTS_NAME, self._rows), (IMAGES_NAME, about)):
            write_whole(folder / name, partial(_write_json, content))

    def _new_id(self, stem: str) -> int:
        if stem.isascii() and stem.isdigit() and int(stem) not in self._images:
            return int(stem)
        number = len(self._images) + 1
        while number in self._images:
            number += 1
        return number


def _write_json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
