"""``train`` and ``eval`` of detectors and segmenters: what they print and write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.training.shapes import SHAPES, write_detection, write_segmentation

from intern25.cli.main import main

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
