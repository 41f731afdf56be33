"""Each kind of defect has its row; mending and leaving out do what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intern25.data.detection.checking import check, without_defects
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.sources import read_detection
from tests.data.made_files import coco_document, coco_files, picture, write_files

INSIDE = [4, 2, 10, 6]


def read(tmp_path: Path, *rows: dict[str, Any], **files: bytes) -> StoredDetectionImages:
    """The first picture with ``rows``, the second with one good box."""
    annotations = [
        {"id": number, "image_id": 7, "category_id": 2, "bbox": INSIDE, **row}
        for number, row in enumerate(rows)
    ]
    annotations.append({"id": "good", "image_id": 9, "category_id": 2, "bbox": INSIDE})
    made = {**coco_files(coco_document(annotations=annotations)), **files}
    return read_detection(write_files(tmp_path, made))


def test_good_data_have_no_defects(tmp_path: Path) -> None:
    images = read(tmp_path, {})
    assert check(images) == []
    assert without_defects(images, skip_bad=False) == (images, [])


HARMLESS: dict[str, tuple[dict[str, Any], str, list[float] | None]] = {
    "leaves": ({"bbox": [-3, 4, 10, 40]}, "leaves the picture (40 wide, 32 high); it is cut", [0, 4, 7, 32]),
    "no area": ({"bbox": [4, 4, 0, 5]}, "box (4, 4, 4, 9) has no area; it is left out", None),
    "negative": ({"bbox": [9, 4, -5, 5]}, "box (9, 4, 4, 9) has no area", None),
    "rounding": ({"bbox": [-0.6, 4, 10, 5]}, "", [0, 4, 9.4, 9]),
}


@pytest.mark.parametrize(("row", "message", "box"), HARMLESS.values(), ids=HARMLESS)
def test_boxes_are_mended_or_left_out_without_asking(
    tmp_path: Path, row: dict[str, Any], message: str, box: list[float] | None
) -> None:
    images = read(tmp_path, row, {"bbox": [1, 1, 2, 2]})
    mended, defects = without_defects(images, skip_bad=False)
    if not message:
        assert defects == []
        return
    (defect,) = defects
    assert message in str(defect)
    assert defect.file == "train2017/a.png"
    assert not defect.serious
    expected = [[1, 1, 3, 3]] if box is None else [box, [1, 1, 3, 3]]
    np.testing.assert_allclose(mended.annotations[0].boxes, expected, atol=1e-6)
    assert check(mended) == []


def test_double_boxes_are_left_out(tmp_path: Path) -> None:
    images, (defect,) = without_defects(read(tmp_path, {}, {}, {"category_id": 5}), skip_bad=False)
    assert "annotation 1: the same box and class is there twice" in str(defect)
    assert images.annotations[0].ids == (0, 2)


def test_empty_masks_are_left_out(tmp_path: Path) -> None:
    outside = [[50, 50, 60, 50, 60, 60]]
    images, (defect,) = without_defects(read(tmp_path, {"segmentation": outside}), skip_bad=False)
    assert "its mask covers no pixel" in str(defect)
    assert [len(annotation) for annotation in images.annotations] == [0, 1]


SERIOUS: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"bbox": [50, 4, 10, 5]}, "is outside the picture (40 wide, 32 high); correct or remove it"),
    "class": ({"category_id": 99}, "category_id 99 is not among the categories"),
    "runs": ({"segmentation": {"size": [32, 40], "counts": "0"}}, "its RLE counts sum to 0"),
}


@pytest.mark.parametrize(("row", "message"), SERIOUS.values(), ids=SERIOUS)
def test_serious_rows_need_skip_bad(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    images = read(tmp_path, row, {"bbox": [1, 1, 2, 2]})
    with pytest.raises(ValueError, match=r"has 1 defect.*--skip-bad") as refusal:
        without_defects(images, skip_bad=False)
    assert message in str(refusal.value)
    good, defects = without_defects(images, skip_bad=True)
    assert len(defects) == 1
    assert [annotation.ids for annotation in good.annotations] == [(1,), ("good",)]
    assert check(good) == []


PICTURES: dict[str, tuple[bytes | None, str]] = {
    "missing": (
        None,
        "train2017/a.png: the file is missing; copy it again or remove it from the annotations",
    ),
    "damaged": (picture(0)[:200], "train2017/a.png: it cannot be read: "),
    "no picture": (b"text", "it cannot be read: "),
    "size": (picture(0, (30, 40)), "is 30 x 40 (height x width) but its annotation says 32 x 40"),
    "turned": (picture(0, (40, 32)), "perhaps it was annotated without the rotation in its EXIF data"),
}


@pytest.mark.parametrize(("data", "message"), PICTURES.values(), ids=PICTURES)
def test_bad_pictures_need_skip_bad(tmp_path: Path, data: bytes | None, message: str) -> None:
    images = read(tmp_path, {}, **({} if data is None else {"train2017/a.png": data}))
    if data is None:
        (tmp_path / "set" / "train2017" / "a.png").unlink()
    (defect,) = check(images)
    assert message in str(defect)
    assert str(defect).count("a.png") == 1
    with pytest.raises(ValueError, match="has 1 defect"):
        without_defects(images, skip_bad=False)
    good, _ = without_defects(images, skip_bad=True)
    assert good.names == ("train2017/b.png",)
    with pytest.raises(ValueError, match=r"none of the 1 pictures of .* can be used"):
        without_defects(images.select([0]), skip_bad=True)


def test_masks_are_asked_for(tmp_path: Path) -> None:
    square = [[4, 2, 14, 2, 14, 8, 4, 8]]
    images = read(tmp_path, {"segmentation": square}, {"iscrowd": 1, "bbox": [1, 1, 5, 5]})
    assert check(images) == []
    (defect,) = check(images, masks=True)
    assert str(defect) == (
        "train2017/b.png, annotation good: it has a box but no mask; draw one, or train boxes only"
    )
    good, _ = without_defects(images, skip_bad=True, masks=True)
    assert good.names == ("train2017/a.png",)


def test_a_file_listed_twice_is_used_once(tmp_path: Path) -> None:
    document = coco_document()
    document["images"][1]["file_name"] = "a.png"
    files = {**coco_files(), "annotations/instances_train2017.json": json.dumps(document)}
    (defect,) = check(read_detection(write_files(tmp_path, files)))
    assert "file name train2017/a.png is listed 2 times; list each picture once" in str(defect)
