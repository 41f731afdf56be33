"""Accuracy counted by hand, whatever the batch size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from intern25.data.images import read_image
from intern25.data.labelled import LabelledImages
from intern25.data.preprocessing import Preprocessing
from intern25.data.stores import MemoryStore
from intern25.evaluation.classification import evaluate, evaluate_dataset
from tests.data.test_sources import FILES, jpeg, write_folder

LABELS = (0, 0, 0, 0, 1, 1, 6)  # unbalanced; classes 2 to 5 have no image
BEST = (0, 0, 0, 1, 1, 2, 5)
STORE = {str(number): jpeg(number) for number in range(7)}
IMAGES = LabelledImages(tuple(STORE), LABELS, tuple("abcdefg"), MemoryStore(STORE))


class Told(nn.Module):
    """Answers ``BEST`` in order; the right class comes second, but last where ``worst`` names the image."""

    def __init__(self, worst: int) -> None:
        super().__init__()
        self.worst = worst
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), 7)
        for row in logits:
            row[LABELS[self.seen]] = -5.0 if self.seen == self.worst else 1.0
            row[BEST[self.seen]] += 9.0
            self.seen += 1
        return logits


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
def test_accuracy_by_hand(batch_size: int) -> None:
    model = Told(worst=6).train()
    report = evaluate(model, IMAGES, Preprocessing(32), batch_size=batch_size, confusion=True)
    assert model.training
    assert report.images == 7
    assert report.top1 == pytest.approx(4 / 7)
    assert report.top5 == pytest.approx(6 / 7)
    assert report.mean_class_top1 == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert [row.images for row in report.classes] == [4, 2, 0, 0, 0, 0, 1]
    assert [row.top1 for row in report.classes[:2]] == [0.75, 0.5]
    assert report.confusion is not None
    assert report.confusion[0] == (3, 1, 0, 0, 0, 0, 0)
    assert report.confusion[6] == (0, 0, 0, 0, 0, 1, 0)
    values = json.loads(report.to_json())
    assert values["top1"] == report.top1
    assert values["classes"][1] == {"name": "b", "images": 2, "top1": 0.5, "top5": 1.0}
    assert values["confusion"][0][1] == 1


def test_flip_averages_both_images() -> None:
    class LeftBrightness(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            left = images[..., :16].mean(dim=(1, 2, 3))
            return torch.stack((left, -left, *[left * 0] * 5), dim=1)

    plain, flipped = (
        evaluate(LeftBrightness(), IMAGES, Preprocessing(32), flip=flip) for flip in (False, True)
    )
    assert plain.loss != flipped.loss
    tensors = torch.stack([Preprocessing(32)(read_image(data)) for data in STORE.values()])
    probabilities = (LeftBrightness()(tensors).softmax(1) + LeftBrightness()(tensors.flip(-1)).softmax(1)) / 2
    expected = -probabilities.log()[torch.arange(7), torch.tensor(LABELS)].mean()
    assert flipped.loss == pytest.approx(expected.item(), rel=1e-5)


def test_columns_stand_for_other_classes() -> None:
    class Wide(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.eye(30)[torch.tensor([20])].expand(len(images), 30)

    columns = [3, 20, 5, 6, 7, 8, 9]
    report = evaluate(Wide(), IMAGES, Preprocessing(32), classes=columns)
    assert report.top1 == pytest.approx(2 / 7)
    with pytest.raises(ValueError, match="the model has 30 classes but the data have 7"):
        evaluate(Wide(), IMAGES, Preprocessing(32))


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no images to score"):
        evaluate(Told(0), IMAGES.select([]), Preprocessing(32))


def test_data_set_with_bad_images(tmp_path: Path) -> None:
    files = dict(FILES)
    bad = next(name for name in files if name.startswith("val"))
    files[bad] = files[bad][:100]
    root = write_folder(tmp_path, files)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    with pytest.raises(ValueError, match="1 of 2 images cannot be read"):
        evaluate_dataset(model, root, Preprocessing(16))
    report = evaluate_dataset(model, root, Preprocessing(16), skip_bad=True)
    assert report.images == 1
    assert [image.name for image in report.bad_images] == [bad]
    assert evaluate_dataset(model, root, Preprocessing(16), split="train").images == 6
    with pytest.raises(ValueError, match="must be 'val' or 'train'"):
        evaluate_dataset(model, root, Preprocessing(16), split="test")
