"""Own data: folders of pictures and masks, classes.txt, COCO's panoptic classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from intern25.data.segmentation.sources import read_semantic, read_semantic_splits
from tests.data.made_files import picture, png, write_files

SIZE = (6, 8)
MASK = np.zeros(SIZE, dtype=np.uint8)
MASK[0, :3] = (1, 2, 255)


def files_of(pattern: str, suffix: str = ".png") -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {}
    for split, stem in (("train", "a"), ("train", "b"), ("val", "c")):
        folder = pattern.replace("split", split)
        files[f"{folder.replace('kind', 'images')}/{stem}.jpg"] = picture(ord(stem), SIZE)
        files[f"{folder.replace('kind', 'masks')}/{stem}{suffix}"] = png(MASK)
    return files


@pytest.mark.parametrize("pattern", ["kind/split", "split/kind", "pack/split/kind"])
@pytest.mark.parametrize("zipped", [False, True])
def test_layouts(tmp_path: Path, pattern: str, zipped: bool) -> None:
    prefix = "pack/" if pattern.startswith("pack") else ""
    files = {**files_of(pattern), f"{prefix}classes.txt": "ground\nvoid\nwater\n"}
    splits = read_semantic_splits(write_files(tmp_path, files, zipped=zipped))
    assert splits.train.classes.en == ("ground", "water")
    assert (len(splits.train), len(splits.val)) == (2, 1)
    assert splits.train.mask(0)[0].tolist() == [255, 1, 255, 0, 0, 0, 0, 0]
    assert splits.val.image(0).size == (8, 6)
    assert splits.train.pixel_counts() == [2 * 45, 2 * 1]


def test_suffixes_of_mask_names_and_no_splits(tmp_path: Path) -> None:
    files = {
        name.replace("train/", "").replace("val/", ""): data for name, data in files_of("kind/split").items()
    }
    renamed = {name.replace(".png", "_mask.png"): data for name, data in files.items()}
    path = write_files(tmp_path, {**renamed, "classes.txt": "a\nb\nc"})
    assert len(read_semantic(path)) == 3
    splits = read_semantic_splits(path, seed=0)
    assert (len(splits.train), len(splits.val)) == (2, 1)
    with pytest.raises(ValueError, match=r"has no split 'val': found masks without a split"):
        read_semantic(path, split="val")


def test_masks_of_a_palette_sixteen_bits_or_equal_colours(tmp_path: Path) -> None:
    import io

    from PIL import Image

    palette = Image.fromarray(MASK, "P")
    palette.putpalette(list(range(256)) * 3)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    masks = {
        "a": buffer.getvalue(),
        "b": png(MASK.astype(np.uint16)),
        "c": png(np.stack([MASK] * 3, axis=-1)),
    }
    files: dict[str, bytes | str] = {"classes.txt": "x\ny\nz"}
    for stem, data in masks.items():
        files[f"images/{stem}.png"], files[f"masks/{stem}.png"] = picture(0, SIZE), data
    images = read_semantic(write_files(tmp_path, files))
    for index in range(3):
        np.testing.assert_array_equal(images.mask(index), MASK)


def test_semantic_masks_of_coco_ids(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "person"}, {"id": 200, "name": "rug"}, {"id": 90, "name": "toothbrush"}]
    values = np.zeros(SIZE, dtype=np.uint8)
    values[0, :3] = (1, 90, 200)
    files = {
        "panoptic_train.json": json.dumps({"categories": categories}),
        "images/train/x.jpg": picture(0, SIZE),
        "images/train/without mask.jpg": picture(1, SIZE),
        "semantic/train/x.png": png(values),
        "instances_train.json": "{}",
    }
    images = read_semantic(write_files(tmp_path, files))
    assert images.classes.en == ("person", "toothbrush", "rug")
    assert len(images) == 1
    assert images.mask(0)[0, :4].tolist() == [0, 1, 2, 255]
    for change, message in (({"panoptic_train.json": "{}"}, "no usable list 'categories'"),):
        with pytest.raises(ValueError, match=message):
            read_semantic(write_files(tmp_path, {**files, **change}, name="bad"))
    del files["panoptic_train.json"]
    with pytest.raises(ValueError, match=r"has no panoptic_train.json, which numbers the classes"):
        read_semantic(write_files(tmp_path, files, name="none"))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    files = files_of("kind/split")
    with pytest.raises(ValueError, match=r"does not say its classes: write classes.txt"):
        read_semantic(write_files(tmp_path, files, name="classes"))
    with pytest.raises(ValueError, match="names 0 classes; 1 to 255"):
        read_semantic(write_files(tmp_path, {**files, "classes.txt": "void\n"}, name="void"))
    with pytest.raises(
        ValueError, match=r"no segmentation data set of format auto in .*own data are folders"
    ):
        read_semantic(write_files(tmp_path, {"a/x.png": b""}, name="nothing"))
    with pytest.raises(ValueError, match=r"unknown format 'loveda'"):
        read_semantic(tmp_path, "loveda")  # type: ignore[arg-type]
    masks_only = {name: data for name, data in files.items() if "masks" in name}
    with pytest.raises(
        ValueError, match=r"none of the 2 masks of .* has a picture; put it at images/train/a.jpg"
    ):
        read_semantic(write_files(tmp_path, {**masks_only, "classes.txt": "a"}, name="pictures"))
    two = {f"{name}/{file}": data for name in ("x", "y") for file, data in files.items()}
    with pytest.raises(ValueError, match=r"holds 2 data sets; give the path of one: .*x/ \(folders\)"):
        read_semantic(write_files(tmp_path, two, name="two"))
