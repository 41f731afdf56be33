# SPDX-License-Identifier: MIT
"""``intern25 search`` from the words of the command line to what is printed, with a small CLIP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.search.albums import save_color, save_video
from tests.search.color_embedder import COLORS, ColorEmbedder, HalvesEmbedder
from tests.search.small_clip import save_chinese_clip
from tests.used_generalist import save_used_generalist

from intern25.cli.main import main
from intern25.search import SearchIndex, find_moments, open_embedder, opening
from intern25.weights.generalists import GeneralistCard


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_chinese_clip(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name, color in (("a.png", "红"), ("in/b.png", "green"), ("c.png", "blue")):
        save_color(tmp_path / "album" / name, color, (40, 30))
    save_video(tmp_path / "album" / "v.mp4", ["红", "green"])
    return tmp_path / "album"


@pytest.fixture
def by_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_embedder", lambda name, device: HalvesEmbedder())


def test_index_and_search_with_a_model_of_transformers(
    model: Path, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "index", str(album), "--model", str(model), "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"{album / '.intern25'}: 7 pictures and moments (4 added)\n"
    # The model is known from now on.
    assert main(["search", "index", str(album), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts == {
        "added": 0, "changed": 0, "moved": 0, "removed": 0, "unchanged": 4, "unreadable": [], "rows": 7
    }  # fmt: skip
    assert main(["search", "红色的公交车", str(album), "--json", "--top", "3"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    index = SearchIndex.open(album / ".intern25", embedder=open_embedder(str(model), device="cpu"))
    wanted = [match.to_record() for match in index.query("红色的公交车", top=3)]
    assert found == [{"source": str(album / row["path"]), **row} for row in wanted]
    assert len(found) == 3


@pytest.mark.usefixtures("by_color")
def test_lines_for_people(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "elsewhere")
    words = ["search", "index", str(album), "--index", place, "--model", "halves", "--every", "0.5"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{place}: 11 pictures and moments (4 added)\n"
    assert not (album / ".intern25").exists()
    assert main(["search", "green", str(album), "--index", place, "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"1.000  {album / 'in/b.png'}" in lines
    assert any(line.startswith(f"1.000  {album / 'v.mp4'}  0:0") for line in lines)
    assert main(["search", "blue", str(album), "--index", place, "--top", "1", "--boxes"]) == 0
    assert capsys.readouterr().out == f"1.000  {album / 'c.png'}  box 0 0 20 30\n"


@pytest.mark.usefixtures("by_color")
def test_an_example_and_a_page(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "index", str(album), "--model", "halves"]) == 0
    example = save_color(tmp_path / "example.png", "blue")
    capsys.readouterr()
    for name, kind in (("page.jpg", "JPEG"), ("page.png", "PNG")):
        words = ["search", str(example), str(album), "--top", "2", "--sheet", str(tmp_path / name)]
        assert main(words) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0] == f"1.000  {album / 'c.png'}"
        assert out[-1] == f"{example} -> {tmp_path / name}"
        with Image.open(tmp_path / name) as page:
            assert (page.format, page.width) == (kind, 2 * 272 + 16)


@pytest.mark.usefixtures("by_color")
def test_another_model_needs_a_new_index(
    album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "index", str(album), "--model", "halves"]) == 0
    monkeypatch.setattr(opening, "open_embedder", lambda name, device: ColorEmbedder())
    assert main(["search", "index", str(album), "--model", "colors"]) == 2
    assert "--model MODEL --rebuild" in capsys.readouterr().err
    assert main(["search", "index", str(album), "--model", "colors", "--rebuild"]) == 0
    assert main(["search", "blue", str(album), "--model", "colors", "--top", "1"]) == 0
    assert str(album / "c.png") in capsys.readouterr().out


@pytest.mark.usefixtures("by_color")
def test_damaged_files_are_named_one_by_one(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (album / "bad.jpg").write_text("hello")
    (album / "worse.mp4").write_text("hello")
    assert main(["search", "index", str(album), "--model", "halves", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [row["source"] for row in json.loads(out)["unreadable"]] == ["bad.jpg", "worse.mp4"]
    lines = err.splitlines()
    assert [line.startswith("intern25: error: ") for line in lines] == [True, True, False]
    assert lines[-1] == "intern25: 2 of 6 pictures could not be read"


def test_the_packaged_generalist_is_the_usual_model(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(album / "v.mp4")
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: tmp_path / "tiny.safetensors"))
    for words in (["index", str(album)], ["moments", "红色的公交车", video]):
        assert main(["search", *words]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "no model that searches comes with this version; name a model: intern25 search" in error
    save_used_generalist(tmp_path / "tiny.safetensors")
    assert main(["search", "index", str(album), "--device", "cpu"]) == 0
    facts = SearchIndex.open(album / ".intern25").facts
    assert facts is not None
    assert (facts.model, facts.has_regions) == ("intern25_tiny", True)
    capsys.readouterr()
    assert main(["search", "moments", "红色的公交车", video, "--device", "cpu", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = find_moments(video, "红色的公交车", open_embedder("intern25_tiny", device="cpu"))
    assert found == [{"source": video, **moment.to_record()} for moment in wanted]
    assert found


@pytest.mark.usefixtures("by_color")
def test_moments_of_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = save_video(tmp_path / "clip.mp4", ["红", "green", "blue", "红"], seconds_each=3)
    words = ["search", "moments", "红", str(video), "--model", "colors", "--every", "0.5"]
    assert main(words) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"1.000  {video}  0:00.0-0:02.8  best 0:00.0",
        f"1.000  {video}  0:08.8-0:12.0  best 0:09.5",
    ]
    assert main([*words, "--gap", "6.5"]) == 0
    assert capsys.readouterr().out == f"1.000  {video}  0:00.0-0:12.0  best 0:00.0\n"
    example = save_color(tmp_path / "example.png", "blue")
    sheet = tmp_path / "page.png"
    words = ["search", "moments", str(example), str(video), "--model", "colors", "--sheet", str(sheet)]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{example} -> {sheet}"
    with Image.open(sheet) as page:
        assert page.size[0] == 272 + 16
        middle = page.convert("RGB").getpixel((16 + 128, 136 + 96))
        assert max(abs(a - b) for a, b in zip(middle, COLORS["blue"], strict=True)) < 15


@pytest.mark.usefixtures("by_color")
def test_an_index_that_no_longer_says_its_model(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "index", str(album), "--model", "halves"]) == 0
    for path in (album / ".intern25" / "items.lance" / "_versions").iterdir():
        path.write_bytes(b"")
    capsys.readouterr()
    assert main(["search", "index", str(album), "--rebuild"]) == 2
    assert f"name one: intern25 search index {album} --rebuild --model MODEL" in capsys.readouterr().err
    assert main(["search", "index", str(album), "--rebuild", "--model", "halves"]) == 0
