"""Overlaps of classes against plain loops over pixels and torchmetrics."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.data.resizing import SegmentationPreprocessing
from intern25.evaluation.semantic import ConfusionMatrix, SemanticReport, evaluate_segmentation
from intern25.segmentation.segmenter import Segmenter

CLASSES = ("sky", "road", "tree", "pole", "tram")
BLACK_WHITE = ClassNames(("black", "white"), ("黑", "白"))


def made(seed: int, size: tuple[int, int] = (12, 17)) -> tuple[Tensor, Tensor]:
    """Labels with ignored pixels, and a prediction that is right in three of five; no tram in either."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 4, size)
    predicted = np.where(generator.random(size) < 0.6, truth, generator.integers(0, 4, size))
    truth[generator.random(size) < 0.2] = 255
    return torch.from_numpy(truth.astype(np.uint8)), torch.from_numpy(predicted.astype(np.uint8))


def report_of(pairs: list[tuple[Tensor, Tensor]], num_classes: int = 5) -> SemanticReport:
    matrix = ConfusionMatrix(num_classes)
    for truth, predicted in pairs:
        matrix.add(truth, predicted)
    return matrix.report(CLASSES[:num_classes], len(pairs), 2.0)


def test_overlaps_by_hand() -> None:
    pairs = [made(seed) for seed in range(4)]
    report = report_of(pairs)
    right = labelled = 0
    both, either, own = [0] * 5, [0] * 5, [0] * 5
    for truth, predicted in pairs:
        for t, p in zip(truth.flatten().tolist(), predicted.flatten().tolist(), strict=True):
            if t == 255:
                continue
            labelled, right = labelled + 1, right + (t == p)
            for c in range(5):
                both[c] += t == c and p == c
                either[c] += c in (t, p)
                own[c] += t == c
    assert report.pixel_accuracy == pytest.approx(right / labelled)
    for c in range(4):
        assert report.classes[c].iou == pytest.approx(both[c] / either[c])
        assert report.classes[c].accuracy == pytest.approx(both[c] / own[c])
        assert report.classes[c].pixels == own[c]
    assert report.classes[4].iou is None  # neither labelled nor predicted: it does not count
    assert report.mean_iou == pytest.approx(
        np.mean([b / e for b, e in zip(both[:4], either[:4], strict=True)])
    )
    assert report.images_per_second == 2.0
    values = json.loads(report.to_json())
    assert values["classes"][4] == {"name": "tram", "pixels": 0, "iou": None, "accuracy": None}


def test_overlaps_are_those_of_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.classification")
    pairs = [made(seed) for seed in range(6)]
    report = report_of(pairs, 4)
    jaccard = classification.MulticlassJaccardIndex(4, ignore_index=255, average=None)
    accuracy = classification.MulticlassAccuracy(4, ignore_index=255, average="macro")
    for truth, predicted in pairs:
        jaccard.update(predicted[None].long(), truth[None].long())
        accuracy.update(predicted[None].long(), truth[None].long())
    assert [row.iou for row in report.classes] == pytest.approx(jaccard.compute().tolist(), abs=1e-6)
    assert report.mean_accuracy == pytest.approx(accuracy.compute().item(), abs=1e-6)


def test_other_predicted_classes_are_wrong() -> None:
    truth, predicted = torch.zeros(2, 3, dtype=torch.uint8), torch.tensor([[0, 0, 9], [0, 200, 0]])
    report = report_of([(truth, predicted.to(torch.uint8))], 2)
    assert report.classes[0].iou == pytest.approx(4 / 6)
    assert report.classes[1].iou is None


def test_mistakes_are_told() -> None:
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="differ in size"):
        matrix.add(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="has the value 7, but there are 3 classes"):
        matrix.add(torch.full((2, 2), 7), torch.zeros(2, 2))
    matrix.add(torch.full((2, 2), 255), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="no pixel is labelled"):
        matrix.report(CLASSES[:3], 1, 1.0)


@dataclass
class Made:
    """Pictures of different sizes whose colour is their class."""

    sizes: tuple[tuple[int, int], ...] = ((64, 96), (50, 70))
    classes: ClassNames = BLACK_WHITE

    def __len__(self) -> int:
        return len(self.sizes)

    def name(self, index: int) -> str:
        return f"{index}.png"

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index]

    def mask(self, index: int) -> NDArray[np.uint8]:
        mask = np.zeros(self.sizes[index], dtype=np.uint8)
        mask[:, : self.sizes[index][1] // 2] = 1
        mask[:3] = 255
        return mask

    def image(self, index: int) -> Image.Image:
        grey = np.where(self.mask(index) == 0, 0, 255).astype(np.uint8)
        return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))


class Brightness(Segmenter):
    """Says white where a picture is bright."""

    def __init__(self, classes: int = 2) -> None:
        nn.Module.__init__(self)
        self.outputs = classes

    @property
    def num_classes(self) -> int:
        return self.outputs

    def scores(self, images: Tensor) -> Tensor:
        bright = images.mean(dim=1, keepdim=True)
        return torch.cat((-bright, bright, *[bright * 0 - 9] * (self.outputs - 2)), dim=1)


@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_each_picture_is_scored_in_its_own_size(mode: str) -> None:
    window = {"mode": "slide", "crop": (64, 64), "stride": (32, 32)} if mode == "slide" else {}
    preprocessing = SegmentationPreprocessing(long_side=192, short_side=96, **window)  # type: ignore[arg-type]
    model = Brightness().train()
    report = evaluate_segmentation(model, Made(), preprocessing, flip=True, scales=(0.5, 1.0))
    assert model.training
    labelled = sum(int((Made().mask(i) != 255).sum()) for i in range(2))
    assert sum(row.pixels for row in report.classes) == labelled
    assert report.images == 2
    # Only pixels at the edge between the halves can go wrong.
    assert report.mean_iou > 0.95


def test_models_of_other_classes_are_refused() -> None:
    preprocessing = SegmentationPreprocessing(long_side=64, short_side=32)
    with pytest.raises(ValueError, match="the model has 150 classes but the data have 2"):
        evaluate_segmentation(Brightness(150), Made(), preprocessing)
    with pytest.raises(ValueError, match="no pictures"):
        evaluate_segmentation(Brightness(), Made(sizes=()), preprocessing)
    report = evaluate_segmentation(Brightness(150), Made(), preprocessing, more_classes=True)
    assert cast(float, report.classes[1].iou) > 0.9
    assert len(report.classes) == 2
