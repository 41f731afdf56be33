# SPDX-License-Identifier: MIT
"""The same boxes in every picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.evaluation.trivial_boxes import MOST_BOXES, MeanBoxes


@dataclass
class Annotated:
    """Pictures with given boxes."""

    size: tuple[int, int]
    boxes: list[list[tuple[list[float], int]]]
    classes: ClassNames = field(default_factory=lambda: ClassNames(en=("a", "b"), zh=("甲", "乙")))

    def __len__(self) -> int:
        return len(self.boxes)

    def name(self, index: int) -> str:
        return str(index)

    def image_id(self, index: int) -> int:
        return index

    def image(self, index: int) -> Image.Image:
        raise AssertionError("no picture is looked at")

    def annotation(self, index: int) -> Annotation:
        rows = AnnotationRows()
        for number, (box, label) in enumerate(self.boxes[index]):
            rows.add(box, label, number)
        return rows.annotation(self.size)


def test_boxes_have_the_mean_size_and_number_of_their_class() -> None:
    pictures = [
        [([0, 0, 20, 10], 0), ([50, 10, 90, 40], 0), ([0, 0, 100, 50], 1)],
        [([10, 10, 40, 20], 0), ([0, 0, 10, 10], 0)],
    ]
    found = MeanBoxes.of(Annotated((50, 100), pictures)).predict((100, 300))
    # Class 0: two a picture; mean width (20 + 40 + 30 + 10) / 4 of 100, height (10 + 30 + 10 + 10) / 4 of 50.
    first = found.boxes[found.labels == 0]
    assert len(first) == 2
    np.testing.assert_allclose(first[:, 2] - first[:, 0], 300 * 0.25)
    np.testing.assert_allclose(first[:, 3] - first[:, 1], 100 * 0.3)
    np.testing.assert_allclose((first[:, 0] + first[:, 2]) / 2, [75, 225])
    # Class 1: half an object a picture is one box, of the whole picture; rarer, so behind.
    np.testing.assert_allclose(found.boxes[found.labels == 1], [[0, 0, 300, 100]])
    assert found.labels.tolist() == [0, 0, 1]
    assert (np.diff(found.scores) < 0).all()


def test_no_more_boxes_than_a_detector_gives() -> None:
    crowd: list[tuple[list[float], int]] = [([0, 0, 5, 5], 0)] * 150
    assert len(MeanBoxes.of(Annotated((50, 50), [crowd])).predict((50, 50))) == MOST_BOXES


def test_pictures_without_objects_give_no_boxes() -> None:
    found = MeanBoxes.of(Annotated((50, 50), [[]])).predict((50, 50))
    assert found.boxes.shape == (0, 4)
    assert found.scores.sum() == pytest.approx(0)
