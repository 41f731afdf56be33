"""Joined data sets keep each picture with its objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.checking import check
from intern25.data.detection.joining import joined
from intern25.data.detection.sources import read_detection
from tests.data.made_files import coco_document, coco_files, write_files


def test_pictures_stay_with_their_objects(tmp_path: Path) -> None:
    one = read_detection(write_files(tmp_path, coco_files(), name="one"))
    other = coco_files()
    other["train2017/a.png"], other["train2017/b.png"] = other["train2017/b.png"], other["train2017/a.png"]
    two = read_detection(write_files(tmp_path, other, zipped=True, name="two"))
    both = joined([one, two])
    assert len(both) == 4
    assert both.image_ids == ("0/7", "0/9", "1/7", "1/9")
    assert both.image(0).tobytes() == both.image(3).tobytes() != both.image(1).tobytes()
    np.testing.assert_array_equal(both.annotation(2).boxes, one.annotation(0).boxes)
    assert check(both) == []


def test_classes_must_be_the_same(tmp_path: Path) -> None:
    one = read_detection(write_files(tmp_path, coco_files(), name="one"))
    names = [{"id": 2, "name": "hut"}, {"id": 5, "name": "bush"}]
    two = read_detection(write_files(tmp_path, coco_files(coco_document(categories=names)), name="two"))
    with pytest.raises(ValueError, match=r"different classes: only in .*one.* tree; only in .*two.* bush"):
        joined([one, two])
    with pytest.raises(ValueError, match="no data sets to join"):
        joined([])
