"""Open Images csv: shares of the sides, groups, verified absent classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.sources import read_detection
from tests.data.made_files import picture, write_files

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
FILES = {
    "csv/class-descriptions-boxable.csv": "/m/01,Cat\n/m/02,Hot dog\n",
    "csv/oidv6-train-annotations-bbox.csv": HEAD
    + "a,x,/m/02,1,0.25,0.75,0.5,1.0,0,0,0\nb,x,/m/01,1,0,1,0,1,0,0,1\na,x,/m/01,1,0,0.5,0,0.25,0,0,0\n",
    "csv/train-annotations-human-imagelabels-boxable.csv": "ImageID,Source,LabelName,Confidence\n"
    "b,v,/m/02,0\nb,v,/m/01,1\nz,v,/m/01,0\n",
    "train/a.jpg": picture(0),
    "train/b.jpg": picture(1),
}


@pytest.mark.parametrize("zipped", [False, True])
def test_boxes_groups_and_absent_classes(tmp_path: Path, zipped: bool) -> None:
    images = read_detection(write_files(tmp_path, FILES, zipped=zipped))
    assert images.classes.en == ("Cat", "Hot dog")
    assert images.category_ids == ("/m/01", "/m/02")
    first, second = images.annotations
    np.testing.assert_allclose(first.boxes, [[10, 16, 30, 32], [0, 0, 20, 8]])
    assert first.labels.tolist() == [1, 0]
    assert second.crowd.tolist() == [True]
    assert (first.negative_labels, second.negative_labels) == ((), (1,))
    assert images.select([1]).annotations[0].negative_labels == (1,)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    def read(changes: dict[str, str], name: str, split: str = "train") -> object:
        return read_detection(write_files(tmp_path, {**FILES, **changes}, name=name), split=split)

    with pytest.raises(ValueError, match="has no csv of boxes of split 'val'"):
        read({}, "split", "val")
    with pytest.raises(ValueError, match="lacks the columns ImageID"):
        read({"csv/oidv6-train-annotations-bbox.csv": "Id,LabelName,XMin,XMax,YMin,YMax\n"}, "columns")
    with pytest.raises(ValueError, match="names no classes"):
        read({"csv/class-descriptions-boxable.csv": ""}, "names")
    without = {name: data for name, data in FILES.items() if "descriptions" not in name}
    with pytest.raises(ValueError, match=r"has no class-descriptions-boxable.csv"):
        read_detection(write_files(tmp_path, without, name="descriptions"))
    with pytest.raises(ValueError, match="none of the 1 pictures"):
        read({"csv/oidv6-train-annotations-bbox.csv": HEAD + "q,x,/m/02,1,0,1,0,1,0,0,0\n"}, "pictures")
    rows = HEAD + "a,x,/m/07,1,0,1,0,1,0,0,0\na,x,/m/01,1,0,one,0,1,0,0,0\na,x,/m/01,1,0,1,0,1,0,0,0\n"
    path = write_files(tmp_path, {**FILES, "csv/oidv6-train-annotations-bbox.csv": rows}, name="rows")
    images = read_detection(path)
    assert [(defect.row, defect.problem) for defect in images.defects] == [
        (2, "label '/m/07' is not in the class descriptions"),
        (3, "its coordinates are not numbers"),
    ]
