"""A path leads to one data set, or the message says which there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from intern25.data.detection.sources import read_detection, read_detection_splits, split_detection
from tests.data.made_files import coco_document, coco_files, write_files


def test_several_data_sets_in_one_archive(tmp_path: Path) -> None:
    files = {f"{name}/{file}": data for name in ("cells", "stars") for file, data in coco_files().items()}
    path = write_files(tmp_path, files, zipped=True)
    with pytest.raises(
        ValueError, match=r"holds 2 data sets; give the path of one: .*set.zip/cells \(coco\), "
    ):
        read_detection(path)
    assert len(read_detection(path / "stars")) == 2


def test_nothing_usable_is_said(tmp_path: Path) -> None:
    path = write_files(tmp_path, {"readme.md": "x", "a.jpg": b"x"})
    with pytest.raises(ValueError, match=r"no detection data set in .*; expected COCO json"):
        read_detection(path)
    with pytest.raises(ValueError, match="expected the yolo format"):
        read_detection(path, "yolo")
    with pytest.raises(ValueError, match=r"unknown format 'kitti' .* known: auto"):
        read_detection(path, "kitti")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="does not exist"):
        read_detection(tmp_path / "nowhere")


def test_a_missing_split_is_held_out(tmp_path: Path) -> None:
    path = write_files(tmp_path, coco_files())
    splits = read_detection_splits(path, seed=1)
    assert {*splits.train.names, *splits.val.names} == {"train2017/a.png", "train2017/b.png"}
    assert len(splits.val) == 1
    again = split_detection(read_detection(path), 0.1, 1)
    assert again.val.names == splits.val.names
    with pytest.raises(
        ValueError, match=r"has no annotations of split 'val': found annotations/instances_train"
    ):
        read_detection(path, split="val")


def test_the_splits_share_their_classes(tmp_path: Path) -> None:
    other = coco_document(categories=[{"id": 2, "name": "hut"}, {"id": 5, "name": "bush"}])
    files = {**coco_files(), **coco_files(other, split="val")}
    with pytest.raises(
        ValueError, match=r"different classes: only in .*train2017.json tree; only in .* bush"
    ):
        read_detection_splits(write_files(tmp_path, files))
    files |= coco_files(
        coco_document(categories=[{"id": 5, "name": "hut"}, {"id": 2, "name": "tree"}]), "val"
    )
    with pytest.raises(ValueError, match=r"the same ones in another order or with other ids"):
        read_detection_splits(write_files(tmp_path, files))
    files = {**coco_files(), **coco_files(split="test")}
    splits = read_detection_splits(write_files(tmp_path, files, name="test set"))
    assert splits.val.names == ("test2017/a.png", "test2017/b.png")


def test_a_broken_validation_file_is_not_passed_over(tmp_path: Path) -> None:
    files = {**coco_files(), **coco_files(split="val"), "annotations/instances_val2017.json": "{"}
    with pytest.raises(ValueError, match="not valid JSON"):
        read_detection_splits(write_files(tmp_path, files))
