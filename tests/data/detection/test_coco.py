"""COCO json in its usual places, the extra fields of LVIS, and what is wrong row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.sources import read_detection
from tests.data.made_files import coco_document, coco_files, picture, write_files


def read(tmp_path: Path, document: dict[str, Any], **options: Any) -> StoredDetectionImages:
    return read_detection(write_files(tmp_path, coco_files(document)), **options)


@pytest.mark.parametrize("zipped", [False, True])
def test_boxes_become_corners_and_categories_labels(tmp_path: Path, zipped: bool) -> None:
    images = read_detection(write_files(tmp_path, coco_files(), zipped=zipped))
    assert images.classes.en == ("hut", "tree")  # by category id
    assert images.category_ids == (2, 5)
    assert images.image_ids == (7, 9)
    first, second = images.annotations
    np.testing.assert_array_equal(first.boxes, [[4, 2, 14, 8], [0, 0, 40, 32]])
    assert first.labels.tolist() == [1, 0]
    assert first.crowd.tolist() == [False, True]
    assert first.areas.tolist() == [42.0, 40 * 32]  # the file's own, and that of the box
    assert first.masks is None
    assert first.size == (32, 40)
    np.testing.assert_array_equal(second.boxes, [[1.5, 2.5, 4.5, 6.5]])
    assert images.image(1).size == (40, 32)
    assert images.class_counts() == [2, 1]


LAYOUTS = {
    "official": ("annotations/instances_train2017.json", "train2017/a.png"),
    "flat": ("instances_train.json", "images/a.png"),
    "roboflow": ("train/_annotations.coco.json", "train/a.png"),
    "split alone": ("train.json", "images/train/a.png"),
    "objects365": ("annotations/zhiyuan_objv2_train.json", "train/patch3/a.png"),
    "inside a folder": ("pack/annotations/instances_train.json", "pack/images/a.png"),
}


@pytest.mark.parametrize(("file", "image"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path: Path, file: str, image: str) -> None:
    files = {
        file: json.dumps(coco_document()),
        image: picture(0),
        image.replace("a.png", "b.png"): picture(1),
        "captions_train.json": "[]",
    }
    images = read_detection(write_files(tmp_path, files))
    assert len(images) == 2
    assert images.image(0).tobytes() != images.image(1).tobytes()


def test_the_json_itself_is_a_path(tmp_path: Path) -> None:
    root = write_files(tmp_path, coco_files(split="val"))
    images = read_detection(root / "annotations" / "instances_val2017.json")
    assert images.image(0).size == (40, 32)
    elsewhere = write_files(tmp_path, {"x.json": json.dumps(coco_document())}, name="other")
    images = read_detection(elsewhere / "x.json", images=root / "val2017")
    assert images.image(0).size == (40, 32)


def test_lvis_keeps_what_it_knows_of_classes(tmp_path: Path) -> None:
    document = coco_document()
    document["images"] = [
        {
            "id": 7,
            "coco_url": "http://images.cocodataset.org/train2017/a.png",
            "height": 32,
            "width": 40,
            "neg_category_ids": [5],
            "not_exhaustive_category_ids": [2],
        },
        {"id": 9, "coco_url": "http://images.cocodataset.org/train2017/b.png", "height": 32, "width": 40},
    ]
    files = {"lvis_v1_train.json": json.dumps(document)}
    pictures = write_files(
        tmp_path, {"train2017/a.png": picture(0), "train2017/b.png": picture(1)}, name="coco"
    )
    images = read_detection(write_files(tmp_path, files), "lvis", images=pictures)
    assert images.annotations[0].negative_labels == (1,)
    assert images.annotations[0].not_exhaustive_labels == (0,)
    assert images.annotations[1].negative_labels == ()
    assert images.names == ("train2017/a.png", "train2017/b.png")


def test_masks_of_all_kinds(tmp_path: Path) -> None:
    document = coco_document()
    polygon, runs = [[4, 2, 14, 2, 14, 8, 4, 8]], {"size": [32, 40], "counts": [0, 5, 32 * 40 - 5]}
    for row, segmentation in zip(document["annotations"], (polygon, runs, []), strict=True):
        row["segmentation"] = segmentation
    images = read(tmp_path, document)
    first, second = images.annotations
    masks = first.decode_masks()
    assert masks.sum(axis=(1, 2)).tolist() == [60, 5]
    assert second.masks is None
    assert first.has_all_masks
    assert not second.has_all_masks
    assert images.with_objects(masks=True).names == ("train2017/a.png",)
    with pytest.raises(ValueError, match="annotation 3 has a box but no mask"):
        second.mask(0)
    chosen = first.select([1])
    assert chosen.ids == (2,)
    np.testing.assert_array_equal(chosen.mask(0), masks[1])


def test_pictures_without_objects_are_left_out_of_training(tmp_path: Path) -> None:
    document = coco_document()
    document["annotations"] = [document["annotations"][1]]  # a crowd alone
    images = read(tmp_path, document)
    assert len(images) == 2
    with pytest.raises(ValueError, match=r"none of the 2 pictures of .* has an object"):
        images.with_objects()


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown class": ({"category_id": 77}, "annotation 1: category_id 77 is not among the categories"),
    "unknown image": ({"image_id": 5}, "annotation 1: image_id 5 is not among the images"),
    "short box": ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\] is not \[x, y, width, height\]"),
    "no box": ({"bbox": None}, "bbox None is not"),
    "nan box": ({"bbox": [1, 2, float("nan"), 3]}, r"is not \[x, y, width, height\]"),
    "broken polygon": ({"segmentation": [[1, 2]]}, "annotation 1: a polygon needs at least 3 points"),
    "broken runs": (
        {"segmentation": {"size": [32, 40], "counts": [3]}},
        "annotation 1: its RLE counts sum to 3, but 32 x 40 pixels are 1280",
    ),
    "double id": ({"id": 2}, "annotation 2: its id occurs twice"),
    "id of many": ({"id": [1]}, r"id \[1\] is a list or an object; write one number or text"),
    "image of many": ({"image_id": [7]}, r"image_id \[7\] is a list or an object"),
    "class of many": ({"category_id": {"a": 1}}, "category_id {'a': 1} is a list or an object"),
}


@pytest.mark.parametrize(("change", "message"), ROWS.values(), ids=ROWS)
def test_bad_rows_are_listed_and_left_out(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    document = coco_document()
    document["annotations"][0].update(change)
    images = read(tmp_path, document)
    (defect,) = images.defects
    assert defect.serious
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(defect))
    assert sum(len(annotation) for annotation in images.annotations) == 2


def test_double_pictures_are_listed(tmp_path: Path) -> None:
    document = coco_document()
    document["images"].append(document["images"][0])
    document["annotations"].append("text")
    images = read(tmp_path, document)
    assert len(images) == 2
    assert [defect.problem for defect in images.defects] == [
        "image id 7 occurs twice",
        "an annotation is no object: text",
    ]


DOCUMENTS: dict[str, tuple[str, str]] = {
    "cut off": ('{"images": [', "is not valid JSON.*it may be cut off"),
    "nested without end": ("[" * 100_000, "is not valid JSON"),
    "a list": ("[]", "is not COCO json: it has no list 'images', 'annotations', 'categories'"),
    "no annotations": ('{"images": [], "categories": []}', "has no list 'annotations'"),
    "empty": (json.dumps(coco_document(images=[])), "lists no images"),
    "no categories": (json.dumps(coco_document(categories=[])), "lists no categories"),
    "double category": (
        json.dumps(coco_document(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])),
        "category ids 1 occur twice",
    ),
    "no ids": (json.dumps(coco_document(categories=[{"name": "a"}])), "every category needs an 'id'"),
    "mixed ids": (
        json.dumps(coco_document(categories=[{"id": 1, "name": "a"}, {"id": "2", "name": "b"}])),
        "all numbers or all text",
    ),
    "id of many": (
        json.dumps(coco_document(categories=[{"id": [1], "name": "a"}])),
        "all numbers or all text",
    ),
    "image with ids": (json.dumps(coco_document(images=[{"id": [1], "file_name": "a"}])), "needs an 'id'"),
    "image without id": (json.dumps(coco_document(images=[{"file_name": "a"}])), "every image needs an 'id'"),
    "no picture": (
        json.dumps(coco_document(images=[{"id": 7, "file_name": "x.png"}])),
        "none of the 1 pictures of .* is under .* the first is x.png.*images=",
    ),
}


@pytest.mark.parametrize(("text", "message"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_unusable_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    files = {**coco_files(), "annotations/instances_train2017.json": text}
    with pytest.raises(ValueError, match=message):
        read_detection(write_files(tmp_path, files))


def test_sizes_are_read_from_the_pictures_where_the_json_has_none(tmp_path: Path) -> None:
    document = coco_document()
    for image in document["images"]:
        del image["height"]
    assert read(tmp_path, document).annotations[0].size == (32, 40)
