"""Pascal VOC as distributed and as labelImg writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.sources import read_detection, read_detection_splits
from tests.data.made_files import picture, write_files

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>"
    "<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
)


def xml(*objects: tuple[str, tuple[object, ...], int], file: str = "a.png", size: bool = True) -> str:
    body = "".join(OBJECT.format(name=name, box=box, difficult=hard) for name, box, hard in objects)
    sides = "<size><width>40</width><height>32</height></size>" if size else ""
    return f"<annotation><filename>{file}</filename>{sides}{body}</annotation>"


VOC = {
    "VOC2007/Annotations/a.xml": xml(("dog", (1, 1, 40, 32), 0), ("tvmonitor", (3, 4, 10, 12), 1)),
    "VOC2007/Annotations/b.xml": xml(("person", (2, 2, 4, 4), 0), file="old name.png", size=False),
    "VOC2007/ImageSets/Main/train.txt": "a\n",
    "VOC2007/ImageSets/Main/test.txt": "b\n",
    "VOC2007/ImageSets/Main/dog_train.txt": "a 1\n",
    "VOC2007/JPEGImages/a.png": picture(0),
    "VOC2007/JPEGImages/b.png": picture(1),
}


@pytest.mark.parametrize("zipped", [False, True])
def test_voc_as_distributed(tmp_path: Path, zipped: bool) -> None:
    path = write_files(tmp_path, VOC, zipped=zipped)
    images = read_detection(path)
    assert len(images.classes) == 20
    (annotation,) = images.annotations
    # A box over all pixels is (1, 1, width, height) there.
    np.testing.assert_array_equal(annotation.boxes, [[0, 0, 40, 32], [2, 3, 10, 12]])
    assert [images.classes.en[label].replace(" ", "") for label in annotation.labels] == ["dog", "tvmonitor"]
    assert annotation.difficult.tolist() == annotation.ignored.tolist() == [False, True]
    assert images.image_ids == ("a",)
    test = read_detection(path, split="test")
    assert test.names == ("JPEGImages/b.png",)
    assert test.annotations[0].size == (32, 40)  # from the picture
    with pytest.raises(ValueError, match="has no split 'val': found test, train"):
        read_detection(path, split="val")


def test_own_xml_beside_the_pictures(tmp_path: Path) -> None:
    files = {
        "train/a.xml": xml(("sheep dog", (1, 1, 4, 4), 0), ("apple", (1, 1, 9, 9), 0)),
        "train/a.png": picture(0),
        "val/b.xml": xml(("apple", (1, 1, 4, 4), 0), file="b.png"),
        "val/b.png": picture(1),
    }
    images = read_detection(write_files(tmp_path, files))
    assert images.category_ids == ("apple", "sheep dog")
    assert images.names == ("train/a.png",)
    listed = read_detection(
        write_files(tmp_path, {**files, "classes.txt": "sheep dog\napple\n"}, name="listed"), split="val"
    )
    assert listed.category_ids == ("sheep dog", "apple")
    assert listed.annotations[0].labels.tolist() == [1]


def test_own_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    files = {
        "train/a.xml": xml(("sheep dog", (1, 1, 4, 4), 0), ("dog", (1, 1, 9, 9), 0)),
        "train/a.png": picture(0),
        "val/b.xml": xml(("dog", (1, 1, 4, 4), 0), file="b.png"),
        "val/b.png": picture(1),
        "test/c.xml": "<annotation>",  # another split's file is another split's trouble
    }
    splits = read_detection_splits(write_files(tmp_path, files))
    assert splits.train.category_ids == splits.val.category_ids == ("dog", "sheep dog")
    assert splits.val.annotations[0].labels.tolist() == [0]


def test_an_object_without_name_is_a_defect(tmp_path: Path) -> None:
    files = {"a.xml": xml(("", (1, 1, 4, 4), 0), ("wolf", (1, 1, 9, 9), 0)), "a.png": picture(0)}
    images = read_detection(write_files(tmp_path, files))
    assert images.category_ids == ("wolf",)
    (defect,) = images.defects
    assert str(defect) == "a.xml, annotation 1: it has no name; give it that of its class"


def test_two_years_are_two_data_sets(tmp_path: Path) -> None:
    files = {**VOC, **{name.replace("2007", "2012"): data for name, data in VOC.items()}}
    path = write_files(tmp_path, files, name="VOCdevkit")
    with pytest.raises(
        ValueError, match=r"holds 2 data sets; give the path of one: .*VOC2007 \(voc\), .*VOC2012"
    ):
        read_detection(path)
    assert len(read_detection(path / "VOC2012")) == 1


def test_the_format_joins_the_years_that_have_the_split(tmp_path: Path) -> None:
    years = {**VOC, **{name.replace("2007", "2012"): data for name, data in VOC.items()}}
    del years["VOC2012/ImageSets/Main/test.txt"]
    for year in ("2007", "2012"):
        years[f"VOC{year}/ImageSets/Main/trainval.txt"] = "a\n"
    path = write_files(tmp_path, years, zipped=True, name="VOCdevkit")
    train = read_detection(path, "voc", split="trainval")
    assert train.image_ids == ("0/a", "1/a")
    np.testing.assert_array_equal(train.annotation(0).boxes, train.annotation(1).boxes)
    assert train.image(1).size == (40, 32)
    assert read_detection(path, "voc", split="test").image_ids == ("b",)
    with pytest.raises(ValueError, match=r"VOC2007 has no split 'val'.*; .*VOC2012 has no split 'val'"):
        read_detection(path, "voc", split="val")
    splits = read_detection_splits(path, "voc", train_split="trainval")
    assert (len(splits.train), splits.val.image_ids) == (2, ("b",))


def test_trainval_is_not_scored_on_a_part_of_itself(tmp_path: Path) -> None:
    files = {**VOC, "VOC2007/ImageSets/Main/trainval.txt": "a\nb\n", "VOC2007/ImageSets/Main/val.txt": "b\n"}
    del files["VOC2007/ImageSets/Main/test.txt"]
    path = write_files(tmp_path, files)
    splits = read_detection_splits(path, "voc", train_split="trainval", validation_fraction=0.5)
    assert sorted(splits.train.image_ids + splits.val.image_ids) == ["a", "b"]


def test_bad_xml(tmp_path: Path) -> None:
    def read(files: dict[str, str], name: str) -> object:
        return read_detection(write_files(tmp_path, {**VOC, **files}, name=name))

    with pytest.raises(ValueError, match=r"Annotations/a.xml is not valid XML: .*correct or remove it"):
        read({"VOC2007/Annotations/a.xml": "<annotation><object>"}, "cut")
    with pytest.raises(ValueError, match=r"1 pictures of .*train.txt have no xml; the first is c"):
        read({"VOC2007/ImageSets/Main/train.txt": "a\nc\n"}, "missing")
    bad = xml(("dog", (1, "x", 4, 4), 0), ("dgo", (1, 1, 4, 4), 0), ("dog", (1, 1, 4, 4), 0))
    files = {"VOC2007/Annotations/a.xml": bad, "VOC2007/classes.txt": "dog\n"}
    images = read_detection(write_files(tmp_path, {**VOC, **files}, name="rows"))
    assert [str(defect) for defect in images.defects] == [
        "Annotations/a.xml, annotation 1: its bndbox lacks numbers; correct it",
        "Annotations/a.xml, annotation 2: class 'dgo' is not in classes.txt; add it there or correct it",
    ]
    assert len(images.annotations[0]) == 1
