# SPDX-License-Identifier: MIT
"""Regions of pictures against scalar loops, in batches, and from a model that computes NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.generalist.routing import DETECTION
from intern25.predictors import GeneralistPredictor, load, picture_regions
from intern25.predictors.inputs import DAMAGED
from intern25.predictors.picture_regions import PictureRegions
from tests.used_generalist import SETTINGS, pictures, save_used_generalist, used_generalist

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def predictor() -> GeneralistPredictor:
    return used_generalist()


@pytest.fixture
def thresholds(predictor: GeneralistPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are sure of nothing: thresholds by which each rule drops some of their proposals."""
    monkeypatch.setattr(picture_regions, "SMALLEST_OBJECTNESS", 0.0)
    monkeypatch.setattr(picture_regions, "MOST_REGIONS", 99)
    likely = np.concatenate([found.scores for found in predictor.embed_regions(pictures())])
    monkeypatch.setattr(picture_regions, "SMALLEST_OBJECTNESS", float(np.quantile(likely, 0.6)))
    monkeypatch.setattr(picture_regions, "MOST_REGIONS", 3)
    monkeypatch.setattr(picture_regions, "LARGEST_OVERLAP", 0.5)


def overlap(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


@torch.no_grad()
def expected(
    predictor: GeneralistPredictor, picture: Image.Image
) -> tuple[list[Box], list[int], list[float]]:
    """Boxes in pixels of the picture, numbers of their proposals, and objectness; one box after the other."""
    model = predictor.model
    inputs = SETTINGS.detection([picture])
    height, width = inputs.images.shape[-2:]
    (inner,) = inputs.image_sizes
    proposals = model.encode_image(inputs.images, regions=None).proposals
    assert proposals is not None
    found: list[tuple[float, int, Box]] = []
    for number, (x, y, w, h) in enumerate(proposals.boxes[0].double().tolist()):
        left, right = (min(max(side * width, 0.0), inner[1]) for side in (x - w / 2, x + w / 2))
        top, bottom = (min(max(side * height, 0.0), inner[0]) for side in (y - h / 2, y + h / 2))
        objectness = 1.0 / (1.0 + np.exp(-float(proposals.objectness[0, number])))
        if objectness >= picture_regions.SMALLEST_OBJECTNESS and right - left >= 1 and bottom - top >= 1:
            found.append((objectness, number, (left, top, right, bottom)))
    kept: list[tuple[float, int, Box]] = []
    for one in sorted(found, reverse=True):
        if all(overlap(one[2], other[2]) <= picture_regions.LARGEST_OVERLAP for other in kept):
            kept.append(one)
    kept = kept[: picture_regions.MOST_REGIONS]
    across, down = picture.width / inner[1], picture.height / inner[0]
    boxes = [(box[0] * across, box[1] * down, box[2] * across, box[3] * down) for _, _, box in kept]
    return boxes, [number for _, number, _ in kept], [objectness for objectness, _, _ in kept]


@pytest.mark.usefixtures("thresholds")
def test_the_best_that_differ_in_pixels_of_the_picture(
    predictor: GeneralistPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for picture, found in zip(pictures(), predictor.embed_regions(pictures()), strict=True):
        boxes, numbers, scores = expected(predictor, picture)
        np.testing.assert_allclose(found.boxes, np.reshape(boxes, (-1, 4)), atol=1e-3)
        np.testing.assert_allclose(found.scores, scores, rtol=1e-4)
        with torch.no_grad():
            features = predictor.model.encode_image(SETTINGS.detection([picture]).images, regions=None)
            wanted = predictor.model.embed_regions(features, DETECTION)[0, numbers].numpy()
        np.testing.assert_allclose(found.embeddings, wanted, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1.0, atol=1e-5)
        counts.append(len(boxes))
    assert max(counts) == 3, "the number is limited"
    assert min(counts) < 3, "objectness leaves fewer"
    strict = [expected(predictor, picture)[1] for picture in pictures()]
    monkeypatch.setattr(picture_regions, "LARGEST_OVERLAP", 1.0)
    assert strict != [expected(predictor, picture)[1] for picture in pictures()], "overlap matters"


@pytest.mark.usefixtures("thresholds")
def test_neighbours_do_not_matter(predictor: GeneralistPredictor) -> None:
    together = predictor.embed_regions(pictures())
    for picture, found in zip(pictures(), together, strict=True):
        (alone,) = predictor.embed_regions(picture)
        for part, other in zip(found, alone, strict=True):
            np.testing.assert_allclose(part, other, atol=1e-3)


def test_a_picture_without_objects_has_no_regions(
    predictor: GeneralistPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_regions, "SMALLEST_OBJECTNESS", 1.0)
    (found,) = predictor.embed_regions(pictures()[0])
    assert isinstance(found, PictureRegions)
    assert found.boxes.shape == (0, 4)
    assert found.embeddings.shape == (0, predictor.model.config.width)
    assert found.scores.shape == (0,)
    assert predictor.embed_regions([]) == []


def test_weights_with_nan_are_told(tmp_path: Path) -> None:
    damaged = load(save_used_generalist(tmp_path / "nan.safetensors", damaged=True), device="cpu")
    assert isinstance(damaged, GeneralistPredictor)
    with pytest.raises(ValueError, match=DAMAGED[:40]):
        damaged.embed_regions(pictures()[:1])
