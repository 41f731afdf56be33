# SPDX-License-Identifier: MIT
"""``intern25 classify``: sources, output forms, drawn pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.small_model import CLASSES, save_small_model

from intern25.cli.main import main
from intern25.cli.sources import expand_sources
from intern25.predictors import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures ``a.png``, ``b.jpg``, ``deep/a.PNG`` and ``猫.webp``, and files that are none."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "deep").mkdir()
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "deep/a.PNG", "猫.webp"):
        Image.fromarray(generator.integers(0, 256, (50, 60, 3), dtype=np.uint8)).save(root / name)
    (root / "notes.md").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("weights") / "small.safetensors")


def json_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_equals_the_predictor(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(folder), "--model", str(weights), "--json", "--batch-size", "3"]) == 0
    lines = json_lines(capsys.readouterr().out)
    assert [line["source"] for line in lines] == [
        str(folder / name) for name in ("a.png", "b.jpg", "deep/a.PNG", "猫.webp")
    ]
    predictor = load(weights)
    for line in lines:
        expected = json.loads(predictor.predict(str(line["source"])).to_json())
        got = line["predictions"]
        assert isinstance(got, list)
        assert [row["index"] for row in got] == [row["index"] for row in expected["predictions"]]
        assert np.allclose(
            [row["score"] for row in got], [row["score"] for row in expected["predictions"]], atol=2e-6
        )


@pytest.mark.parametrize(
    ("language", "shown", "hidden"), [("en", CLASSES.en, CLASSES.zh), ("zh", CLASSES.zh, CLASSES.en)]
)
def test_text_in_a_language(
    language: str,
    shown: tuple[str, ...],
    hidden: tuple[str, ...],
    folder: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "classify",
        str(folder / "b.jpg"),
        "--model",
        str(weights),
        "--language",
        language,
        "--top-k",
        "6",
    ]
    assert main(words) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title == str(folder / "b.jpg")
    assert {row.split("%")[1].strip() for row in rows} == set(shown)
    assert not {row.split("%")[1].strip() for row in rows} & set(hidden)
    percents = [float(row.split("%")[0]) for row in rows]
    assert percents == sorted(percents, reverse=True)
    assert sum(percents) == pytest.approx(100, abs=0.4)  # each of six is rounded to a tenth


def test_drawn_pictures_of_one_name_do_not_overwrite_each_other(
    folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "drawn"
    assert main(["classify", str(folder), "--model", str(weights), "--output", str(output)]) == 0
    assert sorted(path.name for path in output.iterdir()) == ["a.png", "a_2.png", "b.png", "猫.png"]
    assert Image.open(output / "b.png").width > 400
    assert f"-> {output / 'a.png'}" in capsys.readouterr().out


def test_a_bad_picture_among_good_ones(
    folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    words = [
        "classify",
        str(folder / "a.png"),
        str(bad),
        str(folder / "b.jpg"),
        "--model",
        str(weights),
        "--json",
    ]
    assert main(words) == 1
    captured = capsys.readouterr()
    lines = json_lines(captured.out)
    assert ["error" in line for line in lines] == [False, True, False]
    assert lines[1]["source"] == str(bad)
    assert captured.err.count(str(bad)) == 1


def test_sources(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = folder / "list.txt"
    listed.write_text(f"b.jpg\n\n  deep/a.PNG \n{folder / 'a.png'}\n", encoding="utf-8-sig")
    try:
        assert expand_sources([str(listed)]) == [str(folder / n) for n in ("b.jpg", "deep/a.PNG", "a.png")]
    finally:
        listed.unlink()
    assert expand_sources([str(folder / "*.jpg")]) == [str(folder / "b.jpg")]
    assert expand_sources([str(folder / "**" / "*.PNG")]) == [str(folder / "deep" / "a.PNG")]
    monkeypatch.setattr("sys.stdin", io.StringIO("x.png\ny.png\n"))
    assert expand_sources(["-", "z.png"]) == ["x.png", "y.png", "z.png"]
    odd = tmp_path / "a[1].png"
    odd.touch()
    assert expand_sources([str(odd)]) == [str(odd)]
