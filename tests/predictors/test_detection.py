# SPDX-License-Identifier: MIT
"""From pictures to objects: sizes, names, selection, batches, tiles, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from intern25.data.class_names import ClassNames
from intern25.data.images import ImageReadError
from intern25.predictors import DetectionPredictor
from intern25.results import Detections
from tests.color_models import CLASSES, DETECTION, ColorDetector, picture

OBJECTS = ((20, 30, 120, 90), (150, 10, 210, 100), (40, 110, 200, 170))


@pytest.fixture
def predictor() -> DetectionPredictor:
    return DetectionPredictor(ColorDetector(), DETECTION, CLASSES, batch_size=3)


def test_objects_come_back_in_pixels_of_the_picture_with_names(predictor: DetectionPredictor) -> None:
    found = predictor.predict(picture((200, 240), *OBJECTS))
    # The input has half the pixels, so an edge is known to two of them.
    assert np.allclose(found.boxes, OBJECTS, atol=2.5)
    assert found.names_en == CLASSES.en
    assert found.names_zh == CLASSES.zh
    assert found.size == (200, 240)
    assert found.masks is not None
    for mask, (left, top, right, bottom) in zip(found.masks, OBJECTS, strict=True):
        truth = np.zeros((200, 240), dtype=bool)
        truth[top:bottom, left:right] = True
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9


def test_threshold_classes_and_number(predictor: DetectionPredictor) -> None:
    image = picture((200, 240), *OBJECTS)
    assert predictor.predict(image, threshold=0.85).names_en == ("cat",)
    assert predictor.predict(image, classes=["狗", "BUS"]).names_en == ("dog", "bus")
    assert predictor.predict(image, max_detections=2).names_en == ("cat", "dog")
    assert len(predictor.predict(image, threshold=1.0)) == 0


def test_scores_descend_whatever_the_model_does() -> None:
    class Shuffled(ColorDetector):
        def forward(self, *args: object) -> list[Detections]:  # type: ignore[override]
            return [found.select(np.arange(len(found))[::-1]) for found in super().forward(*args)]  # type: ignore[arg-type]

    found = DetectionPredictor(Shuffled(), DETECTION, CLASSES).predict(picture((200, 240), *OBJECTS))
    assert (np.diff(found.scores) < 0).all()
    assert found.names_en == CLASSES.en


def test_a_list_comes_back_for_a_list(predictor: DetectionPredictor) -> None:
    image = picture((200, 240), *OBJECTS)
    assert isinstance(predictor.predict(image), Detections)
    assert [len(found) for found in predictor.predict([image, np.asarray(image)])] == [3, 3]
    assert predictor.predict([]) == []


def test_only_pictures_of_one_input_size_share_a_batch(predictor: DetectionPredictor) -> None:
    wide, tall = picture((100, 150), *OBJECTS), picture((150, 100), *OBJECTS)
    results = predictor.predict([wide, tall, wide])
    assert isinstance(predictor.model, ColorDetector)
    assert sorted(shape[0] for shape in predictor.model.batches) == [1, 2]
    for image, found in zip([wide, tall, wide], results, strict=True):
        assert np.array_equal(predictor.predict(image).boxes, found.boxes)


def test_sources_and_bad_pictures(predictor: DetectionPredictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture((50, 60), (5, 5, 40, 40)).save(path)
    assert [found.source for found in predictor.predict([path, path.read_bytes()])] == [str(path), None]
    (tmp_path / "bad.png").write_bytes(b"bad")
    with pytest.raises(ImageReadError, match=r"bad\.png"):
        predictor.predict([path, tmp_path / "bad.png"])


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (7, 3)])
def test_pictures_of_any_size(predictor: DetectionPredictor, size: tuple[int, int]) -> None:
    found = predictor.predict(picture(size, (0, 0, size[1], size[0])))
    assert found.boxes.tolist() == [[0, 0, size[1], size[0]]]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"classes": ["cta"]}, "no class 'cta'; did you mean 'cat'"),
        ({"classes": ["火车"]}, "no class '火车'; its 3 classes: cat, dog, bus"),
        ({"classes": []}, "names no class"),
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"max_detections": 0}, "max_detections=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"tile": 10}, "tile=10 must be 64 pixels or more"),
        ({"tile": -1}, "tile=-1"),
    ],
)
def test_wrong_calls(predictor: DetectionPredictor, arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        predictor.predict(picture((50, 60)), **arguments)  # type: ignore[call-overload]


def test_classes_as_one_text_are_refused(predictor: DetectionPredictor) -> None:
    with pytest.raises(TypeError, match=r"classes=\['cat'\]"):
        predictor.predict(picture((50, 60)), classes="cat")


def test_names_must_fit_the_model() -> None:
    with pytest.raises(ValueError, match=r"3 outputs .* 1 class names"):
        DetectionPredictor(ColorDetector(), DETECTION, ClassNames(en=("a",), zh=("甲",)))


def test_nan_is_refused_also_where_a_threshold_drops_it() -> None:
    class Silent(ColorDetector):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((3,), float("nan")))

    with pytest.raises(ValueError, match="NaN"):
        DetectionPredictor(Silent(), DETECTION, CLASSES).predict(picture((50, 60)))

    class Loud(ColorDetector):
        def found(self, near: torch.Tensor, size: tuple[int, int]) -> Detections:
            found = super().found(near, size)
            found.scores[:] = np.nan
            return found

    with pytest.raises(ValueError, match="NaN"):
        DetectionPredictor(Loud(), DETECTION, CLASSES).predict(picture((50, 60), (5, 5, 40, 40)))


def test_an_empty_picture_has_nothing(predictor: DetectionPredictor) -> None:
    found = predictor.predict(picture((50, 60)))
    assert len(found) == 0
    assert found.draw().size[0] >= 60
    assert found.names("both") == ()


# One object inside a tile, one on a border of two, one on the corner of four, one longer than any tile.
LARGE = ((60, 60, 140, 130), (300, 40, 380, 110), (310, 300, 390, 380), (30, 500, 880, 560))


@pytest.mark.parametrize("with_masks", [True, False])
def test_tiles_find_each_object_once(with_masks: bool) -> None:
    model = ColorDetector(with_masks=with_masks)
    predictor = DetectionPredictor(model, DETECTION, CLASSES, batch_size=4)
    found = predictor.predict(picture((700, 1000), *LARGE), tile=400)
    assert len(found) == len(LARGE)
    # A tile of 400 pixels is seen with 96: an edge is known to 5 of them, in the whole picture to 8.
    assert np.allclose(found.boxes, LARGE, atol=9)
    assert found.names_en == ("cat", "dog", "bus", "cat")
    assert (found.masks is not None) == with_masks
    if found.masks is not None:
        for mask, (left, top, right, bottom) in zip(found.masks, LARGE, strict=True):
            truth = np.zeros((700, 1000), dtype=bool)
            truth[top:bottom, left:right] = True
            assert (mask & truth).sum() / (mask | truth).sum() > 0.75
    assert {shape[0] for shape in model.batches} == {1, 4, 2} or sum(s[0] for s in model.batches) == 9


def test_small_objects_need_tiles() -> None:
    predictor = DetectionPredictor(ColorDetector(), DETECTION, CLASSES)
    image = picture((1500, 2500), (700, 800, 704, 804))
    assert len(predictor.predict(image)) == 0
    found = predictor.predict(image, tile=120)
    assert np.allclose(found.boxes, [[700, 800, 704, 804]], atol=2)


def test_neighbours_of_one_class_stay_two() -> None:
    class OneClass(ColorDetector):
        def found(self, near: torch.Tensor, size: tuple[int, int]) -> Detections:
            found = super().found(near, size)
            found.labels[:] = 0
            return found

    objects = ((300, 40, 348, 110), (352, 40, 400, 110), (300, 112, 400, 180))
    found = DetectionPredictor(OneClass(), DETECTION, CLASSES).predict(
        picture((400, 700), *objects), tile=200
    )
    assert np.allclose(found.boxes, objects, atol=5)


def test_the_selection_holds_for_tiles() -> None:
    predictor = DetectionPredictor(ColorDetector(), DETECTION, CLASSES)
    image = picture((700, 1000), *LARGE)
    assert predictor.predict(image, tile=400, classes=["bus"]).names_en == ("bus",)
    two = predictor.predict(image, tile=400, max_detections=2)
    assert two.names_en == ("cat", "dog")
    assert two.masks is not None
    assert two.masks.shape == (2, 700, 1000)


def test_large_pictures_are_tiled_by_themselves() -> None:
    model = ColorDetector()
    predictor = DetectionPredictor(model, DETECTION, CLASSES)
    image = Image.new("RGB", (5200, 300), (128, 128, 128))
    predictor.predict(image)
    assert sum(shape[0] for shape in model.batches) == 1 + 7  # the whole, and tiles of 1024 that overlap
    model.batches.clear()
    predictor.predict(image, tile=0)
    assert len(model.batches) == 1


def test_masks_beyond_memory_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intern25.predictors.tiled_detection._MOST_MASK_BYTES", 1000)
    with pytest.raises(ValueError, match=r"masks of 4 objects in a picture of 700 x 1000"):
        DetectionPredictor(ColorDetector(), DETECTION, CLASSES).predict(
            picture((700, 1000), *LARGE), tile=400
        )
