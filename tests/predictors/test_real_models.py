# SPDX-License-Identifier: MIT
"""The package's own detectors and segmenters behind the predictors, from a file, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import intern25
from intern25.data.class_names import class_names
from intern25.predictors import DetectionPredictor, SegmentationPredictor, load_as
from intern25.segmentation.config import UPERNET_NANO
from intern25.segmentation.upernet import UperNet
from tests.color_models import picture
from tests.small_detector import DETECTION, SEGMENTATION, mask_rcnn, save_dino, save_mask_rcnn, save_upernet

IMAGE = picture((120, 160), (20, 20, 80, 90), (90, 30, 150, 110))


@pytest.fixture(scope="module")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_mask_rcnn(tmp_path_factory.mktemp("weights") / "detector.safetensors")


def test_mask_rcnn_from_a_file(detector_file: Path) -> None:
    predictor = intern25.load(detector_file, device="cpu", optimize=False)
    assert isinstance(predictor, DetectionPredictor)
    found = predictor.predict(IMAGE, threshold=0.05)
    assert len(found) > 0
    assert found.masks is not None
    assert found.masks.shape == (len(found), 120, 160)
    assert found.draw(language="both").width >= 480
    with torch.no_grad():
        inputs = DETECTION([IMAGE])
        (raw,) = mask_rcnn()(inputs.images, list(inputs.image_sizes), list(inputs.original_sizes))
    assert np.array_equal(raw.boxes[: len(found)], found.boxes)
    names = class_names("coco")
    assert found.names_zh == tuple(names.zh[label] for label in raw.labels[: len(found)])


def test_the_optimised_detector_finds_the_same(detector_file: Path) -> None:
    plain, fast = (
        load_as(DetectionPredictor, detector_file, device="cpu", optimize=optimize).predict(IMAGE)
        for optimize in (False, True)
    )
    assert len(plain) == len(fast)
    # The optimised backbone rounds differently; regression from random features amplifies it.
    assert np.allclose(plain.boxes, fast.boxes, atol=0.5)


@pytest.mark.parametrize("optimize", [True, False])
def test_nan_weights_are_refused(tmp_path: Path, optimize: bool) -> None:
    path = save_mask_rcnn(tmp_path / "nan.safetensors", damaged=True)
    predictor = load_as(DetectionPredictor, path, device="cpu", optimize=optimize)
    with pytest.raises(ValueError, match="NaN"):
        predictor.predict(IMAGE)


def test_dino_from_a_file(tmp_path: Path) -> None:
    predictor = load_as(DetectionPredictor, save_dino(tmp_path / "dino.safetensors"), device="cpu")
    found = predictor.predict([IMAGE, IMAGE], threshold=0.0, max_detections=7)
    assert [len(one) for one in found] == [7, 7]
    assert found[0].masks is None
    assert (found[0].boxes >= 0).all()
    assert (found[0].boxes <= [160, 120, 160, 120]).all()


def test_upernet_from_a_file(tmp_path: Path) -> None:
    path = save_upernet(tmp_path / "segmenter.safetensors")
    predictor = intern25.load(path, device="cpu", optimize=False)
    assert isinstance(predictor, SegmentationPredictor)
    found = predictor.predict(IMAGE)
    torch.manual_seed(0)
    with torch.no_grad():
        logits = UperNet(UPERNET_NANO).eval()(SEGMENTATION(IMAGE)[None])
    expected = torch.nn.functional.interpolate(logits, size=(120, 160), mode="bilinear").softmax(1)[0]
    agree = torch.from_numpy(found.labels) == expected.argmax(0)
    assert agree.float().mean() > 0.999  # ties
    assert found.scores is not None
    assert np.allclose(found.scores, expected.amax(0), atol=1e-5)
    assert found.palette[0] == (120, 120, 120)  # ADE20K's own wall
    assert found.draw().width >= 480


def test_a_model_of_another_task_is_refused(detector_file: Path) -> None:
    with pytest.raises(ValueError, match=r"is a detector, not a segmenter; use intern25 detect"):
        load_as(SegmentationPredictor, detector_file)
