# SPDX-License-Identifier: MIT
"""The command itself, and ``info``, ``convert``, ``eval``, ``train``: what they print and write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.small_model import CLASSES, save_small_model

from intern25 import __version__, create_model
from intern25.cli import info
from intern25.cli.main import COMMANDS, main
from intern25.weights.catalog import CARDS
from intern25.weights.files import read_metadata, save_model
from intern25.weights.generalists import GENERALIST_CARDS


def run(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert main(words) == status
    return capsys.readouterr().out


def run_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    values = json.loads(run([*words, "--json"], capsys))
    assert isinstance(values, dict)
    return values


@pytest.fixture
def nano(tmp_path: Path) -> Path:
    path = tmp_path / "nano.safetensors"
    save_model(path, create_model("internimage_nano", num_classes=3))
    return path


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = run(words, capsys)
    assert all(f"\n  {command} " in text for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capsys) == f"intern25 {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    task = {"train": ["classify"], "eval": ["classify"], "bench": ["op"]}.get(command, [])
    with pytest.raises(SystemExit) as caught:
        main([command, *task, "--help"])
    assert caught.value.code == 0
    # A page has no output to read.
    assert ("--port" if command == "demo" else "--json") in capsys.readouterr().out


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "intern25", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == f"intern25 {__version__}"


def test_info_of_the_installation(capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(["info"], capsys)
    assert facts["intern25"] == __version__
    assert facts["backends"]["reference"]["ready"] is True  # type: ignore[index]
    assert all("reason" in status or status["ready"] for status in facts["backends"].values())  # type: ignore[attr-defined]
    assert [model["id"] for model in facts["models"]] == [*CARDS, *GENERALIST_CARDS]  # type: ignore[attr-defined]
    text = run(["info"], capsys)
    assert all(name in text for name in (*CARDS, *GENERALIST_CARDS))


def test_info_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(["info", "internimage_b", "--flops"], capsys)
    assert facts["parameters"] == 97_461_832
    # The paper prints 16 G; both conventions are shown.
    assert round(facts["macs_authors_convention"] / 1e9) == 16  # type: ignore[operator]
    assert facts["flops"] > facts["macs_authors_convention"]  # type: ignore[operator]
    assert "97,461,832" in run(["info", "internimage_b"], capsys)
    small = run_json(["info", "internimage_t", "--flops", "--image-size", "64"], capsys)
    assert small["image_size"] == 64


def test_info_of_a_detector_and_a_segmenter(capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(["info", "upernet_internimage_t", "--flops"], capsys)
    assert (facts["task"], facts["parameters"], facts["num_classes"]) == ("segmentation", 59_077_148, 150)
    assert facts["image_size"] == [512, 2048]
    assert int(facts["macs_authors_convention"] / 1e9) == 944  # type: ignore[operator]
    assert facts["flops"] > 1.9 * facts["macs"]  # type: ignore[operator]
    text = run(["info", "mask_rcnn_internimage_t_fpn_1x_coco"], capsys)
    assert "backbone.channels" in text
    assert "https://huggingface.co/OpenGVLab/InternImage" in text
    small = run_json(["info", "mask_rcnn_internimage_nano", "--flops", "--image-size", "64", "96"], capsys)
    assert small["image_size"] == [64, 96]
    with pytest.raises(ValueError, match="must be a side, or a height and a width"):
        info.run(["internimage_nano", "--flops", "--image-size", "1", "2", "3"])


def test_info_of_a_generalist(capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(["info", "intern25_tiny"], capsys)
    assert (facts["task"], facts["num_classes"]) == ("generalist", None)
    assert facts["parameters"] == sum(
        p.numel() for p in create_model("intern25_tiny", device="meta").parameters()
    )
    assert facts["weights"]["licence"].startswith("research only")  # type: ignore[index]
    text = run(["info", "intern25_base"], capsys)
    assert "proposals.num_queries" in text
    assert "any" in text


def test_convert_round_trip(nano: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official, back = tmp_path / "nano.pth", tmp_path / "back.safetensors"
    report = run_json(["convert", str(nano), str(official), "--layout", "official"], capsys)
    assert report["bytes"] == official.stat().st_size
    assert str(back) in run(["convert", str(official), str(back)], capsys)
    from safetensors.torch import load_file

    first, second = load_file(nano), load_file(back)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One folder for each class of the small model, six noisy pictures of one colour in each."""
    root = tmp_path / "data"
    generator = np.random.default_rng(0)
    for number, name in enumerate(CLASSES.en):
        (root / name).mkdir(parents=True)
        for index in range(6):
            picture = generator.integers(0, 60, (40, 40, 3)) + np.array([30 * number, 190 - 30 * number, 90])
            Image.fromarray(picture.astype(np.uint8)).save(root / name / f"{index}.png")
    return root


def test_eval(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_small_model(tmp_path / "small.safetensors")
    words = ["eval", "classify", "--data", str(data), "--model", str(weights), "--validation-fraction", "0.5"]
    report = run_json(words, capsys)
    assert report["images"] == 18
    assert [row["name"] for row in report["classes"]] == sorted(CLASSES.en)  # type: ignore[attr-defined]
    text = run([*words, "--per-class"], capsys)
    assert f"{report['top1']:.2%}" in text
    assert "red panda" in text


def test_train_then_classify(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("accelerate")
    output = tmp_path / "run"
    words = ["train", "classify", "--recipe", "small", "--data", str(data), "--output", str(output)]
    words += [
        "--epochs",
        "1",
        "--batch-size",
        "6",
        "--image-size",
        "32",
        "--progressive",
        "--warmup-epochs",
        "0",
    ]
    report = run_json([*words, "--eval-every", "1"], capsys)
    assert report["finished"] is True
    best = output / "best.safetensors"
    assert read_metadata(best).classes is not None
    out = run(["classify", str(data / "bus" / "0.png"), "--model", str(best), "--top-k", "6"], capsys)
    assert {row.split("%")[1].strip() for row in out.splitlines()[1:]} == set(CLASSES.en)


def test_bench_op(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "op", "--shapes", "T 224 stage 4", "--rounds", "1", "--dtypes", "float32"]
    words += ["--passes", "forward", "--output", str(tmp_path / "results.json")]
    results = run_json(words, capsys)
    assert results == json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    rows = results["results"]
    assert isinstance(rows, list)
    assert "reference" in {row["contestant"] for row in rows}
    assert all(row["median_ms"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("task", "model", "size"),
    [("detector", "mask_rcnn_internimage_nano", "128"), ("segmenter", "upernet_internimage_nano", "64")],
)
def test_bench_of_whole_models(task: str, model: str, size: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", task, "--models", model, "--image-sizes", size, size, "--rounds", "1", "--no-memory"]
    results = run_json(words, capsys)
    assert results["suite"] == f"{task}s"
    (row,) = results["results"]  # type: ignore[misc]
    assert row["contestant"] == model
    assert (row["case"]["height"], row["case"]["width"]) == (int(size), int(size))
    assert model in run(words, capsys)


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """``intern25 info | head -1``: no traceback, no message."""
    command = f"{sys.executable} -m intern25 info | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("intern25")


@pytest.mark.skipif(os.name == "nt", reason="Windows sends another signal")
def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    weights = save_small_model(tmp_path / "small.safetensors")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "intern25", "classify", "-", "--model", str(weights)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, this test run perhaps, ignore the signal, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        # It waits for the list on stdin; imports before that take the time.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=6)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert stderr.strip() == "intern25: interrupted"
