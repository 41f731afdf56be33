# SPDX-License-Identifier: MIT
"""Our own generalist as an embedder: what it gives, what it is called, and an album searched by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.cli.main import main
from intern25.data.generalist_settings import SETTINGS as ENTRY
from intern25.generalist.files import load_generalist, save_generalist
from intern25.predictors import GeneralistPredictor, load_as, picture_regions
from intern25.search import RegionEmbedder, SearchIndex, open_embedder
from intern25.search.fingerprint import fingerprint_of, fingerprint_of_file
from intern25.search.generalist_embedder import GeneralistEmbedder
from intern25.search.reading import LARGEST_SIDE
from intern25.weights.generalists import GeneralistCard
from tests.used_generalist import SETTINGS, pictures, save_used_generalist

TEXTS = ["红色的公交车", "可爱毛绒绒的照片", "a red bus"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_used_generalist(tmp_path_factory.mktemp("generalist") / "small.safetensors")


@pytest.fixture(autouse=True)
def _unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are sure of no object."""
    monkeypatch.setattr(picture_regions, "SMALLEST_OBJECTNESS", 0.0)


def arrays() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    return [np.asarray(picture) for picture in pictures()]


def test_embeddings_are_those_of_the_predictor(file: Path) -> None:
    embedder = open_embedder(str(file), device="cpu")
    predictor = load_as(GeneralistPredictor, file, device="cpu")
    assert isinstance(embedder, RegionEmbedder)
    assert embedder.dimension == 32
    np.testing.assert_allclose(embedder.embed_images(arrays()), predictor.embed_image(pictures()), atol=1e-6)
    np.testing.assert_allclose(embedder.embed_texts(TEXTS), predictor.embed_text(TEXTS), atol=1e-6)
    for found, wanted in zip(
        embedder.embed_regions(arrays()), predictor.embed_regions(pictures()), strict=True
    ):
        np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-4)
        np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-6)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
    assert len(found.boxes)
    with pytest.raises(ValueError, match=r"has \d+ tokens, the model reads"):
        embedder.embed_texts(["车" * 300])


def test_the_fingerprint_is_that_of_the_file(file: Path) -> None:
    loaded = load_generalist(file)
    assert fingerprint_of_file(file) == fingerprint_of(loaded.model)
    plain = GeneralistPredictor(loaded.model, loaded.tokenizer, SETTINGS)
    # The opened one is optimised, its backbone has other tensors: an index serves machines of all kinds.
    assert open_embedder(str(file), device="cpu").fingerprint == GeneralistEmbedder("a", plain).fingerprint


def test_a_fingerprint_tells_weights_and_sizes_apart(file: Path, tmp_path: Path) -> None:
    loaded = load_generalist(file)
    with torch.no_grad():
        loaded.model.readout.projection.weight.mul_(1.01)
    save_generalist(tmp_path / "trained.safetensors", loaded.model, extra={ENTRY: SETTINGS.to_json()})
    other = replace(SETTINGS, embed_size=(64, 64))
    save_generalist(
        tmp_path / "resized.safetensors", load_generalist(file).model, extra={ENTRY: other.to_json()}
    )
    names = (file, tmp_path / "trained.safetensors", tmp_path / "resized.safetensors")
    assert len({open_embedder(str(name), device="cpu").fingerprint for name in names}) == 3


def test_the_name_opens_it_from_anywhere(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    first = open_embedder(file.name, device="cpu")
    monkeypatch.chdir(tmp_path)
    assert open_embedder(first.name, device="cpu").fingerprint == first.fingerprint


def test_an_id_is_the_name_of_what_comes_with_the_package(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: file))
    assert open_embedder("intern25_tiny", device="cpu").name == "intern25_tiny"
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: file.parent / "gone"))
    with pytest.raises(FileNotFoundError, match="does not come with this version"):
        open_embedder("intern25_tiny", device="cpu")
    with pytest.raises(ValueError, match="no weights of intern25_small yet"):
        open_embedder("intern25_small")
    with pytest.raises(ValueError, match="is no generalist"):
        GeneralistEmbedder.open("internimage_t_1k_224")


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    for number, picture in enumerate(pictures()):
        picture.save(folder / f"{number}.png")
    # Larger than what is looked at: its boxes must be those of the picture itself.
    pictures()[2].resize((2 * LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.NEAREST).save(
        folder / "large.png"
    )
    return folder


def test_an_album_is_searched_with_the_box_that_fits(
    file: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lancedb")
    place = ["--index", str(tmp_path / "index"), "--device", "cpu"]
    assert main(["search", "index", str(album), "--model", str(file), *place]) == 0
    capsys.readouterr()
    sheet = tmp_path / "sheet.png"
    words = ["search", TEXTS[0], str(album), *place, "--boxes", "--json", "--sheet", str(sheet)]
    assert main(words) == 0
    found = {row["path"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(found) == sorted(found, key=lambda path: -found[path]["score"])
    predictor = load_as(GeneralistPredictor, file, device="cpu")
    text = predictor.embed_text(TEXTS[0])[0]
    assert len(found) == 6
    for path in album.iterdir():
        picture = Image.open(path)
        scale = max(1.0, max(picture.size) / LARGEST_SIDE)
        seen = picture.resize((round(picture.width / scale), round(picture.height / scale)), reducing_gap=2.0)
        (regions,) = predictor.embed_regions(seen)
        fits = regions.embeddings @ text
        whole = float(predictor.embed_image(seen)[0] @ text)
        assert found[path.name]["score"] == pytest.approx(max(whole, fits.max()), abs=2e-4)
        assert found[path.name]["box"] == pytest.approx(
            (regions.boxes[fits.argmax()] * scale).tolist(), abs=0.1
        )
    gold = np.abs(np.asarray(Image.open(sheet).convert("RGB"), int) - [255, 196, 0]).max(axis=2) < 10
    assert gold.sum() > 200, "the boxes are drawn"


def test_an_index_opens_its_generalist_again(file: Path, album: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    SearchIndex.open(tmp_path / "index").update(open_embedder(str(file), device="cpu"), album)
    index = SearchIndex.open(tmp_path / "index", device="cpu")
    assert index.facts is not None
    assert index.facts.has_regions
    assert index.query(album / "3.png", top=1)[0].path == "3.png"
