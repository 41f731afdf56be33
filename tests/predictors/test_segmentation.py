# SPDX-License-Identifier: MIT
"""From pictures to the class of each pixel: sizes, selection, batches, tiles, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from intern25.predictors import SegmentationPredictor
from intern25.results import SemanticMap
from tests.color_models import CLASSES, SEGMENTATION, ColorSegmenter, picture

# Red, green and blue fill the picture.
THIRDS = ((0, 0, 100, 180), (100, 0, 200, 180), (200, 0, 300, 180))


def truth() -> np.ndarray:
    return np.repeat([0, 1, 2], 100)[None].repeat(180, axis=0)


@pytest.fixture
def predictor() -> SegmentationPredictor:
    return SegmentationPredictor(ColorSegmenter(), SEGMENTATION, CLASSES, batch_size=2)  # type: ignore[arg-type]


def agreement(found: SemanticMap) -> float:
    return float((found.labels == truth()).mean())


def test_classes_in_the_size_of_the_picture(predictor: SegmentationPredictor) -> None:
    found = predictor.predict(picture((180, 300), *THIRDS))
    assert found.size == (180, 300)
    # Two borders, each known to the two pixels that one of the input covers.
    assert agreement(found) > 1 - 2 * 3 / 300
    assert found.labels.dtype == np.uint8
    assert found.scores is not None
    assert found.scores[90, 50] > 0.99
    assert found.names_en == CLASSES.en
    assert found.present == (0, 1, 2) or set(found.present) == {0, 1, 2}


def test_slide_mode_is_used() -> None:
    slide = dataclasses.replace(SEGMENTATION, mode="slide", crop=(64, 64), stride=(32, 32))
    found = SegmentationPredictor(ColorSegmenter(), slide, CLASSES).predict(picture((180, 300), *THIRDS))  # type: ignore[arg-type]
    assert agreement(found) > 1 - 2 * 3 / 300


def test_a_list_of_mixed_sizes(predictor: SegmentationPredictor) -> None:
    images = [picture((180, 300), *THIRDS), picture((90, 50), (0, 0, 50, 90)), picture((180, 300), *THIRDS)]
    found = predictor.predict(images)
    assert [one.size for one in found] == [(180, 300), (90, 50), (180, 300)]
    assert np.array_equal(found[0].labels, predictor.predict(images[0]).labels)
    assert (found[1].labels == 0).all()


def test_unwanted_pixels_have_no_class(predictor: SegmentationPredictor) -> None:
    image = picture((180, 300), *THIRDS)
    found = predictor.predict(image, classes=["狗"])
    assert found.present == (1,)
    assert found.labels[90, 20] == 255
    unsure = predictor.predict(picture((180, 300), *THIRDS[:1]), threshold=0.9)
    assert unsure.labels[90, 20] == 0
    assert unsure.labels[90, 250] == 255  # grey is as far from all three colours


def test_tiles_agree_with_the_whole(predictor: SegmentationPredictor) -> None:
    found = predictor.predict(picture((180, 300), *THIRDS), tile=100)
    # A tile of 100 pixels is seen with 96: its edges are sharper, and no tile border shows.
    assert agreement(found) > 1 - 2 * 2 / 300
    assert found.scores is not None
    assert (found.scores[:, 20:80] > 0.99).all()


def test_nan_is_refused(predictor: SegmentationPredictor) -> None:
    class Damaged(ColorSegmenter):
        def scores(self, images: torch.Tensor) -> torch.Tensor:
            return super().scores(images) * float("nan")

    damaged = SegmentationPredictor(Damaged(), SEGMENTATION, CLASSES)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN"):
        damaged.predict(picture((40, 50)))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"classes": ["dgo"]}, "did you mean 'dog'"),
        ({"threshold": -1}, "threshold=-1"),
        ({"tile": 3}, "tile=3"),
    ],
)
def test_wrong_calls(predictor: SegmentationPredictor, arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        predictor.predict(picture((40, 50)), **arguments)  # type: ignore[call-overload]


def test_colours_must_fit_the_classes() -> None:
    with pytest.raises(ValueError, match="1 colours for 3 classes"):
        SegmentationPredictor(ColorSegmenter(), SEGMENTATION, CLASSES, palette=[(1, 2, 3)])  # type: ignore[arg-type]
