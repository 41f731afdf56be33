"""Each kind of defect of a class mask has its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.segmentation.checking import check, without_defects
from intern25.data.segmentation.images import StoredSemanticImages
from intern25.data.segmentation.sources import read_semantic
from tests.data.made_files import picture, png, write_files

SIZE = (6, 8)
GOOD = np.ones(SIZE, dtype=np.uint8)


def read(tmp_path: Path, **files: bytes) -> StoredSemanticImages:
    made: dict[str, bytes | str] = {"classes.txt": "a\nb"}
    for stem in "xy":
        made[f"images/{stem}.png"], made[f"masks/{stem}.png"] = picture(0, SIZE), png(GOOD)
    return read_semantic(write_files(tmp_path, {**made, **files}))


def test_good_data_have_no_defects(tmp_path: Path) -> None:
    images = read(tmp_path)
    assert check(images) == []
    assert without_defects(images, skip_bad=False) == (images, [])


COLOURS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
BAD = {
    "value": (
        "masks/x.png",
        png(GOOD * 7),
        "it holds the values [7], which none of the 2 classes has; correct the mask",
    ),
    "sixteen bits": (
        "masks/x.png",
        png(GOOD.astype(np.uint16) * 4000),
        "it holds the values [4000], which none",
    ),
    "size": (
        "masks/x.png",
        png(GOOD[:4]),
        "its size is 4 x 8, its picture 6 x 8 (height x width); draw the mask",
    ),
    "colours": (
        "masks/x.png",
        png(COLOURS),
        "it holds colours, not class numbers; save each class's number as grey",
    ),
    "damaged mask": ("masks/x.png", b"text", "it cannot be read: "),
    "damaged picture": ("images/x.png", picture(0)[:120], "images/x.png: it cannot be read: "),
    "no picture": ("masks/z.png", png(GOOD), "masks/z.png: its picture is missing; put it at images/z.jpg"),
}


@pytest.mark.parametrize(("file", "data", "message"), BAD.values(), ids=BAD)
def test_defects_are_listed_and_left_out(tmp_path: Path, file: str, data: bytes, message: str) -> None:
    images = read(tmp_path, **{file: data})
    (defect,) = check(images)
    assert message in str(defect)
    assert str(defect).startswith(file)
    with pytest.raises(ValueError, match="has 1 defect; mend them, or use skip_bad"):
        without_defects(images, skip_bad=False)
    good, defects = without_defects(images, skip_bad=True)
    assert defects == [defect]
    assert good.names == (("images/x.png", "images/y.png") if "z" in file else ("images/y.png",))
    assert check(good) == []


def test_a_picture_without_a_mask_is_named(tmp_path: Path) -> None:
    images, (defect,) = without_defects(read(tmp_path, **{"images/z.png": picture(0)}), skip_bad=False)
    assert images.names == ("images/x.png", "images/y.png")
    assert str(defect) == "images/z.png: it has no mask; it is left out; give it a .png of the same name"


def test_a_mask_without_classes_is_kept_and_named(tmp_path: Path) -> None:
    images, (defect,) = without_defects(read(tmp_path, **{"masks/x.png": png(GOOD * 255)}), skip_bad=False)
    assert "it has no pixel of any class" in str(defect)
    assert len(images) == 2


def test_a_lost_mask_is_named(tmp_path: Path) -> None:
    images = read(tmp_path)
    (tmp_path / "set" / "masks" / "x.png").unlink()
    (defect,) = check(images)
    assert str(defect).startswith("masks/x.png: the file is missing")
    with pytest.raises(ValueError, match=r"none of the 1 pictures of .* can be used"):
        without_defects(images.select([0]), skip_bad=True)
