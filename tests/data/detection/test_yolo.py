"""YOLO labels, their classes, and lines that make no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.sources import read_detection, read_detection_splits
from intern25.data.detection.yolo import yaml_names
from tests.data.made_files import picture, write_files

LABELS = "1 0.5 0.5 0.5 0.25\n0 0.1 0.25 0.6 0.25 0.6 0.5 0.1 0.5\n"


def files_of(pattern: str) -> dict[str, bytes | str]:
    """Layout of ``pattern`` with the words kind and split."""
    files: dict[str, bytes | str] = {}
    for split, stem in (("train", "a"), ("train", "empty"), ("valid", "b")):
        folder = pattern.replace("split", split)
        files[f"{folder.replace('kind', 'images')}/{stem}.png"] = picture(ord(stem[0]))
        if stem != "empty":
            files[f"{folder.replace('kind', 'labels')}/{stem}.txt"] = LABELS
    return files


@pytest.mark.parametrize(
    "pattern", ["kind/split", "split/kind", "pack/kind/split", "kind/split/deep", "split", "pack/split"]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_layouts(tmp_path: Path, pattern: str, zipped: bool) -> None:
    prefix = "pack/" if pattern.startswith("pack") else ""
    files = {**files_of(pattern), f"{prefix}classes.txt": "hut\ntree\n"}
    splits = read_detection_splits(write_files(tmp_path, files, zipped=zipped))
    assert splits.train.classes.en == ("hut", "tree")
    assert len(splits.train) == 2
    assert len(splits.val) == 1
    annotation = splits.val.annotations[0]
    # Pictures are 40 wide and 32 high.
    np.testing.assert_allclose(annotation.boxes, [[10, 12, 30, 20], [4, 8, 24, 16]], atol=1e-5)
    assert annotation.labels.tolist() == [1, 0]
    np.testing.assert_allclose(annotation.areas, [160, 160])
    assert annotation.masks is not None
    assert annotation.masks[0] is None
    assert annotation.mask(1).sum() == 160
    assert sorted(len(a) for a in splits.train.annotations) == [0, 2]
    assert len(splits.train.with_objects()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "names: [cat, 'big, dog', \"x#1\"]\nnc: 3",
        "nc: 3\nnames:\n  - cat\n  - 'big, dog'\n  - x#1\npath: .",
        "names:\n  1: 'big, dog'\n  0: cat # comment\n  2: x#1",
        'names:\n- cat\n- "big, dog"\n- x#1\ntrain: images/train',
        "names: {0: cat, 2: x#1, 1: 'big, dog'}",
        "names: [cat,\n  'big, dog',\n  x#1]\nval: x",
        "# names: no\nnames: ['cat', 'big, dog', 'x#1'] # last",
    ],
)
def test_class_names_of_yaml(text: str) -> None:
    assert yaml_names(text) == ["cat", "big, dog", "x#1"]


def test_yaml_and_lists_of_pictures(tmp_path: Path) -> None:
    files = {
        **files_of("kind/split"),
        "data.yaml": "names:\n  0: hut\n  1: tree\n",
        "train2017.txt": "./images/train/a.png\n",
    }
    images = read_detection(write_files(tmp_path, files))
    assert images.classes.en == ("hut", "tree")
    assert images.names == ("images/train/a.png",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.5 x 0.1 0.1", "it is not numbers: 0 0.5 x 0.1 0.1"),
        ("0 0.5 0.5 0.1", "it has 4 fields, not class x y width height or class x1 y1 x2 y2 ..."),
        ("2 0.5 0.5 0.1 0.1", "class 2 is not one of the 2 classes (from 0)"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 is not one of the 2 classes (from 0)"),
        ("0 200 150 40 30", "it has pixels where shares of the sides (0..1) are expected"),
        ("0 nan 0.5 0.1 0.1", "it has NaN or infinite values"),
        ("nan 0.5 0.5 0.1 0.1", "it has NaN or infinite values"),
        ("1e400 0.5 0.5 0.1 0.1", "it has NaN or infinite values"),
    ],
)
def test_bad_lines_are_listed_and_left_out(tmp_path: Path, line: str, problem: str) -> None:
    files = {
        **files_of("kind/split"),
        "classes.txt": "hut\ntree",
        "labels/train/a.txt": f"0 0.5 0.5 1 1\n{line}\n",
    }
    images = read_detection(write_files(tmp_path, files))
    (defect,) = images.defects
    assert str(defect) == f"labels/train/a.txt, annotation 2: {problem}; correct or remove the line"
    assert len(images.annotations[0]) == 1


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    def read(files: dict[str, bytes | str], name: str, split: str = "train") -> object:
        return read_detection(write_files(tmp_path, files, name=name), split=split)

    files = files_of("kind/split")
    with pytest.raises(ValueError, match=r"does not say its classes: write classes.txt"):
        read(files, "classes")
    files["classes.txt"] = "hut\ntree"
    with pytest.raises(ValueError, match="has no pictures of split 'test': found train, val"):
        read(files, "split", "test")
    moved = {name.replace("labels/train/a", "labels/train/c"): data for name, data in files.items()}
    with pytest.raises(ValueError, match=r"none of the 2 pictures of .* \(train\) has labels"):
        read(moved, "labels")
