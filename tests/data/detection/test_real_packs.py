"""The real data sets of the reference data open, count as their sources say, and have no defects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.checking import check
from intern25.data.detection.masks import mask_box, segmentation_json
from intern25.data.detection.sample import sample_of
from intern25.data.detection.sources import read_detection, read_detection_splits

pytestmark = pytest.mark.shared

PACKS = {
    ("det_small.zip/bccd", "train"): (205, 2804, 3),
    ("det_small.zip/bccd", "val"): (87, 1137, 3),
    ("det_small.zip/dsb2018_256", "train"): (262, 7459, 1),
    ("det_small.zip/openimages5", "val"): (14, 37, 5),
    ("det_small.zip/openimages5", "test"): (58, 189, 5),
    ("coco_mini491.zip", "train"): (208, 1673, 80),
    ("coco_mini491.zip", "val"): (283, 1501, 80),
    ("traffic_lights_cn.zip", "train"): (230, 550, 14),
}


@pytest.mark.parametrize(("pack", "split"), PACKS)
def test_packs_open_and_count(shared_root: Path, pack: str, split: str) -> None:
    images = read_detection(shared_root / "data" / pack, split=split)
    counts = len(images), sum(len(annotation) for annotation in images.annotations), len(images.classes)
    assert counts == PACKS[pack, split]
    assert images.defects == ()
    some = images.select(range(0, len(images), max(1, len(images) // 8)))
    assert check(some) == []


def test_an_archive_of_three_says_so(shared_root: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds 3 data sets.*bccd \(coco\).*dsb2018_256 \(coco\).*openimages5"
    ):
        read_detection(shared_root / "data" / "det_small.zip")


def test_areas_and_boxes_agree_with_the_masks(shared_root: Path) -> None:
    oracle = pytest.importorskip("pycocotools.mask")
    images = read_detection(shared_root / "data" / "coco_mini491.zip").with_objects(masks=True)
    for annotation in images.annotations[:6]:
        height, width = annotation.size
        assert annotation.masks is not None
        for index, stored in enumerate(annotation.masks):
            mask = annotation.mask(index)
            segmentation = segmentation_json(stored)
            if isinstance(segmentation, list):
                segmentation = oracle.merge(oracle.frPyObjects(segmentation, height, width))
            np.testing.assert_array_equal(mask, oracle.decode(segmentation).astype(bool))
            # COCO's boxes go round the outline of the polygons, whose border pixels may stay out.
            if not annotation.crowd[index]:
                assert np.abs(np.subtract(mask_box(mask), annotation.boxes[index])).max() <= 2.0


def test_augmented_nuclei_have_the_boxes_of_their_masks(shared_root: Path) -> None:
    splits = read_detection_splits(shared_root / "data" / "det_small.zip" / "dsb2018_256")
    augmentation = DetectionAugmentation(
        kind="large_scale_jitter", short_side=256, long_side=256, jitter=(0.8, 2.0)
    )
    for index in range(4):
        sample = sample_of(splits.train.image(index), splits.train.annotation(index), masks=True)
        _, target = augmentation(sample, index)
        assert target.masks is not None
        found = np.array([mask_box(mask.numpy().astype(bool)) for mask in target.masks]).reshape(-1, 4)
        # A corner pixel of an outline may fall between the pixels kept when the mask shrinks.
        assert np.abs(found - target.boxes.numpy()).max(initial=0) <= 2.0
    assert splits.val.classes.zh != splits.val.classes.en
