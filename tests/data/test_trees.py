"""Folders, archives and folders inside archives list and read the same files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from intern25.data.defects import Defect, refuse
from intern25.data.holding_out import hold_out
from intern25.data.known_classes import named_classes
from intern25.data.stores import MemoryStore
from intern25.data.trees import open_tree, split_name, split_of, stored_image_size, without_split_folders
from tests.data.made_files import picture, write_files

FILES = {"cells/images/a.png": picture(0), "cells/note.txt": "\ufeffgrün", "stars/images/a.png": picture(1)}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_tree_reads_files_and_folders_inside(tmp_path: Path, zipped: bool) -> None:
    path = write_files(tmp_path, FILES, zipped=zipped)
    tree = open_tree(path)
    assert tree.names == tuple(sorted(FILES))
    assert tree.text("cells/note.txt") == "grün"
    for inner in (tree.under("cells"), open_tree(path / "cells")):
        assert inner.names == ("images/a.png", "note.txt")
        assert inner.read("images/a.png") == FILES["cells/images/a.png"]
        assert stored_image_size(inner.store, "images/a.png") == (32, 40)


@pytest.mark.parametrize("zipped", [False, True])
def test_files_of_the_system_are_passed_over(tmp_path: Path, zipped: bool) -> None:
    hidden = (
        "__MACOSX/cells/._note.txt",
        "cells/.DS_Store",
        "cells/.ipynb_checkpoints/a.png",
        "cells/._a.png",
    )
    files = {**FILES, **dict.fromkeys(hidden, b"")}
    assert open_tree(write_files(tmp_path, files, zipped=zipped)).names == tuple(sorted(FILES))


def test_pictures_are_found_by_split(tmp_path: Path) -> None:
    files = {"train/x/a.png": b"", "val/x/a.png": b"", "val/x/b.png": b""}
    tree = open_tree(write_files(tmp_path, files))
    assert tree.find_image("a.png", "val") == "val/x/a.png"
    assert tree.find_image("a.png", "train") == "train/x/a.png"
    assert tree.find_image("elsewhere/b.png") == "val/x/b.png"
    assert tree.find_image("./val/x/a.png", "train") == "val/x/a.png"
    assert tree.find_image("c.png") is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_val2017.json", "val"),
        ("zhiyuan_objv2_train.json", "train"),
        ("train/_annotations.coco.json", "train"),
        ("oidv6-train-annotations-bbox.csv", "train"),
        ("validation-annotations-bbox.csv", "val"),
        ("VOC2007/ImageSets/Main/trainval.txt", "trainval"),
        ("trained/a.jpg", ""),
        ("test/val.json", "val"),
    ],
)
def test_the_split_is_in_the_name(name: str, split: str) -> None:
    assert split_of(name) == split


def test_split_folders_are_taken_off() -> None:
    assert without_split_folders("pack/annotations", ("annotations",)) == "pack"
    assert without_split_folders("train/labels", ("labels",)) == ""
    assert without_split_folders("pack/train2017/x") == "pack/train2017/x"


def test_the_size_follows_the_rotation_of_exif() -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 32)).save(buffer, "JPEG", exif=exif)
    assert stored_image_size(MemoryStore({"a": buffer.getvalue()}), "a") == (40, 32)
    with pytest.raises(ValueError, match="size of b cannot be read"):
        stored_image_size(MemoryStore({}), "b")


def test_wrong_paths_are_refused(tmp_path: Path) -> None:
    path = write_files(tmp_path, FILES, zipped=True)
    with pytest.raises(ValueError, match="has no folder nowhere; it has cells, stars"):
        open_tree(path / "nowhere")
    with pytest.raises(ValueError, match="does not exist"):
        open_tree(tmp_path / "nowhere")
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    with pytest.raises(ValueError, match="not a readable zip"):
        open_tree(tmp_path / "bad.zip")
    (tmp_path / "a.7z").write_bytes(b"")
    with pytest.raises(ValueError, match=r"not a folder or a .zip"):
        open_tree(tmp_path / "a.7z")
    latin = write_files(tmp_path, {"classes.txt": "grün".encode("latin-1")}, name="latin")
    with pytest.raises(ValueError, match=r"classes.txt is not UTF-8 text .* save it as UTF-8"):
        open_tree(latin).text("classes.txt")


def test_held_out_positions_follow_from_the_seed() -> None:
    kept, held_out = hold_out(20, 0.25, 3)
    assert len(held_out) == 5
    assert sorted(kept + held_out) == list(range(20))
    assert hold_out(20, 0.25, 3) == (kept, held_out) != hold_out(20, 0.25, 4)
    assert len(hold_out(2, 0.9, 0)[0]) == 1  # training keeps one
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        hold_out(20, 1.0, 0)
    with pytest.raises(ValueError, match="one picture cannot be split"):
        hold_out(1, 0.5, 0)


def test_known_lists_get_chinese_names() -> None:
    assert named_classes(["nucleus"]).zh != ("nucleus",)
    assert named_classes(["red", "green"]).zh == ("red", "green")


def test_serious_defects_are_refused_with_their_rows() -> None:
    harmless = Defect("a.png", "too small", "nothing", 3, serious=False)
    refuse("set", [harmless])
    with pytest.raises(
        ValueError, match=r"set has 1 defect.*--skip-bad(?s:.*)b.png, annotation 4: gone; find it"
    ):
        refuse("set", [harmless, Defect("b.png", "gone", "find it", 4)])


@pytest.mark.parametrize(
    ("asked", "split"),
    [("valid", "val"), ("Testing", "test"), ("val", "val"), ("train_extra", "train_extra")],
)
def test_splits_go_by_the_names_that_folders_have(asked: str, split: str) -> None:
    assert split_name(asked) == split
