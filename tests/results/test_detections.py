# SPDX-License-Identifier: MIT
"""Objects of a picture: shapes, selection, JSON, COCO, supervision, mask files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.run_lengths import decode_mask
from intern25.results import Detections

BOXES = np.array([[1, 2, 5.126, 7], [0, 0, 3, 3], [4, 4, 9, 8]], dtype=np.float32)


def masks() -> np.ndarray:
    values = np.zeros((3, 8, 9), dtype=bool)
    for mask, (left, top, right, bottom) in zip(values, BOXES.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    return values


def result(**changes: object) -> Detections:
    values: dict[str, object] = {
        "boxes": BOXES,
        "scores": np.array([0.9, 0.5, 0.25], dtype=np.float32),
        "labels": np.array([2, 0, 2]),
        "size": (8, 9),
        "masks": masks(),
        "names_en": ("bus", "cat", "bus"),
        "names_zh": ("公交车", "猫", "公交车"),
        "source": "街.jpg",
    }
    return Detections(**{**values, **changes})  # type: ignore[arg-type]


def test_json_has_every_field_and_reads_back() -> None:
    text = result().to_json()
    assert "\n" not in text
    found = json.loads(text)
    assert (found["source"], found["size"], len(found["detections"])) == ("街.jpg", [8, 9], 3)
    assert found["detections"][0] == {
        "label": 2,
        "score": 0.9,
        "box": [1.0, 2.0, 5.13, 7.0],
        "name_en": "bus",
        "name_zh": "公交车",
    }
    with_masks = json.loads(result().to_json(masks=True))["detections"]
    assert all(
        np.array_equal(decode_mask(row["mask"]), mask) for row, mask in zip(with_masks, masks(), strict=True)
    )
    assert json.loads(result(names_en=(), names_zh=()).to_json())["detections"][1]["name_en"] is None


def test_coco_rows_are_read_by_cocos_tools() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    rows = result().to_coco(7, category_ids=(1, 2, 90))
    assert [row["category_id"] for row in rows] == [90, 1, 90]
    assert rows[0]["bbox"] == [1.0, 2.0, 4.13, 5.0]
    truth = coco.COCO()
    truth.dataset = {"images": [{"id": 7, "width": 9, "height": 8}], "annotations": [], "categories": []}
    truth.createIndex()
    loaded = truth.loadRes(json.loads(json.dumps(rows)))
    for annotation, mask in zip(loaded.loadAnns(loaded.getAnnIds()), masks(), strict=True):
        assert np.array_equal(loaded.annToMask(annotation).astype(bool), mask)
    boxes_only = result(masks=None).to_coco()
    assert "segmentation" not in boxes_only[0]
    assert boxes_only[0]["category_id"] == 2


def test_supervision_takes_everything() -> None:
    pytest.importorskip("supervision")
    theirs = result().to_supervision()
    assert np.array_equal(theirs.xyxy, BOXES)
    assert np.array_equal(theirs.mask, masks())
    assert theirs.class_id.tolist() == [2, 0, 2]
    assert theirs.data["class_name"].tolist() == ["bus", "cat", "bus"]
    assert len(result().select([]).to_supervision()) == 0


def test_supervision_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        result().to_supervision()


def test_filter() -> None:
    assert result().filter(min_score=0.5).labels.tolist() == [2, 0]
    assert result().filter(classes=["cat"]).labels.tolist() == [0]
    assert result().filter(classes=["公交车"]).scores.tolist() == [0.8999999761581421, 0.25]
    assert len(result().filter(classes=[2])) == 2
    assert len(result().filter(classes=["dog"])) == 0
    nameless = result(names_en=(), names_zh=()).filter(classes=[0])
    assert nameless.names("both") == ("class 0 / 类别 0",)
    with pytest.raises(TypeError, match=r"\['cat'\]"):
        result().filter(classes="cat")


def test_select_keeps_rows_together() -> None:
    chosen = result().select([2, 0])
    assert chosen.boxes.tolist() == BOXES[[2, 0]].tolist()
    assert chosen.masks is not None
    assert np.array_equal(chosen.masks, masks()[[2, 0]])
    assert chosen.names_zh == ("公交车", "公交车")
    assert len(result().select(np.zeros(3, dtype=bool))) == 0


def test_mask_files_hold_object_numbers(tmp_path: Path) -> None:
    result().save_masks(tmp_path / "a.png")
    numbers = np.asarray(Image.open(tmp_path / "a.png"))
    assert numbers[6, 4] == 1  # the best of two that overlap
    assert numbers[0, 0] == 2
    assert numbers[7, 8] == 3
    assert numbers[7, 0] == 0
    with pytest.raises(ValueError, match="boxes without masks"):
        result(masks=None).save_masks(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"must end in \.png"):
        result().save_masks(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"boxes": BOXES[:2]}, r"boxes \(2, 4\), scores \(3,\)"),
        ({"labels": np.array([1])}, r"labels \(1,\)"),
        ({"masks": masks()[:, :4]}, r"masks \(3, 4, 9\) must be \(3, 8, 9\)"),
        ({"names_en": ("a",)}, "1 English and 3 Chinese names for 3 objects"),
    ],
)
def test_shapes_that_disagree_are_refused(changes: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        result(**changes)
