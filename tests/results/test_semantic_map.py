# SPDX-License-Identifier: MIT
"""Classes of pixels: JSON, COCO, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.run_lengths import decode_mask
from intern25.results import SemanticMap

LABELS = np.array([[0, 0, 2, 2], [0, 0, 2, 255]], dtype=np.uint8)


def result(**changes: object) -> SemanticMap:
    values: dict[str, object] = {
        "labels": LABELS,
        "names_en": ("sky", "road", "car"),
        "names_zh": ("天空", "道路", "汽车"),
        "palette": ((1, 2, 3), (40, 50, 60), (200, 100, 0)),
        "source": "街.jpg",
    }
    return SemanticMap(**{**values, **changes})  # type: ignore[arg-type]


def test_json_lists_the_classes_there_largest_first() -> None:
    found = json.loads(result().to_json())
    assert (found["source"], found["size"]) == ("街.jpg", [2, 4])
    assert found["classes"] == [
        {"label": 0, "name_en": "sky", "name_zh": "天空", "pixels": 4, "share": 0.5},
        {"label": 2, "name_en": "car", "name_zh": "汽车", "pixels": 3, "share": 0.375},
    ]
    masks = json.loads(result().to_json(masks=True))["classes"]
    assert all(np.array_equal(decode_mask(row["mask"]), row["label"] == LABELS) for row in masks)
    assert result().present == (0, 2)


def test_coco_has_a_row_a_class() -> None:
    rows = result().to_coco(5, category_ids={0: 10, 2: 30})
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(5, 10), (5, 30)]
    assert np.array_equal(decode_mask(rows[1]["segmentation"]), LABELS == 2)


def test_the_file_holds_class_numbers_and_shows_colours(tmp_path: Path) -> None:
    result().save_masks(tmp_path / "a.png")
    stored = Image.open(tmp_path / "a.png")
    assert np.array_equal(np.asarray(stored), LABELS)
    assert stored.convert("RGB").getpixel((2, 0)) == (200, 100, 0)
    with pytest.raises(ValueError, match=r"must end in \.png"):
        result().save_masks(tmp_path / "a.jpg")


def test_many_classes_take_sixteen_bits(tmp_path: Path) -> None:
    names = tuple(f"class {k}" for k in range(300))
    labels = np.array([[0, 255, 299, 65535]], dtype=np.int32)
    many = result(labels=labels, names_en=names, names_zh=names, palette=((0, 0, 0),) * 300)
    assert many.present == (0, 255, 299)
    many.save_masks(tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"names_en": ("a",)}, "got 1, 3, 3"),
        ({"palette": ()}, "got 3, 3, 0"),
        ({"labels": np.array([[3]], dtype=np.uint8)}, r"labels \[3\] are outside the 3 classes"),
        ({"labels": np.array([[-1]], dtype=np.int32)}, r"labels \[-1\]"),
        ({"labels": np.zeros((1, 2, 3), dtype=np.uint8)}, r"must be \(H, W\)"),
        ({"scores": np.zeros((2, 2), dtype=np.float32)}, r"scores \(2, 2\)"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        result(**changes)
