"""``train`` and ``eval`` of detectors and segmenters: what they print and write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.training.shapes import SHAPES, write_detection, write_segmentation

from intern25.cli.evaluate_downstream import warn_of_names
from intern25.cli.main import main
from intern25.data.class_names import ClassNames
from intern25.training import detection
from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.detection_recipes import recipe_official_detection
from intern25.training.downstream import DownstreamResult

TINY = ["--updates", "1", "--batch-size", "1", "--short-side", "96", "--long-side", "128"]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_train_and_evaluate_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faster_coco_eval")
    data, output = write_detection(tmp_path / "shapes.zip", train=2, val=2), tmp_path / "run"
    words = ["train", "detect", "--recipe", "small", "--data", str(data), "--output", str(output), *TINY]
    result = json.loads(run([*words, "--no-tensorboard", "--device", "cpu", "--json"], capsys))
    assert result["finished"]
    assert result["output"] == str(output)
    assert {"box_ap", "mask_ap"} <= result["metrics"].keys()
    evaluate = ["eval", "detect", "--data", str(data), "--model", str(output / "final.safetensors")]
    report = json.loads(run([*evaluate, "--json"], capsys))
    assert report["images"] == 2
    assert [row["name"] for row in report["box"]["classes"]] == list(SHAPES)
    assert report["mask"]["images"] == 2
    text = run([*evaluate, "--metric", "voc07", "--per-class"], capsys)
    assert "metric        voc07" in text
    assert "ap50 " in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--recipe-data", "lvis"], recipe_official_detection(data="lvis")),
        (["--recipe-data", "crowdhuman"], recipe_official_detection(data="crowdhuman")),
        (["--recipe-schedule", "3x"], recipe_official_detection(schedule="3x")),
        (
            ["--recipe-data", "openimages", "--sampling", "plain", "--federated-classes", "20"],
            replace(recipe_official_detection(data="openimages"), sampling="plain", federated_classes=20),
        ),
    ],
)
def test_recipes_are_chosen_by_data_set(
    words: list[str], expected: DetectionTrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[DetectionTrainConfig] = []

    def train_detector(config: DetectionTrainConfig, **_: Any) -> DownstreamResult:
        given.append(config)
        return DownstreamResult(
            output=Path(config.output),
            finished=True,
            updates=1,
            best_score=0.0,
            best_epoch=-1,
            metrics={},
            defects=(),
        )

    monkeypatch.setattr(detection, "train_detector", train_detector)
    assert main(["train", "detect", "--recipe", "official", *words, "--data", "somewhere"]) == 0
    assert given == [replace(expected, data="somewhere")]


@pytest.mark.parametrize(
    "words",
    [
        ["detect", "--recipe", "small", "--pretrained", "w.safetensors"],
        ["detect", "--recipe", "official", "--recipe-data", "lvis", "--pretrained-backbone", "w.safetensors"],
        ["segment", "--recipe", "official", "--pretrained", "w.safetensors"],
    ],
)
def test_own_weights_replace_those_of_the_recipe(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    assert "no data" in capsys.readouterr().err  # and not: two kinds of starting weights


def test_a_recipe_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--recipe", "official", "--recipe-data", "voc", "--model", "dino_internimage_l"]
    assert main(["train", "detect", *words, "--data", "somewhere"]) == 2
    assert "no official recipe for 'dino_internimage_l' 1x on voc" in capsys.readouterr().err


def test_train_and_evaluate_a_segmenter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, output = write_segmentation(tmp_path / "shapes.zip", train=2, val=2), tmp_path / "run"
    words = ["train", "segment", "--recipe", "small", "--data", str(data), "--output", str(output), *TINY]
    words += ["--batch-size", "2"]
    text = run([*words, "--crop", "96", "96", "--no-tensorboard", "--device", "cpu"], capsys)
    assert "finished: 1 updates, best mean IoU" in text
    assert "intern25 segment --model" in text
    evaluate = ["eval", "segment", "--data", str(data), "--model", str(output / "best.safetensors")]
    report = json.loads(run([*evaluate, "--json", "--flip", "--scales", "1", "1.5"], capsys))
    assert report["images"] == 2
    assert [row["name"] for row in report["classes"]] == ["background", *SHAPES]
    assert "background" in run([*evaluate, "--per-class"], capsys)


@pytest.mark.parametrize("task", ["detect", "segment"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-size", "0"], "--batch-size 0 must be 1 or more"),
        (["--workers", "-1"], "--workers -1 must be 0 or more"),
    ],
)
def test_numbers_that_no_data_make_right(
    task: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", task, "--data", "none", "--model", "none", *words]) == 2
    assert message in capsys.readouterr().err


def test_classes_of_other_names_are_told(caplog: pytest.LogCaptureFixture) -> None:
    own = ClassNames(en=("cat", "dog", "class 2"), zh=("猫", "狗", "类别 2"))
    warn_of_names(own, ClassNames(en=("cat", "dog", "bus"), zh=("猫", "狗", "公交车")))
    warn_of_names(own, ClassNames(en=("dog",), zh=("狗",)))  # another number is an error elsewhere
    assert not caplog.records
    warn_of_names(own, ClassNames(en=("dog", "cat", "bus"), zh=("狗", "猫", "公交车")))
    assert "2 of 3 classes have other names" in caplog.text
    assert "the first is 0: 'cat' of the model, 'dog' of the data" in caplog.text
