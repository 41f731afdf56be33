# SPDX-License-Identifier: MIT
"""Times of every task of a generalist, its loading and its memory, in the layout of the result files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.schema import problems

from intern25.cli.main import main
from tests.used_generalist import save_used_generalist


def test_every_task_loading_and_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_used_generalist(tmp_path / "small.safetensors")
    arguments = [
        "--model",
        str(tmp_path / "small.safetensors"),
        "--image-size",
        "96",
        "--rounds",
        "1",
        "--json",
    ]
    assert main(["bench", "generalist", *arguments]) == 0
    content = json.loads(capsys.readouterr().out)
    assert problems(content) == []
    times = {row["contestant"]: row["median_ms"] for row in content["results"]}
    assert {"classify", "detect", "segment", "caption zh", "ask en", "read", "load"} <= times.keys()
    # A task is many layers, a process many files: times that are none of a run are far below these.
    assert all(time > 0.5 for time in times.values())
    assert times["load"] > 20
    assert content["results"][-1]["peak_mib"] > 100


def test_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "generalist", "--model", "internimage_nano", "--rounds", "1"]) == 2
    assert "intern25: error: " in capsys.readouterr().err
