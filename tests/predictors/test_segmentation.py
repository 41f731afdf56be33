# SPDX-License-Identifier: MIT
"""From pictures to the class of each pixel: sizes, selection, batches, tiles, errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.predictors import SegmentationPredictor
from intern25.results import SemanticMap
from intern25.segmentation.inference import LabelMap, label_maps
from intern25.segmentation.upernet import UperNet
from tests.color_models import CLASSES, SEGMENTATION, ColorSegmenter, picture
from tests.segmentation.models import TINY_UPERNET

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


def views_of(predictor: SegmentationPredictor, image: Image.Image, **how: object) -> LabelMap:
    """What the inference functions say of one picture."""
    inputs = predictor.preprocessing(image)[None]
    sizes = [(image.height, image.width)]
    return label_maps(predictor.model, inputs, original_sizes=sizes, with_scores=True, **how)[0]  # type: ignore[arg-type]


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def upernet() -> SegmentationPredictor:
    """A real network, whose answer depends on where and how large things are."""
    torch.manual_seed(0)
    classes = ClassNames.from_lists(["a", "b", "c", "d"])
    return SegmentationPredictor(UperNet(TINY_UPERNET), SEGMENTATION, classes, batch_size=2)


SLIDE = {"mode": "slide", "crop": (64, 64), "stride": (32, 32)}


@pytest.mark.parametrize("mode", [{}, SLIDE])
@pytest.mark.parametrize(
    "views", [{"scales": (0.5, 1.0, 1.5), "flip": True}, {"flip": True}, {"scales": [2.0]}]
)
def test_views_are_those_of_the_inference_functions(
    upernet: SegmentationPredictor, mode: dict[str, Any], views: dict[str, Any]
) -> None:
    how = dataclasses.replace(upernet.preprocessing, **mode)
    predictor = SegmentationPredictor(upernet.model, how, upernet.classes)
    images = [noise(100, 150), noise(70, 150), noise(100, 150)]
    for image, found in zip(images, predictor.predict(images, **views), strict=True):
        expected = views_of(predictor, image, **mode, **views)
        assert expected.scores is not None
        assert np.allclose(found.scores, expected.scores.numpy(), atol=1e-5)
        assert (found.labels == expected.labels.numpy()).mean() > 0.999
        plain = predictor.predict(image)
        assert not np.allclose(found.scores, plain.scores, atol=1e-3)


def test_a_mirrored_picture_gives_the_mirrored_map(upernet: SegmentationPredictor) -> None:
    image = noise(96, 160)  # The size of the input: nothing is resized.
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found, other = upernet.predict([image, mirrored], flip=True, scales=(1.0, 0.5))
    assert np.allclose(found.scores, other.scores[:, ::-1], atol=1e-5)
    assert (found.labels == other.labels[:, ::-1]).mean() > 0.999
    one, another = upernet.predict([image, mirrored])
    assert not np.allclose(one.scores, another.scores[:, ::-1], atol=1e-3)


def test_tiles_are_seen_in_all_views(upernet: SegmentationPredictor) -> None:
    image = noise(96, 160)
    found = upernet.predict(image, tile=100, flip=True, scales=(1.0, 1.5))
    left = views_of(upernet, image.crop((0, 0, 100, 96)), flip=True, scales=(1.0, 1.5))
    assert np.array_equal(found.labels[:, :40], left.labels.numpy()[:, :40])  # Seen by the left tile alone.


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
        ({"scales": ()}, r"scales=\(\) must be positive numbers"),
        ({"scales": (1.0, 0.0)}, r"scales=\(1.0, 0.0\) must be positive"),
        ({"scales": (float("nan"),)}, r"scales=\(nan,\)"),
        ({"scales": (float("inf"),)}, r"scales=\(inf,\)"),
    ],
)
def test_wrong_calls(predictor: SegmentationPredictor, arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        predictor.predict(picture((40, 50)), **arguments)  # type: ignore[call-overload]


def test_one_number_is_no_list_of_scales(predictor: SegmentationPredictor) -> None:
    with pytest.raises(TypeError, match=r"scales=0\.5 must be a list of numbers: scales=\[0\.5\]"):
        predictor.predict(picture((40, 50)), scales=0.5)  # type: ignore[call-overload]


def test_colours_must_fit_the_classes() -> None:
    with pytest.raises(ValueError, match="1 colours for 3 classes"):
        SegmentationPredictor(ColorSegmenter(), SEGMENTATION, CLASSES, palette=[(1, 2, 3)])  # type: ignore[arg-type]
