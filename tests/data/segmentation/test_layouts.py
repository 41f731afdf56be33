"""Each known data set opens as it is distributed, and its numbers become labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.class_names import class_names
from intern25.data.segmentation.layouts import LAYOUTS, MAPILLARY_TO_CITYSCAPES
from intern25.data.segmentation.sources import SegmentationFormat, read_semantic, read_semantic_splits
from tests.data.made_files import picture, png, write_files

SIZE = (6, 8)


def mask(*values: int) -> bytes:
    """A mask whose first row starts with ``values`` and whose rest is the last of them."""
    pixels = np.full(SIZE, values[-1], dtype=np.uint8)
    pixels[0, : len(values)] = values
    return png(pixels)


PICTURE = picture(0, SIZE)
# format: files, split, labels that the values of the mask's first row become
KNOWN: dict[str, tuple[dict[str, bytes | str], str, list[int]]] = {
    "ade20k": (
        {
            "ADE/images/training/x.jpg": PICTURE,
            "ADE/annotations/training/x.png": mask(0, 1, 150),
            "ADE/images/validation/y.jpg": PICTURE,
            "ADE/annotations/validation/y.png": mask(7),
        },
        "train",
        [255, 0, 149],
    ),
    "cityscapes": (
        {
            "leftImg8bit/val/bonn/bonn_0_leftImg8bit.png": PICTURE,
            "gtFine/val/bonn/bonn_0_gtFine_labelIds.png": mask(0, 7, 33, 26, 29),
            "gtFine/val/bonn/bonn_0_gtFine_instanceIds.png": mask(1),
            "gtFine/val/bonn/bonn_0_gtFine_color.png": mask(1),
        },
        "val",
        [255, 0, 18, 13, 255],
    ),
    "cityscapes train ids": (
        {
            "leftImg8bit/train/bonn/bonn_0_leftImg8bit.png": PICTURE,
            "gtFine/train/bonn/bonn_0_gtFine_labelIds.png": mask(7),
            "gtFine/train/bonn/bonn_0_gtFine_labelTrainIds.png": mask(0, 18, 255),
        },
        "train",
        [0, 18, 255],
    ),
    "cityscapes coarse": (
        {
            "leftImg8bit/train_extra/ulm/ulm_0_leftImg8bit.png": PICTURE,
            "gtCoarse/train_extra/ulm/ulm_0_gtCoarse_labelIds.png": mask(8, 3),
        },
        "train_extra",
        [1, 255],
    ),
    "coco_stuff_164k": (
        {
            "images/val2017/000000000139.jpg": PICTURE,
            "annotations/val2017/000000000139_labelTrainIds.png": mask(0, 170, 255),
        },
        "val",
        [0, 170, 255],
    ),
    "coco_stuff_164k raw": (
        {
            "val2017/000000000139.jpg": PICTURE,
            "stuffthingmaps/val2017/000000000139.png": mask(0, 10, 12, 181, 255, 11),
        },
        "val",
        [0, 10, 11, 170, 255, 255],
    ),
    "coco_stuff_10k": (
        {
            "images/test2014/COCO_1.jpg": PICTURE,
            "annotations/test2014/COCO_1_labelTrainIds.png": mask(0, 1, 171),
        },
        "test",
        [255, 0, 170],
    ),
    "pascal_context": (
        {
            "VOC2010/JPEGImages/p.jpg": PICTURE,
            "VOC2010/JPEGImages/q.jpg": PICTURE,
            "VOC2010/SegmentationClassContext/p.png": mask(0, 59, 1),
            "VOC2010/SegmentationClassContext/q.png": mask(3),
            "VOC2010/ImageSets/SegmentationContext/val.txt": "p\n",
            "VOC2010/ImageSets/SegmentationContext/train.txt": "q\n",
        },
        "val",
        [255, 58, 0],
    ),
    "nyu40": (
        {
            "image/1.jpg": PICTURE,
            "label40/1.png": mask(0, 40),
            "image/2.jpg": PICTURE,
            "label40/2.png": mask(1),
            "train.txt": "2",
            "test.txt": "1",
        },
        "test",
        [255, 39],
    ),
    "mapillary": (
        {
            "training/images/m.jpg": PICTURE,
            "training/v1.2/labels/m.png": mask(0, 64, 65),
            "config_v1.2.json": "{}",
        },
        "train",
        [0, 64, 255],
    ),
    "mapillary_as_cityscapes": (
        {"training/images/m.jpg": PICTURE, "training/labels/m.png": mask(13, 24, 41, 19, 52, 0, 65)},
        "train",
        [0, 0, 0, 11, 18, 255, 255],
    ),
    "camvid": (
        {"camvid/val/images/c.jpg": PICTURE, "camvid/val/masks/c.png": mask(0, 10, 11)},
        "val",
        [0, 10, 255],
    ),
    "camvid SegNet": (
        {"CamVid/test/c.png": PICTURE, "CamVid/testannot/c.png": mask(4, 11)},
        "test",
        [4, 255],
    ),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_values_become_labels(tmp_path: Path, name: str, zipped: bool) -> None:
    files, split, labels = KNOWN[name]
    format: SegmentationFormat = name.split()[0]  # type: ignore[assignment]
    path = write_files(tmp_path, files, zipped=zipped)
    asked: tuple[SegmentationFormat, ...] = (
        (format,) if format == "mapillary_as_cityscapes" else (format, "auto")
    )
    for asked_format in asked:
        images = read_semantic(path, asked_format, split=split)
        assert len(images) == 1
        assert images.mask(0)[0, : len(labels)].tolist() == labels
        assert images.mask(0).dtype == np.uint8
        assert images.image(0).size == (8, 6)
        assert images.size(0) == SIZE
        known = images.lookup[(images.lookup >= 0) & (images.lookup != 255)]
        assert sorted(set(known.tolist())) == list(range(len(images.classes)))[: len(set(known.tolist()))]


def test_every_class_has_a_name() -> None:
    for layout in LAYOUTS:
        lookup = layout.lookup()
        labels = lookup[(lookup >= 0) & (lookup != 255)]
        assert set(labels.tolist()) <= set(range(len(class_names(layout.class_list)))), layout.format
        if layout.format != "mapillary":  # its 66th name is the ignored "unlabeled"
            assert labels.max() + 1 == len(class_names(layout.class_list)), layout.format


def test_mapillary_classes_go_to_cityscapes_classes_of_their_name() -> None:
    mapillary, cityscapes = class_names("mapillary").en, class_names("cityscapes").en
    same = {
        cityscapes[label].lower(): {mapillary[value].lower() for value in values}
        for label, values in enumerate(MAPILLARY_TO_CITYSCAPES)
    }
    for name in (
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "car",
        "truck",
        "bus",
        "motorcycle",
        "bicycle",
    ):
        assert any(name in found for found in same[name]), (name, same[name])
    assert len([value for values in MAPILLARY_TO_CITYSCAPES for value in values]) == 25


def test_splits_fall_back(tmp_path: Path) -> None:
    files = KNOWN["nyu40"][0]
    splits = read_semantic_splits(write_files(tmp_path, files))
    assert splits.train.names == ("image/2.jpg",)
    assert splits.val.names == ("image/1.jpg",)
    with pytest.raises(ValueError, match=r"\(nyu40\) has no split 'val': found test, train"):
        read_semantic(tmp_path / "set", split="val")
    alone = {name: data for name, data in KNOWN["ade20k"][0].items() if "validation" not in name}
    for number in range(4):
        alone[f"ADE/images/training/{number}.jpg"] = PICTURE
        alone[f"ADE/annotations/training/{number}.png"] = mask(number)
    path = write_files(tmp_path, alone, name="alone")
    splits = read_semantic_splits(path, validation_fraction=0.4, seed=2)
    assert (len(splits.train), len(splits.val)) == (3, 2)
    assert not {*splits.train.names} & {*splits.val.names}
    assert read_semantic_splits(path, validation_fraction=0.4, seed=2).val.names == splits.val.names
