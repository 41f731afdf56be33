# SPDX-License-Identifier: MIT
"""From pictures to instances and panoptic segments: sizes, things, selection, batches, tiles, errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.class_names import ClassNames, class_names
from intern25.predictors import SegmentationPredictor
from intern25.results import Detections, PanopticMap
from intern25.segmentation.mask2former_decoder import QueryPredictions
from intern25.segmentation.panoptic import instances, panoptic
from tests.color_models import CLASSES, SEGMENTATION, ColorQueries, ColorSegmenter, picture
from tests.small_detector import mask2former

# Red and yellow are cats, green is a dog, blue a bus.
OBJECTS = ((20, 30, 120, 90), (150, 10, 210, 100), (40, 110, 200, 170), (215, 120, 235, 190))
THINGS = ["cat", "狗"]


@pytest.fixture
def predictor() -> SegmentationPredictor:
    return SegmentationPredictor(ColorQueries(), SEGMENTATION, CLASSES, batch_size=2)  # type: ignore[arg-type]


def overlap(mask: np.ndarray, box: tuple[int, int, int, int]) -> float:
    truth = np.zeros_like(mask)
    truth[box[1] : box[3], box[0] : box[2]] = True
    return float((mask & truth).sum() / (mask | truth).sum())


def test_instances_in_pixels_of_the_picture(predictor: SegmentationPredictor) -> None:
    found = predictor.predict_instances(picture((200, 240), *OBJECTS), things=THINGS)
    assert found.names_en == ("cat", "dog", "cat")
    assert found.names_zh == ("猫", "狗", "猫")
    assert found.size == (200, 240)
    assert found.masks is not None
    for mask, box, rows in zip(found.masks, found.boxes, (0, 1, 3), strict=True):
        assert overlap(mask, OBJECTS[rows]) > 0.8
        assert np.allclose(box, OBJECTS[rows], atol=4)
    assert (np.diff(found.scores) < 0).all()


def test_which_instances(predictor: SegmentationPredictor) -> None:
    image, every = picture((200, 240), *OBJECTS), list(CLASSES.en)
    assert predictor.predict_instances(image, things=every, classes=["公交车"]).names_en == ("bus",)
    assert len(predictor.predict_instances(image, things=every)) == 4
    assert len(predictor.predict_instances(image, things=every, max_instances=2)) == 2
    assert len(predictor.predict_instances(image, things=every, threshold=1.0)) == 0
    with pytest.raises(ValueError, match="'bus' is stuff, of which there are no instances"):
        predictor.predict_instances(image, things=THINGS, classes=["cat", "bus"])


def test_panoptic_segments(predictor: SegmentationPredictor) -> None:
    found = predictor.predict_panoptic(picture((200, 240), *OBJECTS), things=THINGS)
    assert isinstance(found, PanopticMap)
    assert found.names_en == ("bus", "cat", "dog", "cat")  # The largest first.
    assert found.is_thing.tolist() == [False, True, True, True]
    for number, row in enumerate((2, 0, 1, 3), start=1):
        assert overlap(found.ids == number, OBJECTS[row]) > 0.8
    assert found.ids[195, 5] == 0  # Grey is nothing.
    assert found.palette == predictor.palette
    assert found.draw().width >= 240


def test_stuff_of_one_class_is_one_segment(predictor: SegmentationPredictor) -> None:
    image = picture((200, 240), *OBJECTS)
    found = predictor.predict_panoptic(image, things=["dog"])
    assert sorted(found.names_en) == ["bus", "cat", "dog"]
    cats = found.names_en.index("cat") + 1
    assert found.ids[60, 60] == found.ids[150, 225] == cats


def test_unwanted_classes_have_no_segment(predictor: SegmentationPredictor) -> None:
    found = predictor.predict_panoptic(picture((200, 240), *OBJECTS), things=THINGS, classes=["猫"])
    assert found.names_en == ("cat", "cat")
    assert sorted(np.unique(found.ids)) == [0, 1, 2]
    assert found.ids[60, 60] == 1


def test_lists_batches_and_sources(predictor: SegmentationPredictor, tmp_path: Path) -> None:
    wide, tall = picture((100, 150), (5, 5, 60, 60)), picture((150, 100), (5, 5, 60, 60))
    wide.save(tmp_path / "a.png")
    for predict in (predictor.predict_instances, predictor.predict_panoptic):
        found: Any = predict([tmp_path / "a.png", tall, wide], things=THINGS)
        assert [one.size for one in found] == [(100, 150), (150, 100), (100, 150)]
        assert [one.source for one in found] == [str(tmp_path / "a.png"), None, None]
        assert found[0].to_record()["size"] == [100, 150]
        assert predict([], things=THINGS) == []
    assert all(shape[0] <= 2 for shape in predictor.model.batches)  # type: ignore[union-attr]


def test_an_empty_picture(predictor: SegmentationPredictor) -> None:
    grey = picture((50, 60))
    assert len(predictor.predict_instances(grey, things=THINGS)) == 0
    nothing = predictor.predict_panoptic(grey, things=THINGS)
    assert len(nothing) == 0
    assert not nothing.ids.any()


def test_a_slide_of_windows_is_for_semantic_segmentation() -> None:
    slide = dataclasses.replace(SEGMENTATION, mode="slide", crop=(32, 32), stride=(32, 32))
    model = ColorQueries()
    predictor = SegmentationPredictor(model, slide, CLASSES)  # type: ignore[arg-type]
    predictor.predict_panoptic(picture((96, 160)), things=THINGS)
    assert model.batches == [(1, 3, 96, 160)]


LARGE = ((60, 60, 140, 130), (300, 40, 380, 110), (310, 300, 390, 380), (30, 500, 880, 560))


def test_tiles_find_each_instance_once() -> None:
    predictor = SegmentationPredictor(ColorQueries(), SEGMENTATION, CLASSES, batch_size=4)  # type: ignore[arg-type]
    found = predictor.predict_instances(picture((700, 1000), *LARGE), things=list(CLASSES.en), tile=400)
    assert sorted(found.names_en) == ["bus", "cat", "cat", "dog"]
    for box in LARGE:
        assert min(np.abs(found.boxes - box).max(axis=1)) < 14


def test_a_real_network_gives_what_its_queries_say() -> None:
    model, image = mask2former(19), picture((100, 150), *OBJECTS[:2])
    predictor = SegmentationPredictor(model, SEGMENTATION, class_names("cityscapes"))
    inputs, things = SEGMENTATION(image)[None], frozenset(range(11, 19))
    with torch.inference_mode():
        queries = model.predict_queries(inputs)
    how: dict[str, Any] = {
        "things": things, "input_size": (96, 160), "original_sizes": [(100, 150)],
    }  # fmt: skip
    (expected,) = instances(*queries, **how)
    found = predictor.predict_instances(image, threshold=0.0)
    assert len(found) > 0
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.masks, expected.masks)
    assert set(found.labels.tolist()) <= things
    (segments,) = panoptic(*queries, **how, min_score=0.1, min_share=0.1)
    whole = predictor.predict_panoptic(image, threshold=0.1, min_share=0.1)
    assert len(whole) == len(segments.labels) > 0
    assert sorted(whole.labels.tolist()) == sorted(segments.labels.tolist())
    assert np.array_equal(whole.ids > 0, segments.ids.numpy() > 0)
    assert (np.diff(whole.areas) <= 0).all()


def test_a_model_without_queries_says_which_have_them() -> None:
    predictor = SegmentationPredictor(ColorSegmenter(), SEGMENTATION, CLASSES)  # type: ignore[arg-type]
    for predict in (predictor.predict_instances, predictor.predict_panoptic):
        with pytest.raises(ValueError, match=r"a ColorSegmenter names the class of each pixel.*Mask2Former"):
            predict(picture((40, 50)))


@pytest.mark.parametrize("list_name", ["pascal_context_59", "nyu40"])
def test_things_must_be_named_where_nobody_knows_them(list_name: str) -> None:
    names = class_names(list_name)
    predictor = SegmentationPredictor(mask2former(len(names)), SEGMENTATION, names)
    for predict in (predictor.predict_instances, predictor.predict_panoptic):
        with pytest.raises(ValueError, match=r"which of the \d+ classes .* are things.*things=\["):
            predict(picture((40, 50)))
        predict(picture((40, 50)), things=[names.zh[3]])


def test_nan_is_refused() -> None:
    class Damaged(ColorQueries):
        def predict_queries(self, images: torch.Tensor) -> QueryPredictions:
            classes, masks = super().predict_queries(images)
            return QueryPredictions(classes, masks * float("nan"))

    predictor = SegmentationPredictor(Damaged(), SEGMENTATION, CLASSES)  # type: ignore[arg-type]
    for predict in (predictor.predict_instances, predictor.predict_panoptic):
        with pytest.raises(ValueError, match="NaN"):
            predict(picture((40, 50)), things=THINGS)


@pytest.mark.parametrize(
    ("method", "arguments", "shown"),
    [
        ("predict_instances", {"threshold": 2}, "threshold=2 must be"),
        ("predict_instances", {"max_instances": 0}, "max_instances=0"),
        ("predict_instances", {"classes": ["dgo"]}, "did you mean 'dog'"),
        ("predict_instances", {"things": ["dgo"]}, "did you mean 'dog'"),
        ("predict_instances", {"things": []}, r"things=\[\] names no class"),
        ("predict_instances", {"tile": 3}, "tile=3"),
        ("predict_panoptic", {"threshold": -1}, "threshold=-1"),
        ("predict_panoptic", {"min_share": 1.5}, "min_share=1.5"),
        ("predict_panoptic", {"batch_size": 0}, "batch_size=0"),
    ],
)
def test_wrong_calls(
    predictor: SegmentationPredictor, method: str, arguments: dict[str, object], shown: str
) -> None:
    with pytest.raises(ValueError, match=shown):
        getattr(predictor, method)(picture((40, 50)), **{"things": THINGS, **arguments})


def test_one_text_is_no_list_of_things(predictor: SegmentationPredictor) -> None:
    with pytest.raises(TypeError, match=r"things='cat' must be a list of names: things=\['cat'\]"):
        predictor.predict_panoptic(Image.new("RGB", (40, 50)), things="cat")


def test_detections_are_what_other_code_expects(predictor: SegmentationPredictor) -> None:
    found = predictor.predict_instances(picture((200, 240), *OBJECTS), things=THINGS)
    assert isinstance(found, Detections)
    assert len(found.to_coco(3)) == 3
    assert ClassNames(en=found.names_en, zh=found.names_zh).name(1, "zh") == "狗"
