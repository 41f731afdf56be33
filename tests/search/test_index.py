# SPDX-License-Identifier: MIT
"""Asking an index: the same matches as looking at everything with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.search import schemas
from intern25.search import tables as tables_module
from intern25.search.embedder import Pixels, Vectors
from intern25.search.index import SearchIndex
from intern25.search.tables import Tables
from tests.search.albums import save_color, save_video
from tests.search.color_embedder import COLORS, ColorEmbedder, HalvesEmbedder, histogram


class NoiseEmbedder:
    """A random vector for each picture, by its first pixel."""

    name, fingerprint, dimension = "noise", "0", 16

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        return np.stack([self.vector(int.from_bytes(bytes(image[0, 0]))) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.vector(int(text)) for text in texts])

    @staticmethod
    def vector(seed: int) -> Vectors:
        vector = np.random.default_rng(seed).normal(size=16)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def numbered(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (2, 2), tuple(number.to_bytes(3))).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    root = tmp_path_factory.mktemp("noise")
    index = SearchIndex.open(root / "index")
    index.update(NoiseEmbedder(), numbered(root / "album", 300))
    return index


@pytest.mark.parametrize("top", [1, 12, 299, 1000])
def test_the_best_are_those_of_looking_at_all(noise: SearchIndex, top: int) -> None:
    query = NoiseEmbedder.vector(77_777)
    scores = np.stack([NoiseEmbedder.vector(number) for number in range(300)]) @ query
    wanted = np.argsort(-scores)[:top]
    found = noise.query("77777", top=top)
    assert [match.path for match in found] == [f"{number}.png" for number in wanted]
    assert [match.score for match in found] == pytest.approx(scores[wanted].tolist(), abs=1e-6)


def test_a_large_table_is_indexed_and_exact_search_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_module, "_LARGE", 300)
    album = numbered(tmp_path / "album", 320)
    index = SearchIndex.open(tmp_path / "index")
    index.update(NoiseEmbedder(), album)
    tables = Tables.open(index.location)
    assert tables is not None
    assert {found.name for found in tables.items.list_indices()} == {"embedding_idx"}
    scores = np.stack([NoiseEmbedder.vector(number) for number in range(320)]) @ NoiseEmbedder.vector(5)
    wanted = [f"{number}.png" for number in np.argsort(-scores)[:20]]
    assert [match.path for match in index.query("5", top=20, exact=True)] == wanted
    assert len(set(wanted) & {match.path for match in index.query("5", top=20)}) >= 18
    # Rows that come later are found as well.
    Image.new("RGB", (2, 2), tuple((4321).to_bytes(3))).save(album / "later.png")
    index.update(NoiseEmbedder(), album)
    assert index.query("4321", top=1)[0].path == "later.png"


def test_text_picture_and_array_ask_the_same(tmp_path: Path) -> None:
    album = tmp_path / "album"
    for color in COLORS:
        save_color(album / f"{color}.png", color)
    index = SearchIndex.open(tmp_path / "index")
    index.update(ColorEmbedder(), album)
    by_text = index.query("blue", top=2)
    assert by_text[0].path == "blue.png"
    assert by_text[0].score == pytest.approx(1.0)
    example = save_color(tmp_path / "example.png", "blue", (30, 40))
    assert index.query(example, top=2) == by_text
    assert index.query(np.full((3, 3, 3), COLORS["blue"], np.uint8), top=2) == by_text


def test_a_video_gives_its_moments(tmp_path: Path) -> None:
    album = tmp_path / "album"
    save_video(album / "v.mp4", ["红", "blue", "红"], seconds_each=3)
    save_color(album / "a.png", "green")
    index = SearchIndex.open(tmp_path / "index")
    index.update(ColorEmbedder(), album)
    found = index.query("红", top=3)
    assert [match.path for match in found[:2]] == ["v.mp4", "v.mp4"]
    assert {int((match.time or 0.0) // 3) for match in found[:2]} == {0, 2}
    assert found[2].score < 0.5
    # However many frames a shot has, they do not push the picture out.
    assert len(index.query("红", top=4)) == 4


def two_halves(path: Path, left: str, right: str, size: tuple[int, int]) -> None:
    path.parent.mkdir(exist_ok=True)
    image = Image.new("RGB", size, COLORS[left])
    image.paste(COLORS[right], (size[0] // 2, 0, *size))
    image.save(path)


def test_boxes_are_those_of_the_best_region(tmp_path: Path) -> None:
    album = tmp_path / "album"
    two_halves(album / "a.png", "blue", "红", (40, 20))
    two_halves(album / "b.png", "红", "green", (2400, 1200))  # Reduced before it is embedded.
    save_color(album / "c.png", "红", (10, 10))
    save_color(album / "d.png", "black")
    index = SearchIndex.open(tmp_path / "index")
    index.update(HalvesEmbedder(), album)
    whole = {match.path: match for match in index.query("红")}
    assert whole["a.png"].score == pytest.approx(2**-0.5)
    assert whole["a.png"].box is None
    parts = {match.path: match for match in index.query("红", boxes=True)}
    assert parts["a.png"].box == (20.0, 0.0, 40.0, 20.0)
    assert parts["b.png"].box == pytest.approx((0.0, 0.0, 1200.0, 1200.0))
    assert [parts[name].score for name in ("a.png", "b.png", "c.png", "d.png")] == pytest.approx([1, 1, 1, 0])


def test_boxes_agree_with_looking_at_all_regions(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    album = tmp_path / "album"
    album.mkdir()
    pictures = {f"{number}.png": rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) for number in range(60)}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(album / name)
    index = SearchIndex.open(tmp_path / "index")
    index.update(HalvesEmbedder(), album)
    asked = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    best = {}
    for name, pixels in pictures.items():
        parts = [pixels, pixels[:, :4], pixels[:, 4:]]
        scores = [float(histogram(part) @ histogram(asked)) for part in parts]
        best[name] = (max(scores), 0.0 if scores[1] >= scores[2] else 4.0)
    wanted = sorted(best, key=lambda name: -best[name][0])[:10]
    found = index.query(asked, top=10, boxes=True)
    assert [match.score for match in found] == pytest.approx([best[name][0] for name in wanted], abs=1e-6)
    for match in found:
        assert match.box is not None
        assert (match.score, match.box[0]) == pytest.approx(best[match.path], abs=1e-6)


def test_an_index_of_whole_pictures(tmp_path: Path) -> None:
    album = save_color(tmp_path / "album" / "a.png", "红").parent
    index = SearchIndex.open(tmp_path / "index")
    index.update(HalvesEmbedder(), album, boxes=False)
    assert index.facts is not None
    assert not index.facts.has_regions
    save_color(album / "b.png", "green")
    index.update(HalvesEmbedder(), album)  # goes on as it began
    assert [match.box for match in index.query("红", top=2)] == [None, None]
    with pytest.raises(ValueError, match="no boxes"):
        index.query("红", boxes=True)
    with pytest.raises(ValueError, match="was made without boxes"):
        index.update(HalvesEmbedder(), album, boxes=True)
    index.update(HalvesEmbedder(), album, boxes=True, rebuild=True)
    assert index.query("红", top=1, boxes=True)[0].box is not None
    with pytest.raises(ValueError, match="was made with boxes"):
        index.update(HalvesEmbedder(), album, boxes=False)
    with pytest.raises(ValueError, match="colors embeds whole pictures"):
        index.update(ColorEmbedder(), album, boxes=True, rebuild=True)
    assert len(index) == 2  # and the index is still there


def test_what_cannot_be_asked(noise: SearchIndex, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="top=0 must be 1 or more"):
        noise.query("1", top=0)
    with pytest.raises(ValueError, match="the query is empty"):
        noise.query("  \n")
    with pytest.raises(ValueError, match="alone and no boxes"):
        noise.query("1", boxes=True)
    with pytest.raises(ValueError, match="no index at"):
        SearchIndex.open(tmp_path / "none").query("1")
    other = SearchIndex.open(noise.location, embedder=ColorEmbedder())
    with pytest.raises(ValueError, match=r"was made with noise \(0\), not with colors \(c01025\)"):
        other.query("1")


def test_what_cannot_be_indexed(noise: SearchIndex, tmp_path: Path) -> None:
    album = save_color(tmp_path / "album" / "a.png", "红").parent
    with pytest.raises(ValueError, match="--rebuild"):
        noise.update(ColorEmbedder(), album)
    index = SearchIndex.open(tmp_path / "index")
    for words in ({"every": 0.0}, {"every": float("nan")}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(words))):
            index.update(ColorEmbedder(), album, **words)

    class Broken(ColorEmbedder):
        def embed_images(self, images: Sequence[Pixels]) -> Vectors:
            return super().embed_images(images) * np.float32(np.nan)

    class Wrong(ColorEmbedder):
        def embed_images(self, images: Sequence[Pixels]) -> Vectors:
            return super().embed_images(images)[:, :5]

    with pytest.raises(ValueError, match="NaN or infinite"):
        index.update(Broken(), album)
    with pytest.raises(ValueError, match=r"shape \(1, 5\), expected \(1, 64\)"):
        index.update(Wrong(), album)


def damage_data(folder: Path) -> None:
    for path in (folder / "items.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:-100])


def remove_data(folder: Path) -> None:
    for path in (folder / "items.lance" / "data").iterdir():
        path.unlink()


def damage_manifests(folder: Path) -> None:
    for path in (folder / "items.lance" / "_versions").glob("*.manifest"):
        path.write_bytes(b"garbage")


@pytest.mark.parametrize("damage", [damage_data, remove_data, damage_manifests])
def test_a_damaged_index_is_told_and_made_again(tmp_path: Path, damage: object) -> None:
    album = save_color(tmp_path / "album" / "a.png", "红").parent
    index = SearchIndex.open(tmp_path / "index")
    index.update(ColorEmbedder(), album)
    assert callable(damage)
    damage(tmp_path / "index")
    for use in (lambda: index.query("红"), lambda: index.update(ColorEmbedder(), album)):
        with pytest.raises(ValueError, match=r"cannot be read \(.*\); make it again: .* --rebuild"):
            use()
    assert index.update(ColorEmbedder(), album, rebuild=True).added == 1
    assert index.query("红")[0].path == "a.png"


def test_a_table_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = save_color(tmp_path / "album" / "a.png", "红").parent
    index = SearchIndex.open(tmp_path / "index")
    index.update(ColorEmbedder(), album)
    monkeypatch.setattr(schemas, "VERSION", 2)
    with pytest.raises(ValueError, match="its format is 1, this version of intern25 reads 2"):
        index.query("红")


def test_without_lancedb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ImportError, match=r"pip install 'intern25\[search\]'"):
        SearchIndex.open(tmp_path).query("红")
