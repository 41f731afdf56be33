"""CrowdHuman: full boxes that leave the picture, regions to ignore."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.checking import check
from intern25.data.detection.sources import read_detection
from tests.data.made_files import picture, write_files

RECORD = {
    "ID": "273271,1",
    "gtboxes": [
        {"tag": "person", "fbox": [-5, 3, 20, 40], "vbox": [0, 3, 15, 29], "extra": {"box_id": 0}},
        {"tag": "mask", "fbox": [1, 2, 3, 4]},
        {"tag": "person", "fbox": [5, 5, 3, 4], "extra": {"ignore": 1}},
    ],
}
FILES = {"annotation_train.odgt": json.dumps(RECORD) + "\n", "Images/273271,1.jpg": picture(0)}


@pytest.mark.parametrize("zipped", [False, True])
def test_full_boxes_and_ignored_regions(tmp_path: Path, zipped: bool) -> None:
    images = read_detection(write_files(tmp_path, FILES, zipped=zipped))
    (annotation,) = images.annotations
    np.testing.assert_array_equal(annotation.boxes, [[-5, 3, 15, 43], [1, 2, 4, 6], [5, 5, 8, 9]])
    assert annotation.crowd.tolist() == [False, True, True]
    assert images.names == ("Images/273271,1.jpg",)
    assert len(images.classes) == 1
    assert check(images) == []  # these boxes may leave the picture


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    def read(text: str, name: str) -> object:
        return read_detection(write_files(tmp_path, {**FILES, "annotation_train.odgt": text}, name=name))

    with pytest.raises(ValueError, match=r"line 1 of .* is not valid JSON"):
        read('{"ID": "a"', "cut")
    with pytest.raises(ValueError, match=r"line 1 of .* has no 'ID' and list 'gtboxes'"):
        read('{"ID": "a"}', "fields")
    with pytest.raises(ValueError, match=r"has no annotation_val.odgt: found annotation_train.odgt"):
        read_detection(write_files(tmp_path, FILES, name="split"), split="val")
    bad = {"ID": "273271,1", "gtboxes": [{"tag": "person", "fbox": [1, 2]}]}
    images = read_detection(
        write_files(tmp_path, {**FILES, "annotation_train.odgt": json.dumps(bad)}, name="box")
    )
    assert [defect.problem for defect in images.defects] == ["fbox [1, 2] is not [x, y, width, height]"]
