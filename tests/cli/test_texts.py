# SPDX-License-Identifier: MIT
"""``intern25 caption``, ``ask`` and ``read``, and the other commands with a generalist and free names."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.small_generalist import small_generalist
from tests.used_generalist import pictures, save_used_generalist

from intern25 import defaults
from intern25.cli.main import main
from intern25.data.video import read_frames, video_facts, write_video
from intern25.generalist.files import save_generalist
from intern25.predictors import GeneralistPredictor, load_as


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_used_generalist(tmp_path_factory.mktemp("weights") / "small.safetensors"))


@pytest.fixture(scope="module")
def predictor(weights: str) -> GeneralistPredictor:
    return load_as(GeneralistPredictor, weights)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures ``0.png`` to ``4.png``."""
    root = tmp_path_factory.mktemp("pictures")
    for number, image in enumerate(pictures()):
        image.save(root / f"{number}.png")
    return root


def run(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> list[str]:
    assert main(words) == status
    return capsys.readouterr().out.splitlines()


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Equal but for the rounding of scores."""
    scores = [np.array([row.pop("score") for row in rows]) for rows in (found, expected)]
    others = [[[a.pop("score") for a in row["alternatives"]] for row in rows] for rows in (found, expected)]
    return found == expected and np.allclose(*scores, atol=1e-5) and np.allclose(*others, atol=1e-5)


@pytest.mark.parametrize("task", ["caption", "ask", "choose", "read"])
def test_json_equals_the_predictor(
    task: str, folder: Path, weights: str, predictor: GeneralistPredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(map(str, folder.iterdir()))
    words, expected = {
        "caption": (["caption", str(folder), "--language", "zh"], lambda: predictor.caption(names, "zh")),
        "ask": (["ask", "图中有什么?", str(folder)], lambda: predictor.ask(names, "图中有什么?")),
        "choose": (
            ["ask", "what?", str(folder), "--answers", "yes", "不是"],
            lambda: predictor.ask(names, "what?", ["yes", "不是"]),
        ),
        "read": (["read", str(folder)], lambda: predictor.read(names)),
    }[task]
    lines = run([*words, "--model", weights, "--json", "--batch-size", "2"], capsys)
    assert same([json.loads(line) for line in lines], [result.to_record() for result in expected()])


def test_text_shows_every_answer(folder: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(folder / "0.png")
    title, *rows = run(["ask", "what?", picture, "--answers", "yes", "不是", "--model", weights], capsys)
    assert title == picture
    shares = [float(row.split("%")[0]) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert shares == sorted(shares, reverse=True)
    assert {row.split("%")[1].strip() for row in rows} == {"yes", "不是"}


def test_drawings(folder: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "drawn"
    words = ["ask", "what?", str(folder), "--answers", "a", "b", "--model", weights, "--output", str(output)]
    assert f"{folder / '1.png'} -> {output / '1.png'}" in run(words, capsys)
    assert sorted(path.name for path in output.iterdir()) == [f"{number}.png" for number in range(5)]
    with Image.open(output / "1.png") as drawn:
        assert drawn.height > drawn.width  # it was square


def test_frames_of_a_video(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    video, output = tmp_path / "street.mp4", tmp_path / "drawn"
    write_video(video, [pictures()[k % 2].resize((64, 64)) for k in range(5)], rate=Fraction(10))
    words = ["ask", "what?", str(video), "--answers", "a", "b", "--model", weights, "--frame-step", "2"]
    rows = [json.loads(line) for line in run([*words, "--json", "--output", str(output)], capsys)]
    assert [(row["frame"], row["time"]) for row in rows] == [(0, 0.0), (2, 0.2), (4, 0.4)]
    assert {row["source"] for row in rows} == {str(video)}
    drawn = output / "street.mp4"
    assert video_facts(drawn).frames == 3
    sizes = {frame.image.size for frame in read_frames(drawn)}
    assert len(sizes) == 1
    lines = run(words, capsys)
    assert [line.split(" s  ")[0] for line in lines] == [f"{video} {time:8.2f}" for time in (0, 0.2, 0.4)]


def test_bad_pictures_are_named_and_the_rest_goes_on(
    folder: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_bytes(b"bad")
    words = ["read", str(folder / "0.png"), str(tmp_path / "bad.png"), str(folder / "1.png"), "--json"]
    rows = [json.loads(line) for line in run([*words, "--model", weights], capsys, status=1)]
    assert ["error" in row for row in rows] == [False, True, False]


def test_other_commands_take_free_names(
    folder: Path, weights: str, predictor: GeneralistPredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, names = str(folder / "2.png"), ["自行车", "a red van", "road"]
    base = [picture, "--model", weights, "--json", "--classes", *names]
    (line,) = run(["classify", *base], capsys)
    found = {row["name_zh"]: row["score"] for row in json.loads(line)["predictions"]}
    expected = predictor.classify(picture, names)
    assert found == pytest.approx(
        dict(zip(expected.names_zh, expected.scores.tolist(), strict=True)), abs=1e-5
    )
    (line,) = run(["detect", *base, "--threshold", "0.0001"], capsys)
    objects = json.loads(line)["detections"]
    assert objects
    assert {row["name_en"] for row in objects} <= {"bicycle", "a red van", "road"}
    (line,) = run(["segment", *base], capsys)
    assert {row["name_zh"] for row in json.loads(line)["classes"]} <= {"自行车", "a red van", "道路"}
    (line,) = run(["segment", *base, "--task", "panoptic", "--things", "a red van"], capsys)
    assert json.loads(line)["size"] == [90, 50]
    (line,) = run(["segment", *base[:4], "--task", "instance", "--threshold", "0.00001"], capsys)
    assert {row["name_en"] for row in json.loads(line)["detections"]} == {"car"}


def test_the_model_says_which_scores_are_enough(
    folder: Path, tmp_path: Path, predictor: GeneralistPredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = str(folder / "2.png")
    scores = predictor.detect(picture, threshold=0.0).scores
    least = float(scores[2:4].mean())
    settings = replace(predictor.settings, detect_threshold=least)
    save_generalist(tmp_path / "own.safetensors", small_generalist(), extra={"settings": settings.to_json()})
    words = ["detect", picture, "--model", str(tmp_path / "own.safetensors"), "--json"]
    for more, number in (([], 3), (["--threshold", "0"], len(scores)), (["--threshold", "1"], 0)):
        (line,) = run([*words, *more], capsys)
        assert len(json.loads(line)["detections"]) == number


def test_usual_names_where_none_are_given(
    folder: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(["classify", str(folder / "0.png"), "--model", weights, "--language", "both"], capsys)
    assert {line.split("%")[1].strip() for line in lines[1:]} == {"cat / 猫", "dog / 狗", "bus / 公交车"}


def test_one_constant_changes_a_default(
    folder: Path, weights: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --model the packaged generalist; the error says what to do while there is none."""
    monkeypatch.setattr(
        "intern25.weights.generalists.GeneralistCard.packaged_path", property(lambda card: Path(weights))
    )
    assert len(run(["caption", str(folder / "0.png")], capsys)) == 2
    monkeypatch.setattr(
        "intern25.weights.generalists.GeneralistCard.packaged_path", property(lambda card: Path("none"))
    )
    assert main(["caption", str(folder / "0.png")]) == 2
    assert "name one with --model" in capsys.readouterr().err
    assert main(["classify", str(folder / "0.png"), "--model", defaults.DEFAULT_GENERALIST]) == 2
    assert "does not come with this version" in capsys.readouterr().err
