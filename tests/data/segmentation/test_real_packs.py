"""The real data sets of the reference data open and have no defects."""

from __future__ import annotations

from pathlib import Path

import pytest

from intern25.data.segmentation.checking import check
from intern25.data.segmentation.sources import read_semantic

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_camvid(shared_root: Path, split: str, count: int) -> None:
    images = read_semantic(shared_root / "data" / "camvid.zip", split=split)
    assert len(images) == count
    assert images.classes.en[3] == "road"
    assert len(images.classes) == 11
    some = images.select(range(0, count, 60))
    assert check(some) == []
    counts = some.pixel_counts()
    assert max(range(11), key=counts.__getitem__) in (1, 3)  # buildings or road fill most of a street scene


@pytest.mark.parametrize("split", ["train", "val"])
def test_semantic_masks_of_coco(shared_root: Path, split: str) -> None:
    images = read_semantic(shared_root / "data" / "coco_mini491.zip", split=split)
    assert len(images) == 100
    assert len(images.classes) == 133
    assert images.classes.en[0] == "person"
    assert check(images.select(range(0, 100, 25))) == []


def test_an_archive_of_boxes_has_no_masks(shared_root: Path) -> None:
    with pytest.raises(ValueError, match="no segmentation data set of format auto"):
        read_semantic(shared_root / "data" / "det_small.zip")
