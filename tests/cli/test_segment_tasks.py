# SPDX-License-Identifier: MIT
"""``intern25 segment --task``, ``--scales`` and ``--flip``: text, JSON, drawings, saved files, videos."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.color_models import CLASSES, SEGMENTATION, ColorQueries, ColorSegmenter, picture
from tests.small_detector import save_mask2former, save_upernet

from intern25.cli.main import main
from intern25.data.images import read_image
from intern25.data.video import video_facts, write_video
from intern25.predictors import SegmentationPredictor, load_as

# Red and yellow are cats, green is a dog, blue a bus.
OBJECTS = ((20, 30, 120, 90), (150, 10, 210, 100), (40, 110, 200, 170), (215, 120, 235, 190))
COLORS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
THINGS = ["--things", "cat", "狗"]


@pytest.fixture
def _bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that know colours, under the names ``queries`` and ``segmenter``."""
    facts = {"preprocessing": SEGMENTATION, "classes": CLASSES, "palette": COLORS}
    bundles = {
        "queries": SimpleNamespace(model=ColorQueries(), **facts),
        "segmenter": SimpleNamespace(model=ColorSegmenter(), **facts),
    }
    monkeypatch.setattr("intern25.predictors.loading.open_bundle", lambda name: bundles[str(name)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures ``000000000139.png`` with four objects and ``b.png`` with none."""
    root = tmp_path_factory.mktemp("pictures")
    picture((200, 240), *OBJECTS).save(root / "000000000139.png")
    picture((200, 240)).save(root / "b.png")
    return root


def decoded(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path)).astype(np.int64)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


@pytest.mark.usefixtures("_bundles")
def test_panoptic_text_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", str(folder), "--model", "queries", "--task", "panoptic", *THINGS]
    assert main([*words, "--language", "both"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(folder / "000000000139.png")
    assert out[1].endswith("%  bus / 公交车")  # The largest; stuff, so without score.
    assert out[2].endswith("%  cat / 猫  (95%)")
    assert out[5:] == [str(folder / "b.png"), "  nothing found"]
    assert main([*words, "--json", "--classes", "猫"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[row["name_en"] for row in one["segments"]] for one in found] == [["cat", "cat"], []]


@pytest.mark.usefixtures("_bundles")
def test_panoptic_files_are_cocos(folder: Path, tmp_path: Path) -> None:
    words = ["segment", str(folder), "--model", "queries", "--task", "panoptic", *THINGS]
    assert main([*words, "--output", str(tmp_path), "--save", "coco", "json"]) == 0
    stems = ("000000000139", "b")
    expected = [f"{stem}{end}" for stem in stems for end in (".json", ".png", "_masks.png")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*expected, "coco_panoptic.json"])
    content = json.loads((tmp_path / "coco_panoptic.json").read_text(encoding="utf-8"))
    assert [row["isthing"] for row in content["categories"]] == [1, 1, 0]
    assert [row["id"] for row in content["images"]] == [139, 2]
    for annotation in content["annotations"]:
        ids = decoded(tmp_path / annotation["file_name"])
        assert ids.shape == (200, 240)
        areas = {row["id"]: row["area"] for row in annotation["segments_info"]}
        assert areas == {number: int((ids == number).sum()) for number in np.unique(ids) if number}
        for row in annotation["segments_info"]:
            rows, columns = np.nonzero(ids == row["id"])
            left, top, width, height = row["bbox"]
            assert (left, top) == (columns.min(), rows.min())
            assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)


@pytest.mark.usefixtures("_bundles")
def test_instances_are_written_as_detect_does(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(folder), "--model", "queries", "--task", "instance", *THINGS]
    assert main([*words, "--output", str(tmp_path), "--save", "masks", "coco", "json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].split("  ")[-2] == "cat"
    assert out[-1] == "  nothing found"
    rows = json.loads((tmp_path / "coco_results.json").read_text())
    assert [row["category_id"] for row in rows] == [0, 1, 0]
    assert {"bbox", "score", "segmentation"} < set(rows[0])
    numbers = np.asarray(Image.open(tmp_path / "000000000139_masks.png"))
    assert sorted(np.unique(numbers)) == [0, 1, 2, 3]
    assert Image.open(tmp_path / "000000000139.png").width >= 240
    assert main([*words, "--json", "--max-instances", "1", "--threshold", "0.5"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert [row["name_zh"] for row in first["detections"]] == ["猫"]
    assert main([*words, "--json", "--tile", "100"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[0])["detections"]) == 3


@pytest.mark.usefixtures("_bundles")
@pytest.mark.parametrize(
    ("task", "summary"), [("panoptic", "cat 2, dog 1, bus"), ("instance", "cat 2, dog 1")]
)
def test_videos(task: str, summary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    write_video(tmp_path / "a.mp4", [picture((200, 240), *OBJECTS)] * 3, rate=Fraction(10))
    output = tmp_path / "drawn"
    words = ["segment", str(tmp_path / "a.mp4"), "--model", "queries", "--task", task, *THINGS]
    assert main([*words, "--output", str(output), "--save", "json"]) == 0
    assert capsys.readouterr().out.count(f" s  {summary}") == 3
    assert video_facts(output / "a.mp4").frames == 3
    lines = [json.loads(line) for line in (output / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert ("segments" if task == "panoptic" else "detections") in lines[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    save_mask2former(root / "cityscapes.safetensors")
    save_mask2former(root / "nyu40.safetensors", "nyu40")
    save_upernet(root / "upernet.safetensors")
    return root


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_a_saved_mask2former(
    task: str, weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = weights / "cityscapes.safetensors"
    words = ["segment", str(folder), "--model", str(model), "--task", task, "--threshold", "0.05", "--json"]
    assert main([*words, "--output", str(tmp_path), "--save", "masks", "coco"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one["source"]).name for one in found] == ["000000000139.png", "b.png"]
    key = "detections" if task == "instance" else "segments"
    assert sum(len(one[key]) for one in found) > 0
    if task == "instance":
        assert all(11 <= row["label"] < 19 for one in found for row in one[key])
    else:
        assert all(row["is_thing"] == (row["label"] >= 11) for one in found for row in one[key])


def test_scales_and_flip_reach_the_predictor(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, image = weights / "upernet.safetensors", folder / "000000000139.png"
    views = ["--scales", "0.5", "1", "1.25", "--flip"]
    assert main(["segment", str(image), "--model", str(model), "--json", *views]) == 0
    found = json.loads(capsys.readouterr().out)["classes"]
    predictor = load_as(SegmentationPredictor, model)
    expected = predictor.predict(read_image(image), scales=(0.5, 1.0, 1.25), flip=True)
    assert found == expected.to_record()["classes"]
    assert found != predictor.predict(read_image(image)).to_record()["classes"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scales", "0"], "--scales 0.0 must be positive numbers"),
        (["--scales", "1", "nan"], "--scales 1.0 nan"),
        (["--scales", "inf"], "--scales inf"),
        (["--task", "panoptic", "--flip"], "--scales and --flip are for --task semantic, not for panoptic"),
        (["--task", "instance", "--scales", "0.5", "1"], "are for --task semantic, not for instance"),
        (["--things", "cat"], "--things is for --task instance and --task panoptic"),
        (["--task", "panoptic", "--tile", "100"], "--tile 100 is for the other tasks"),
        (["--task", "instance", "--max-instances", "0"], "--max-instances 0"),
        (["--task", "instance"], "which of the 3 classes (cat, dog, bus) are things"),
        (["--task", "panoptic"], "--things bus"),
        (["--task", "panoptic", "--things", "cta"], "did you mean 'cat'"),
        (["--task", "instance", *THINGS, "--classes", "bus"], "'bus' is stuff"),
        (["--task", "panoptic", "--model", "segmenter"], "a ColorSegmenter names the class of each pixel"),
    ],
)
@pytest.mark.usefixtures("_bundles")
def test_wrong_options(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = [] if "--model" in words else ["--model", "queries"]
    assert main(["segment", str(folder / "b.png"), *model, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("intern25: error: ")
    assert error.count("\n") == 1


def test_names_with_spaces_are_quoted_in_the_way_out(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(folder), "--model", str(weights / "nyu40.safetensors"), "--task", "panoptic"]
    assert main(words) == 2
    assert "things=['other object', ...], or --things 'other object' ..." in capsys.readouterr().err
    assert main([*words, "--things", "椅子", "desk"]) == 0
