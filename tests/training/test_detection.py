"""Detectors learn, stop and go on, share pictures between processes, and refuse what cannot work."""

from __future__ import annotations

import json
import signal
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from intern25.detection.dino import DINO
from intern25.detection.mask_rcnn import MaskRCNN
from intern25.evaluation.detection import evaluate_detection
from intern25.training.detection import prepare_detection_data, train_detector
from intern25.training.detection_config import DetectionTrainConfig
from intern25.weights.create import create_model
from intern25.weights.files import read_metadata
from tests.data.made_files import coco_document, coco_files, write_files
from tests.training.coloured import ColourDetector
from tests.training.conftest import finish, launch
from tests.training.shapes import SHAPES, write_detection
from tests.training.test_classification import Collected
from tests.training.test_resume import log_of, wait_for_update

pytest.importorskip("faster_coco_eval")
SCRIPT = Path(__file__).with_name("run_downstream.py")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detection(tmp_path_factory.mktemp("shapes") / "shapes.zip")


@pytest.fixture
def config(shapes: Path, tmp_path: Path) -> DetectionTrainConfig:
    """Twelve epochs of six updates of the colour detector."""
    return DetectionTrainConfig(
        data=str(shapes),
        output=str(tmp_path / "run"),
        epochs=12,
        batch_size=4,
        base_lr=4e-2,
        warmup_updates=5,
        schedule="cosine",
        short_side=96,
        long_side=128,
        cache="decoded",
        workers=0,
        log_every=1,
        eval_every=12,
        save_every_minutes=60.0,
        tensorboard=False,
        device="cpu",
    )


def test_classes_without_a_training_object_are_named(config: DetectionTrainConfig, tmp_path: Path) -> None:
    rows = [row for row in coco_document()["annotations"] if row["category_id"] == 2]
    files = {**coco_files(coco_document(annotations=rows)), **coco_files(split="val")}
    data, reporter = write_files(tmp_path, files), Collected()
    config = replace(config, data=str(data), batch_size=1, max_seconds=1e-3)
    train_detector(config, model=ColourDetector(), reporter=reporter)
    assert "no training object of 1 classes: tree" in reporter.messages


def test_colour_detector_learns_and_its_files_are_written(config: DetectionTrainConfig) -> None:
    torch.manual_seed(0)
    reporter = Collected()
    result = train_detector(
        replace(config, ema_decay=0.9, clip=5.0), model=ColourDetector(), reporter=reporter
    )
    assert result.finished
    assert result.updates == 72
    assert "24 training and 8 validation pictures" in reporter.messages[0]
    assert "boxes only" in reporter.messages[0]
    rows = log_of(result.output)
    assert {"loss", "centres", "sides", "gradient_norm", "lr"} <= rows[0].keys()
    assert rows[0]["loss"] == pytest.approx(rows[0]["centres"] + rows[0]["sides"], rel=1e-5)
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    # One class a colour: half of the boxes overlap by half after a few seconds.
    assert result.metrics["box_ap50"] > 0.5
    assert result.best_score == result.metrics["score"] == result.metrics["box_ap"]
    tensors = load_file(result.output / "best.safetensors")
    assert tensors.keys() == ColourDetector().state_dict().keys()
    assert DetectionTrainConfig.from_json((result.output / "config.json").read_text()).epochs == 12


def test_killed_run_ends_as_the_untouched_one(config: DetectionTrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=4, eval_every=4, save_every_minutes=0.0)
    whole = replace(config, output=str(tmp_path / "whole"))
    finish(launch(whole, script=SCRIPT))
    (process,) = launch(config, script=SCRIPT)
    wait_for_update(process, config.output, 9)  # in the middle of the second epoch
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "resumed at update" in finish(launch(config, script=SCRIPT))
    assert [row["loss"] for row in log_of(config.output)] == [row["loss"] for row in log_of(whole.output)]
    assert log_of(config.output, "val")[-1]["box_ap"] == log_of(whole.output, "val")[-1]["box_ap"]
    left, right = (load_file(Path(c.output) / "final.safetensors") for c in (config, whole))
    assert all(torch.equal(left[name], right[name]) for name in right)


def test_two_processes_learn_as_one(config: DetectionTrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=2, eval_every=2)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    finish(launch(config, script=SCRIPT, output=one, batch_size=4))
    finish(launch(config, 2, script=SCRIPT, output=two, batch_size=2))
    curves = [[row["loss"] for row in log_of(folder)] for folder in (one, two)]
    assert len(curves[0]) == 12
    # Equal but for the order of summation.
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)
    scores = [log_of(folder, "val")[-1]["box_ap"] for folder in (one, two)]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_length_in_updates(config: DetectionTrainConfig) -> None:
    config = replace(config, updates=8, epochs=1, eval_every=1)
    result = train_detector(config, model=ColourDetector())
    assert result.updates == 8
    # Six updates an epoch: scored behind the first and at the end.
    assert [row["update"] for row in log_of(result.output, "val")] == [6, 8]


def few_updates(config: DetectionTrainConfig, model: str, **changes: Any) -> DetectionTrainConfig:
    settings: dict[str, Any] = {"updates": 1, "batch_size": 1, "base_lr": 1e-3, **changes}
    return replace(config, model=model, pretrained_backbone="", **settings)


def test_files_of_a_mask_rcnn_work(config: DetectionTrainConfig) -> None:
    result = train_detector(few_updates(config, "mask_rcnn_internimage_nano", optimizer="muon"))
    assert {"mask_ap", "box_ap"} <= result.metrics.keys()
    metadata = read_metadata(result.output / "best.safetensors")
    assert metadata.classes is not None
    assert metadata.classes.en == SHAPES
    assert json.loads(metadata.extra["train_config"])["data"] == "shapes.zip"
    assert metadata.preprocessing is not None
    model = create_model("mask_rcnn_internimage_nano", pretrained=result.output / "best.safetensors")
    assert isinstance(model, MaskRCNN)
    splits, _, masks = prepare_detection_data(config)
    assert masks
    report = evaluate_detection(model, splits.val, metadata.preprocessing)  # type: ignore[arg-type]
    assert report.box.images == 8


def test_data_without_masks_train_a_model_without_mask_head(
    config: DetectionTrainConfig, tmp_path: Path
) -> None:
    data = write_detection(tmp_path / "boxes.zip", train=2, val=1, masks=False)
    config = few_updates(config, "mask_rcnn_internimage_nano", data=str(data), max_detections=7)
    result = train_detector(config)
    assert "mask_ap" not in result.metrics
    tensors = load_file(result.output / "final.safetensors")
    assert not any(name.startswith("mask_head") for name in tensors)
    header = read_metadata(result.output / "final.safetensors")
    assert (header.config.with_mask, header.config.max_detections) == (False, 7)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"(?s)no mask"):
        train_detector(replace(config, masks="yes", output=str(tmp_path / "other")))


def test_dino_trains(config: DetectionTrainConfig) -> None:
    result = train_detector(few_updates(config, "dino_internimage_nano"))
    assert result.finished
    model = create_model("dino_internimage_nano", pretrained=result.output / "final.safetensors")
    assert isinstance(model, DINO)
    assert model.num_classes == 3


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mask_rcnn_internimage_nano", "dino_internimage_nano"])
def test_published_architectures_learn_the_shapes(config: DetectionTrainConfig, model: str) -> None:
    config = replace(
        config,
        model=model,
        pretrained_backbone="internimage_nano_caltech101",
        epochs=30,
        eval_every=30,
        batch_size=2,
        base_lr=4e-3,
        clip=1.0,
    )
    result = train_detector(config)
    rows = log_of(result.output)
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    assert result.metrics["box_ap50"] > 0.5


def test_defects_are_listed_before_training_starts(config: DetectionTrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(config.data) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("train_3.png"):
                data = data[:300]
            if name.endswith("instances_train.json"):
                rows = json.loads(data)
                rows["annotations"][0]["category_id"] = 77
                data = json.dumps(rows).encode()
            target.writestr(name, data)
    config = replace(config, data=str(path))
    with pytest.raises(ValueError, match=r"(?s)2 defects.*77.*train_3\.png"):
        train_detector(config, model=ColourDetector())
    assert not Path(config.output).exists()
    reporter = Collected()
    result = train_detector(
        replace(config, skip_bad=True, updates=1), model=ColourDetector(), reporter=reporter
    )
    assert len(result.defects) >= 2
    assert any(message.startswith("left out: ") for message in reporter.messages)
    assert "22 training" in reporter.messages[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ""}, "no data"),
        ({"model": "upernet_internimage_nano"}, "is no model for detection"),
        ({"model": "dino_internimage_nano", "masks": "yes"}, "has no mask head"),
        ({"model": "dino_internimage_nan"}, "dino_internimage_nan"),
    ],
)
def test_runs_that_cannot_start(config: DetectionTrainConfig, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_detector(replace(config, **changes))
    assert not Path(config.output).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (0.9, 0.5)}, "rising shares"),
        ({"short_side": 900, "long_side": 800}, "at least short_side"),
        ({"pretrained": "a", "pretrained_backbone": "b"}, "not both"),
        ({"parallel": "fsdp"}, "take 'ddp'"),
        ({"updates": -1}, "updates=-1 must be at least 0"),
        ({"mosaic": 2.0}, "between 0 and 1"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectionTrainConfig(**changes)
