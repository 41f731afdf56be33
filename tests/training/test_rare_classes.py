"""Data with rare classes: LVIS files train with the options of their recipe, and stop and go on."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from intern25.data.detection.sources import read_detection
from intern25.detection import dino
from intern25.detection.dino import DINO
from intern25.detection.dino_config import DINO_NANO
from intern25.training.checkpoint import load_checkpoint_state
from intern25.training.detection import sampling_of, tell_class_frequencies, train_detector
from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.detection_recipes import recipe_official_detection
from intern25.weights.files import read_metadata
from tests.small_detector import save_dino
from tests.training.coloured import ColourDetector
from tests.training.shapes import write_detection
from tests.training.test_resume import log_of

pytest.importorskip("faster_coco_eval")


@pytest.fixture(scope="module")
def lvis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in LVIS's form; a rare class is in the first one, another class in none."""
    folder = tmp_path_factory.mktemp("lvis")
    source, path = write_detection(folder / "coco.zip", train=12, val=3), folder / "lvis.zip"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".json"):
                data = json.dumps(as_lvis(json.loads(data))).encode()
                name = name.replace("instances_", "lvis_v1_")
            new.writestr(name, data)
    return path


def as_lvis(document: dict[str, Any]) -> dict[str, Any]:
    document["annotations"][0]["category_id"] = 4
    document["categories"] += [{"id": 4, "name": "crown"}, {"id": 5, "name": "unseen"}]
    for category, frequency in zip(document["categories"], "ffcrr", strict=True):
        category["frequency"] = frequency
    for image in document["images"]:
        image |= {"neg_category_ids": [5], "not_exhaustive_category_ids": []}
    return document


@pytest.fixture
def config(lvis: Path, tmp_path: Path) -> DetectionTrainConfig:
    """The recipe of LVIS, for small pictures and a small detector."""
    return replace(
        recipe_official_detection(data="lvis"),
        data=str(lvis),
        output=str(tmp_path / "run"),
        model="dino_internimage_nano",
        pretrained="",
        updates=2,
        accumulation=1,
        short_side=96,
        train_short_side=96,
        long_side=128,
        federated_classes=3,
        repeat_threshold=0.5,
        cache="decoded",
        workers=0,
        log_every=1,
        tensorboard=False,
        device="cpu",
    )


def pictures_of(lvis: Path) -> list[int]:
    """In how many pictures each class is, counted from the file."""
    with zipfile.ZipFile(lvis) as archive:
        rows = json.loads(archive.read("shapes/lvis_v1_train.json"))["annotations"]
    return [len({row["image_id"] for row in rows if row["category_id"] == label}) for label in range(1, 6)]


def test_lvis_trains_with_the_options_of_its_recipe(
    config: DetectionTrainConfig, lvis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = dino.federated_class_mask, []

    def watched(*arguments: Any) -> Tensor:
        mask = original(*arguments)
        seen.append((arguments[3], int(mask.sum())))
        return mask

    monkeypatch.setattr(dino, "federated_class_mask", watched)
    result = train_detector(replace(config, pretrained=str(save_dino(tmp_path / "start.safetensors"))))
    assert (result.finished, result.updates) == (True, 2)
    assert len(seen) == 2
    assert all(frequencies.tolist() == pictures_of(lvis) for frequencies, _ in seen)
    assert all(number >= 3 for _, number in seen)
    rows = log_of(result.output)
    assert all(row["loss"] > 0 and row["loss_class"] > 0 for row in rows)
    assert {"score", "box_ap", "box_ap75"} <= result.metrics.keys()
    header = read_metadata(result.output / "final.safetensors")
    assert header.config.federated_classes == 3  # type: ignore[union-attr]
    assert header.classes is not None
    assert header.classes.en[3:] == ("crown", "unseen")


def test_the_picture_of_the_rare_class_is_repeated(config: DetectionTrainConfig) -> None:
    images = read_detection(config.data, "lvis").with_objects()
    sampling = sampling_of(config, images)
    assert sampling is not None
    # Class 3 is in one of twelve pictures: sqrt(0.5 / (1 / 12)), rounded up, is 3.
    drawn = sampling.draw(np.random.default_rng(0))
    assert (drawn == 0).sum() == 3
    assert sampling_of(replace(config, sampling="plain"), images) is None
    by_class = sampling_of(replace(config, sampling="class_aware"), images)
    assert by_class is not None
    assert len(by_class) == 12


def test_a_model_of_ones_own_learns_the_frequencies(config: DetectionTrainConfig, lvis: Path) -> None:
    images = read_detection(config.data, "lvis")
    model = DINO(replace(DINO_NANO, num_classes=5, federated_classes=2))
    tell_class_frequencies(model, images)
    assert model.class_frequencies is not None
    assert model.class_frequencies.tolist() == pictures_of(lvis)
    assert "class_frequencies" not in model.state_dict()
    plain = DINO(replace(DINO_NANO, num_classes=5))
    tell_class_frequencies(plain, images)
    assert plain.class_frequencies is None


def test_a_detector_without_the_loss_is_refused(config: DetectionTrainConfig) -> None:
    message = "federated_classes=3 but mask_rcnn_internimage_nano has no federated loss"
    with pytest.raises(ValueError, match=message):
        train_detector(replace(config, model="mask_rcnn_internimage_nano"))
    assert not Path(config.output).exists()


def of_colours(config: DetectionTrainConfig, folder: Path) -> DetectionTrainConfig:
    """The same for the colour detector, which knows three classes, each of them rare."""
    data = write_detection(folder / "colours.zip", train=8, val=2)
    return replace(
        config, data=str(data), format="coco", metric="coco", federated_classes=0, repeat_threshold=1.0
    )


@pytest.mark.parametrize("sampling", ["repeat_factor", "class_aware"])
def test_a_stopped_run_ends_as_the_untouched_one(
    config: DetectionTrainConfig, tmp_path: Path, sampling: Any
) -> None:
    config = replace(of_colours(config, tmp_path), sampling=sampling, updates=9, eval_every=9)
    curves = []
    for output, limit in (("whole", 0.0), ("parts", 1e-3)):
        run = replace(config, output=str(tmp_path / output))
        for _ in range(4 if limit else 0):  # an update each, all in the first epoch
            torch.manual_seed(0)
            assert not train_detector(replace(run, max_seconds=limit), model=ColourDetector()).finished
        torch.manual_seed(0)
        assert train_detector(run, model=ColourDetector()).finished
        curves.append([row["loss"] for row in log_of(run.output)])
    assert len(curves[0]) == 9
    assert curves[0] == curves[1]


def test_runs_from_before_there_was_a_choice_go_on(config: DetectionTrainConfig, tmp_path: Path) -> None:
    config = replace(of_colours(config, tmp_path), sampling="plain")
    train_detector(config, model=ColourDetector())
    saved = load_checkpoint_state(Path(config.output))
    assert saved is not None
    assert list(json.loads(saved["fingerprint"])) == [
        *("model", "epochs", "seed", "freeze", "optimizer", "ema", "classes", "images", "images_per_update"),
        *("updates", "sides", "masks", "schedule"),
    ]
    other = replace(config, sampling="class_aware")
    with pytest.raises(ValueError, match="belongs to a run with other settings"):
        train_detector(other, model=ColourDetector())
