# SPDX-License-Identifier: MIT
"""``intern25 train generalist`` on a user's own data, from the command line to a weight file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.generalist.small_model import small_generalist
from tests.training.generalist import own_files

from intern25.cli.main import main
from intern25.generalist.files import load_generalist, save_generalist


def command(tmp_path: Path, *more: str) -> list[str]:
    start = tmp_path / "start.safetensors"
    if not start.exists():
        save_generalist(start, small_generalist())
    return [
        "train", "generalist", "--pretrained", str(start), "--output", str(tmp_path / "run"),
        "--updates", "2", "--warmup-updates", "0", "--image-size", "64", "--batch-scale", "0.1",
        "--workers", "0", "--device", "cpu", *more,
    ]  # fmt: skip


def test_two_kinds_of_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = own_files.questions(own_files.captions(tmp_path / "my"))
    status = main(command(tmp_path, "--data", str(mine), "--tasks", "vqa,retrieval", "--json"))
    assert status == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["finished"]
    assert {"vqa.accuracy", "retrieval.recall5"} <= result["metrics"].keys()
    load_generalist(tmp_path / "run" / "final.safetensors")


def test_a_path_a_task_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = own_files.captions(tmp_path / "my")
    (mine / "images" / "2.png").write_bytes(b"no picture")
    arguments = command(tmp_path, "--data", f"caption={mine},pretrain={mine}")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "2.png: it cannot be read" in error
    assert "--skip-bad" in error
    assert not (tmp_path / "run").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    assert "left out: images/2.png: it cannot be read" in capsys.readouterr().err


def test_a_few_updates_on_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = own_files.texts(tmp_path / "my", 12)
    with (mine / "texts.txt").open("ab") as file:
        file.write("你好".encode("gb18030") + b"\n")
    arguments = command(tmp_path, "--tasks", "language", "--data", f"language={mine}", "--json")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "texts.txt, annotation 13: it is not UTF-8" in error
    assert not (tmp_path / "run").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    output = capsys.readouterr()
    assert "left out: texts.txt, annotation 13" in output.err
    metrics = json.loads(output.out.splitlines()[-1])["metrics"]
    assert metrics["language.character_probability"] > 0
    start = load_generalist(tmp_path / "start.safetensors").model.state_dict()
    end = load_generalist(tmp_path / "run" / "final.safetensors").model.state_dict()
    changed = {name.split(".")[0] for name in start if not start[name].equal(end[name])}
    assert {"text_core", "decoder"} <= changed
    assert "backbone" not in changed
