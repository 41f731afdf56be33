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
    status = main(command(tmp_path, "--data", str(mine), "--tasks", "vqa", "retrieval", "--json"))
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
