# SPDX-License-Identifier: MIT
"""``intern25 detect`` and ``intern25 segment``: text, JSON, drawings, saved files, videos."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.color_models import CLASSES, DETECTION, SEGMENTATION, ColorDetector, ColorSegmenter, picture
from tests.small_model import save_small_model

from intern25.cli.coco_file import category_ids
from intern25.cli.main import main
from intern25.data.class_names import class_names
from intern25.data.run_lengths import decode_mask
from intern25.data.video import Frame, VideoReadError, read_frames, video_facts, write_video

OBJECTS = ((20, 30, 120, 90), (150, 10, 210, 100), (40, 110, 200, 170))
COLORS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))


@pytest.fixture(autouse=True)
def _bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that know colours, under the names ``detector``, ``boxes`` and ``segmenter``."""
    detection = {"preprocessing": DETECTION, "classes": CLASSES}
    bundles = {
        "detector": SimpleNamespace(model=ColorDetector(), **detection),
        "boxes": SimpleNamespace(model=ColorDetector(with_masks=False), **detection),
        "segmenter": SimpleNamespace(
            model=ColorSegmenter(), preprocessing=SEGMENTATION, classes=CLASSES, palette=COLORS
        ),
    }
    monkeypatch.setattr("intern25.predictors.loading.open_bundle", lambda name: bundles[str(name)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures ``000000000139.png``, ``b.png`` and ``deep/b.png``."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "deep").mkdir()
    for name, count in (("000000000139.png", 3), ("b.png", 1), ("deep/b.png", 0)):
        picture((200, 240), *OBJECTS[:count]).save(root / name)
    return root


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames, ten a second, in which one object moves to the right."""
    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    frames = [picture((100, 160), (10 + 20 * k, 20, 60 + 20 * k, 80)) for k in range(5)]
    write_video(path, frames, rate=Fraction(10))
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_detect_prints_objects(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(folder), "--model", "detector", "--language", "both"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(folder / "000000000139.png")
    assert [line.split("  ")[-2] for line in out[1:4]] == ["cat / 猫", "dog / 狗", "bus / 公交车"]
    assert out[1].startswith("  90.0%")
    assert out[4:] == [str(folder / "b.png"), out[5], str(folder / "deep" / "b.png"), "  nothing found"]


def test_detect_json_and_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["detect", str(folder / "000000000139.png"), "--model", "detector", "--json"]
    assert main([*words, "--classes", "狗", "bus", "--threshold", "0.75"]) == 0
    (found,) = lines(capsys)
    assert found["source"] == str(folder / "000000000139.png")
    assert found["size"] == [200, 240]
    assert [row["name_zh"] for row in found["detections"]] == ["狗"]  # type: ignore[attr-defined]
    assert main([*words, "--max-detections", "1", "--tile", "100"]) == 0
    assert len(lines(capsys)[0]["detections"]) == 1  # type: ignore[arg-type]


def test_detect_writes_everything(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "drawn"
    words = ["detect", str(folder), "--model", "detector", "--output", str(output)]
    assert main([*words, "--save", "masks", "coco", "json"]) == 0
    assert f"b.png -> {output / 'b.png'}" in capsys.readouterr().out
    stems = ("000000000139", "b", "b_2")
    expected = [f"{stem}{end}" for stem in stems for end in (".json", ".png", "_masks.png")]
    assert sorted(path.name for path in output.iterdir()) == sorted(
        [*expected, "coco_images.json", "coco_results.json"]
    )
    rows = json.loads((output / "coco_results.json").read_text())
    images = json.loads((output / "coco_images.json").read_text())
    assert [row["image_id"] for row in rows] == [139, 139, 139, 2]
    assert [image["id"] for image in images["images"]] == [139, 2, 3]
    assert images["categories"][1] == {"id": 1, "name": "dog", "name_zh": "狗"}
    numbers = np.asarray(Image.open(output / "000000000139_masks.png"))
    assert sorted(np.unique(numbers)) == [0, 1, 2, 3]
    own = json.loads((output / "000000000139.json").read_text())["detections"]
    assert np.array_equal(decode_mask(own[0]["mask"]), numbers == 1)
    assert decode_mask(rows[0]["segmentation"]).shape == (200, 240)


def test_coco_results_are_read_by_cocos_tools(folder: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    words = ["detect", str(folder), "--model", "detector", "--output", str(tmp_path), "--save", "coco"]
    assert main(words) == 0
    truth = coco.COCO(str(tmp_path / "coco_images.json"))
    loaded = truth.loadRes(str(tmp_path / "coco_results.json"))
    assert len(loaded.getAnnIds(imgIds=[139])) == 3


def test_what_is_done_is_kept_when_the_rest_is_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    found = ColorDetector.forward

    def stop_at_the_second(self: ColorDetector, *arguments: object, **options: object) -> object:
        if next(calls):
            raise KeyboardInterrupt
        return found(self, *arguments, **options)

    monkeypatch.setattr(ColorDetector, "forward", stop_at_the_second)
    words = ["detect", str(folder), "--model", "detector", "--batch-size", "1", "--save", "coco"]
    assert main([*words, "--output", str(tmp_path)]) == 130
    assert len(json.loads((tmp_path / "coco_images.json").read_text())["images"]) == 1
    assert len(json.loads((tmp_path / "coco_results.json").read_text())) == 3


@pytest.mark.parametrize("font", ["absent.ttf", "text.ttf"])
def test_a_wrong_font_is_named(
    folder: Path, tmp_path: Path, font: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.ttf").write_text("no font")
    words = ["detect", str(folder), "--model", "detector", "--output", str(tmp_path / "drawn")]
    assert main([*words, "--font", str(tmp_path / font)]) == 2
    assert str(tmp_path / font) in capsys.readouterr().err


def test_cocos_classes_have_cocos_numbers() -> None:
    ids = category_ids(class_names("coco"))
    assert (len(ids), ids[0], ids[11], ids[-1]) == (80, 1, 13, 90)
    assert category_ids(CLASSES) == (0, 1, 2)


def test_segment_prints_shares_and_writes_masks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "thirds.png"
    picture((90, 150), (0, 0, 50, 90), (50, 0, 100, 90), (100, 0, 150, 90)).save(image)
    words = ["segment", str(image), "--model", "segmenter"]
    assert main([*words, "--language", "zh"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1] for line in out[1:]) == sorted(CLASSES.zh)
    assert all(float(line.split("%")[0]) == pytest.approx(100 / 3, abs=2) for line in out[1:])
    output = tmp_path / "drawn"
    assert main([*words, "--output", str(output), "--save", "masks", "coco", "--json"]) == 0
    assert len(lines(capsys)[0]["classes"]) == 3  # type: ignore[arg-type]
    stored = Image.open(output / "thirds_masks.png")
    assert np.asarray(stored)[45, [10, 75, 140]].tolist() == [0, 1, 2]
    assert stored.convert("RGB").getpixel((10, 10)) == COLORS[0]
    assert len(json.loads((output / "coco_results.json").read_text())) == 3
    assert Image.open(output / "thirds.png").width >= 150


def test_a_bad_picture_among_good_ones(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["detect", str(bad), str(folder / "b.png"), "--model", "detector", "--json"]) == 1
    captured = capsys.readouterr()
    assert ["error" in json.loads(line) for line in captured.out.splitlines()] == [True, False]
    assert "1 of 2 pictures could not be read" in captured.err


def test_a_video_gives_a_line_a_frame_and_a_video(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["detect", str(video), "--model", "detector", "--output", str(tmp_path), "--save", "json"]
    assert main([*words, "--json", "--batch-size", "2"]) == 0
    found = lines(capsys)
    assert [(row["frame"], row["time"]) for row in found] == [(k, k / 10) for k in range(5)]
    assert list(found[0])[:3] == ["source", "frame", "time"]
    lefts = [row["detections"][0]["box"][0] for row in found]  # type: ignore[index]
    assert np.allclose(lefts, [10, 30, 50, 70, 90], atol=4)
    assert [json.loads(line) for line in (tmp_path / "street.jsonl").read_text().splitlines()] == found
    facts = video_facts(tmp_path / "street.mp4")
    assert (facts.frames, facts.rate) == (5, 10)


def test_a_video_among_pictures(
    video: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(folder / "b.png"), str(video.parent), "--model", "segmenter", "--frame-step", "2"]
    assert main([*words, "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{folder / 'b.png'} -> {tmp_path / 'b.png'}"
    assert [line.split(" s ")[0].split()[-1] for line in out if " s " in line] == ["0.00", "0.20", "0.40"]
    assert out[-1] == f"{video} -> {tmp_path / 'street.mp4'}"
    facts = video_facts(tmp_path / "street.mp4")
    assert (facts.frames, facts.rate) == (3, 5)
    assert main(words) == 0  # no folder: lines alone


def test_what_comes_before_the_damage_of_a_video_is_kept(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def damaged(path: str, *, step: int) -> Iterator[Frame]:
        yield from itertools.islice(read_frames(path, step=step), 3)
        raise VideoReadError(f"{path} is damaged after frame 2")

    monkeypatch.setattr("intern25.data.video.read_frames", damaged)
    words = ["detect", str(video), "--model", "detector", "--output", str(tmp_path), "--save", "json"]
    assert main([*words, "--batch-size", "2"]) == 2
    captured = capsys.readouterr()
    assert captured.out.count(" s  cat 1") == 3
    assert captured.err.count("is damaged after frame 2") == 1
    assert video_facts(tmp_path / "street.mp4").frames == 3
    assert len((tmp_path / "street.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["detect", "a.png", "--save", "coco"], "--save coco needs a folder: --output DIR"),
        (["detect", "a.png", "--threshold", "2"], "--threshold 2.0 must be from 0 to 1"),
        (["segment", "a.png", "--threshold", "-1"], "--threshold -1.0"),
        (["detect", "a.png", "--max-detections", "0"], "--max-detections 0"),
        (["segment", "a.png", "--frame-step", "0"], "--frame-step 0"),
        (["segment", "a.png", "--batch-size", "0"], "--batch-size 0"),
        (
            ["detect", "a.png", "--model", "segmenter"],
            "segmenter is a segmenter, not a detector; use intern25 segment",
        ),
        (
            ["segment", "a.png", "--model", "boxes"],
            "boxes is a detector, not a segmenter; use intern25 detect",
        ),
        (["classify", "a.png", "--model", "detector"], "use intern25 detect"),
        (["detect", "a.png", "--model", "detector", "--classes", "cta"], "did you mean 'cat'"),
        (["detect", "a.png", "--model", "boxes", "--output", "o", "--save", "masks"], "boxes without masks"),
        (["detect", "a.mp4", "--model", "boxes", "--output", "o", "--save", "masks"], "are for pictures"),
    ],
)
def test_wrong_options(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    picture((40, 50), (5, 5, 30, 30)).save("a.png")
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_classifier_is_no_detector(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    weights = save_small_model(tmp_path / "small.safetensors")
    assert main(["detect", str(folder), "--model", str(weights)]) == 2
    assert "is a classifier, not a detector; use intern25 classify" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["detect", "segment"])
def test_without_a_packaged_model_one_must_be_named(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("intern25.weights.catalog.CARDS", {})
    assert main([command, str(folder)]) == 2
    assert "comes with this version; name one with --model" in capsys.readouterr().err
