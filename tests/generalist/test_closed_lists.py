# SPDX-License-Identifier: MIT
"""Lists of names against the formulas written out, and boxes that go back to the pictures as they were."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from intern25.generalist.closed_lists import OBJECTNESS_SHARE, ListClassifier, ListDetector, ListSegmenter
from intern25.generalist.features import ImageFeatures
from intern25.generalist.model import Generalist
from intern25.generalist.proposals import LayerPredictions, Proposals
from intern25.generalist.routing import DENSE, DETECTION, MATCHING
from intern25.generalist.tokenizer import Tokenizer
from intern25.layers.convolution import resize
from intern25.predictors.referring import PhraseDetector
from tests.small_generalist import small_generalist

WORDS = ("cat", "一只狗", "red bus", "a")
NAMES = Tokenizer.packaged().encode(WORDS, max_length=8)


def pictures(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 64, 96)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@torch.no_grad()
def test_a_classifier_gives_scaled_cosines() -> None:
    model, images = small_generalist(), pictures()
    x = model.embed_images(model.encode_image(images), MATCHING)
    y = model.embed_texts(NAMES, MATCHING)
    scale = float(model.readout.logit_scale["classification"].exp())
    expected = torch.tensor([[scale * cosine(a, b) for b in y] for a in x])
    classifier = ListClassifier(model, NAMES).eval()
    torch.testing.assert_close(classifier(images), expected, rtol=1e-4, atol=1e-4)
    assert classifier.num_classes == 4


@torch.no_grad()
def test_a_segmenter_gives_scaled_cosines_of_every_pixel() -> None:
    model, images = small_generalist(), pictures(1)
    pixels, y = model.encode_pixels(images)[0], model.embed_texts(NAMES, DENSE)
    scale = float(model.readout.logit_scale["dense"].exp())
    expected = torch.tensor(
        [[[scale * cosine(pixels[:, i, j], name) for j in range(24)] for i in range(16)] for name in y]
    )
    segmenter = ListSegmenter(model, NAMES).eval()
    torch.testing.assert_close(segmenter.scores(images)[0], expected, rtol=1e-4, atol=1e-4)
    whole = segmenter(images)
    assert whole.shape == (1, 4, 64, 96)
    torch.testing.assert_close(whole, resize(expected[None], (64, 96)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_detector_scores_every_proposal_with_every_name() -> None:
    model, images = small_generalist(), pictures()
    features = model.encode_image(images, regions=None)
    proposals = features.proposals
    assert proposals is not None
    x, y = model.embed_regions(features, DETECTION), model.embed_texts(NAMES, DETECTION)
    scale, bias = (float(p["region"]) for p in (model.readout.logit_scale, model.readout.bias))
    found = ListDetector(model, NAMES, with_masks=False).eval()(images)
    for row, picture in enumerate(found):
        expected = []
        for query in range(x.shape[1]):
            objectness = 1 / (1 + np.exp(-float(proposals.objectness[row, query])))
            for name, embedding in enumerate(y):
                logit = np.exp(scale) * cosine(x[row, query], embedding) + bias
                score = objectness**OBJECTNESS_SHARE * (1 / (1 + np.exp(-logit))) ** (1 - OBJECTNESS_SHARE)
                expected.append((score, name, query))
        expected.sort(reverse=True)
        assert len(picture) == min(100, x.shape[1] * 4)
        np.testing.assert_allclose(picture.scores, [score for score, _, _ in expected], rtol=1e-3)
        assert picture.labels.tolist()[:5] == [name for _, name, _ in expected[:5]]
        best = proposals.boxes[row, expected[0][2]].tolist()
        centre = (picture.boxes[0, :2] + picture.boxes[0, 2:]) / 2
        if all(b - s / 2 > 0 and b + s / 2 < 1 for b, s in zip(best[:2], best[2:], strict=True)):
            np.testing.assert_allclose(centre, np.array(best[:2]) * (96, 64), rtol=1e-3)


@torch.no_grad()
def test_a_batch_gives_what_single_pictures_give() -> None:
    model, images = small_generalist(), pictures(3)
    detector = ListDetector(model, NAMES, max_detections=7).eval()
    together = detector(images)
    for row, image in enumerate(images):
        (alone,) = detector(image[None])
        np.testing.assert_allclose(alone.scores, together[row].scores, rtol=1e-3)
        np.testing.assert_allclose(alone.boxes, together[row].boxes, rtol=1e-3, atol=1e-2)
        assert alone.labels.tolist() == together[row].labels.tolist()
        assert alone.masks is not None
        assert together[row].masks is not None
        assert (alone.masks != together[row].masks).mean() < 1e-3


class OneProposal:
    """A generalist that proposes what it is told to."""

    def __init__(self, model: Generalist, boxes: Sequence[Sequence[float]], masks: Tensor) -> None:
        self.model = model
        self.boxes = torch.tensor(boxes)
        self.masks = masks

    def encode_image(self, images: Tensor, *, regions: int | None) -> ImageFeatures:
        features = Generalist.encode_image(self.model, images, regions=regions)
        assert features.proposals is not None
        assert features.regions is not None
        count = len(self.boxes)
        # The mask features are the masks themselves, one a channel.
        proposals = replace(
            features.proposals,
            layers=LayerPredictions(
                objectness=torch.arange(count, 0, -1.0).expand(1, len(images), -1),
                boxes=self.boxes.expand(1, len(images), -1, -1),
                mask_embeddings=torch.eye(count).expand(1, len(images), -1, -1),
            ),
            mask_features=self.masks.expand(len(images), -1, -1, -1),
        )
        return replace(features, regions=features.regions[:, :count], proposals=proposals)


def told(monkeypatch: pytest.MonkeyPatch, boxes: Sequence[Sequence[float]], masks: Tensor) -> Generalist:
    model = small_generalist()
    monkeypatch.setattr(model, "encode_image", OneProposal(model, boxes, masks).encode_image)
    return model


@torch.no_grad()
def test_boxes_and_masks_go_back_to_the_picture_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pictures of 40 x 80 inside a batch of 64 x 96, once 80 x 240 and once as they are.
    boxes = [[0.25, 0.25, 0.25, 0.25], [0.75, 0.5, 0.5, 1.0]]
    masks = torch.full((2, 16, 24), -8.0)
    masks[0, 2:6, 3:9] = 8.0  # pixels (12..36, 8..24) of the input, as the box says
    masks[1, :, 12:] = 8.0
    detector = ListDetector(told(monkeypatch, boxes, masks), NAMES).eval()
    first, second = detector(pictures(), [(40, 80), (40, 80)], [(80, 240), (40, 80)])
    by_query = [first.boxes[first.labels == 0], second.boxes[second.labels == 0]]
    np.testing.assert_allclose(by_query[1][np.argsort(by_query[1][:, 0])], [[12, 8, 36, 24], [48, 0, 80, 40]])
    np.testing.assert_allclose(
        by_query[0][np.argsort(by_query[0][:, 0])], [[36, 16, 108, 48], [144, 0, 240, 80]]
    )
    for found, size in ((first, (80, 240)), (second, (40, 80))):
        assert found.size == size
        assert found.masks is not None
        assert found.masks.shape == (8, *size)
        for box, mask in zip(found.boxes, found.masks, strict=True):
            rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
            tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            # Masks have a fourth of the resolution.
            np.testing.assert_allclose(tight, box, atol=4 * size[1] / 80)


@torch.no_grad()
def test_sizes_that_are_not_given_are_those_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = told(monkeypatch, [[0.5, 0.5, 3.0, 0.5]], torch.full((1, 16, 24), 8.0))
    (found,) = ListDetector(model, NAMES, max_detections=1).eval()(pictures(1))
    np.testing.assert_allclose(found.boxes, [[0, 16, 96, 48]])  # clipped at the border
    assert found.size == (64, 96)
    assert found.masks is not None
    # A mask that is everywhere ends with its box.
    assert bool(found.masks[0, 16:48].all())
    assert not found.masks[0, :16].any()
    assert not found.masks[0, 48:].any()
    (inner,) = ListDetector(model, NAMES, with_masks=False).eval()(pictures(1), [(40, 80)])
    assert inner.size == (40, 80)
    assert inner.masks is None


@torch.no_grad()
def test_only_the_scores_say_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Detectors of lists and of phrases differ in their scores alone."""
    model = told(monkeypatch, [[0.25, 0.25, 0.25, 0.25], [0.75, 0.5, 0.5, 1.0]], torch.full((2, 16, 24), 8.0))

    class Knowing(ListDetector):
        def scores(self, features: ImageFeatures, proposals: Proposals) -> Tensor:
            return torch.tensor([[0.1, 0.9], [0.7, 0.2]]).expand(len(proposals.boxes), -1, -1)

    (found,) = Knowing(model, NAMES, max_detections=3, with_masks=False).eval()(pictures(1))
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.2], rtol=1e-6)
    assert found.labels.tolist() == [1, 0, 1]
    np.testing.assert_allclose(found.boxes, [[12, 8, 36, 24], [48, 0, 96, 64], [48, 0, 96, 64]])
    phrases = PhraseDetector(model, Tokenizer.packaged().encode(["a dog"], max_length=8), with_masks=False)
    (meant,) = phrases.eval()(pictures(1))
    assert len(meant) == 2
    assert meant.scores.sum() == pytest.approx(1)


def count_texts(model: Generalist, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def embed(*arguments: Any) -> Tensor:
        calls.append(1)
        return Generalist.embed_texts(model, *arguments)

    monkeypatch.setattr(model, "embed_texts", embed)
    return calls


def test_names_are_embedded_once_until_the_model_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = small_generalist(), pictures(1)
    calls = count_texts(model, monkeypatch)
    classifier = ListClassifier(model, NAMES).eval()
    with torch.no_grad():
        before = [classifier(images) for _ in range(3)]
    assert len(calls) == 1
    assert torch.equal(before[0], before[2])
    classifier(images).sum().backward()  # with gradients, names get theirs
    assert len(calls) == 2
    assert model.text_core.embedding.weight.grad is not None
    classifier.train()
    with torch.no_grad():
        model.special.neg_()
    classifier.eval()
    with torch.no_grad():
        after = classifier(images)
    assert len(calls) == 3
    assert not torch.allclose(after, before[0], atol=1e-3)


def test_kept_names_do_not_stay_behind_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = ListClassifier(small_generalist(), NAMES).eval()
    with torch.no_grad():
        classifier(pictures(1))
        moved = copy.deepcopy(classifier).to("meta")
        monkeypatch.setattr(moved.model, "embed_texts", lambda *_: torch.empty(4, 32, device="meta"))
        assert moved.embedded_names().device.type == "meta"
