# SPDX-License-Identifier: MIT
"""``train generalist`` and ``eval generalist`` on a folder of made-up packs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.generalist.tasks.made_tasks import COLOURS, Squares
from tests.small_generalist import save_small_generalist
from tests.training.test_resume import log_of
from torch import Tensor

from intern25.cli.main import main
from intern25.cli.train_generalist import ShownConfig
from intern25.generalist.files import load_generalist
from intern25.generalist.model import Generalist
from intern25.training.generalist.config import GeneralistTrainConfig

LIGHTS = ("red", "green", "yellow")


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions about squares as easy-VQA has them, and crops of lights."""
    root = tmp_path_factory.mktemp("packs")
    squares = Squares(60)
    for split, indices in (("train", range(40)), ("test", range(40, 60))):
        (root / "easy_vqa" / split / "images").mkdir(parents=True)
        rows = []
        for index in indices:
            squares.image(index).save(root / "easy_vqa" / split / "images" / f"{index}.png")
            rows += [["what colour is on the left?", COLOURS.en[index % 3], index]]
        (root / "easy_vqa" / split / "questions.json").write_text(json.dumps(rows))
        for index in indices:
            folder = root / "traffic_light_crops" / split / LIGHTS[index % 3]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(squares.pixels(index)).save(folder / f"{index}.jpg")
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_generalist(tmp_path_factory.mktemp("start") / "small.safetensors")


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_train_and_evaluate(
    packs: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    words = ["train", "generalist", "--data", str(packs), "--tasks", "vqa", "classify",
             "--pretrained", str(start), "--output", str(output), "--updates", "4", "--eval-updates", "2",
             "--evaluate-most", "2", "--batch-scale", "0.2", "--workers", "0", "--log-every", "1",
             "--no-tensorboard", "--device", "cpu"]  # fmt: skip
    result = json.loads(run([*words, "--json"], capsys).splitlines()[-1])
    assert result["finished"]
    assert result["updates"] == 4
    assert result["output"] == str(output)
    assert {"vqa_shapes.accuracy", "classify_lights.top1_zh"} <= result["metrics"].keys()
    trained = {name.split(".")[0] for line in log_of(output) for name in line if "." in name}
    assert "vqa_shapes" in trained <= {"vqa_shapes", "classify_lights"}
    # A run that is done is left as it is.
    assert "finished: 4 updates, mean score" in run(words, capsys)
    extra = load_generalist(output / "final.safetensors").extra
    assert json.loads(extra["train_config"])["updates"] == 4
    assert str(packs) not in extra["train_config"]

    evaluate = ["eval", "generalist", "--data", str(packs), "--model", str(output / "final.safetensors"),
                "--tasks", "vqa", "classify"]  # fmt: skip
    figures = json.loads(run([*evaluate, "--split", "test", "--json"], capsys))
    assert list(figures) == ["classify_lights", "vqa_shapes"]
    assert all(0 <= figure <= 1 for found in figures.values() for figure in found.values())
    rows = run([*evaluate, "--most", "2"], capsys).splitlines()
    assert [row.split()[:2] for row in rows] == [["classify_lights", "top1_en"], ["vqa_shapes", "accuracy"]]


def test_options_that_change_nothing_are_neither_shown_nor_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert dataclasses.asdict(ShownConfig()) == dataclasses.asdict(GeneralistTrainConfig())
    with pytest.raises(SystemExit):
        main(["train", "generalist", "--help"])
    shown = capsys.readouterr().out
    assert "--updates" in shown
    for name in GeneralistTrainConfig.UNUSED:
        option = name.replace("_", "-")
        assert f"--{option}" not in shown
        assert f"--no-{option}" not in shown
    for words in (["--epochs", "5"], ["--batch-size=8"], ["--drop_path", "0.1"], ["--no-sync-batch-norm"]):
        assert main(["train", "generalist", "--data", "x", *words]) == 2
        error = capsys.readouterr().err
        assert (
            f"{words[0].partition('=')[0].replace('_', '-')} changes nothing in 'train generalist'" in error
        )


def test_only_so_many_pictures_are_scored(
    packs: Path, start: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = Generalist.encode_image

    def counted(self: Generalist, images: Tensor, **more: Any) -> Any:
        seen.append(len(images))
        return encode(self, images, **more)

    monkeypatch.setattr(Generalist, "encode_image", counted)
    words = ["eval", "generalist", "--data", str(packs), "--model", str(start), "--tasks", "classify"]
    run([*words, "--split", "test", "--most", "3"], capsys)
    assert sum(seen) == 3


def test_the_same_evaluation_gives_the_same_figures(
    packs: Path, start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", "generalist", "--data", str(packs), "--model", str(start), "--tasks", "vqa", "--json"]
    assert run(words, capsys) == run(words, capsys)
