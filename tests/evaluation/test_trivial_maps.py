# SPDX-License-Identifier: MIT
"""One map for every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.evaluation.trivial_maps import MajorityMap

CLASSES = ClassNames(en=("sky", "road", "car"), zh=("天空", "道路", "汽车"))


@dataclass
class Masks:
    """Masks without pictures."""

    masks: list[NDArray[np.uint8]]
    classes: ClassNames = CLASSES

    def __len__(self) -> int:
        return len(self.masks)

    def name(self, index: int) -> str:
        return str(index)

    def size(self, index: int) -> tuple[int, int]:
        height, width = self.masks[index].shape
        return height, width

    def image(self, index: int) -> Image.Image:
        raise AssertionError("no picture is looked at")

    def mask(self, index: int) -> NDArray[np.uint8]:
        return self.masks[index]


def rows(*labels: int) -> NDArray[np.uint8]:
    """A mask of 128 x 128 pixels in horizontal bands."""
    return np.repeat(np.array(labels, dtype=np.uint8), 128 // len(labels))[:, None].repeat(128, axis=1)


def test_each_place_has_its_most_frequent_class() -> None:
    train = Masks([rows(0, 1), rows(0, 1), rows(1, 1), rows(255, 0)])
    majority = MajorityMap.of(train)
    assert (majority.labels[:32] == 0).all()
    assert (majority.labels[32:] == 1).all()
    assert majority.overall == 1


def test_scores_are_those_of_the_map() -> None:
    majority = MajorityMap.of(Masks([rows(0, 1)]))
    # Three quarters of the upper half are right, and all of the lower: IoU 3/4 and 4/5, no car anywhere.
    held_out = Masks([rows(0, 0, 0, 1, 1, 1, 1, 1)])
    report = majority.score(held_out)
    assert report.mean_iou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert report.pixel_accuracy == pytest.approx(7 / 8)
    assert majority.score(held_out, by_place=False).pixel_accuracy == pytest.approx(3 / 8)
