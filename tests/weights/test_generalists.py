# SPDX-License-Identifier: MIT
"""Generalists beside the catalog: lists, files that are recognised, and creation by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.model import Generalist
from intern25.generalist.tokenizer import train_tokenizer
from intern25.weights.catalog import find_card, list_models
from intern25.weights.convert import convert
from intern25.weights.create import create_model
from intern25.weights.generalists import (
    GENERALIST_CARDS,
    GENERALISTS,
    GeneralistCard,
    generalist_path,
    is_generalist_file,
)
from tests.small_generalist import CONFIG, save_small_generalist, small_generalist
from tests.small_model import save_small_model

ROOT = Path(__file__).resolve().parents[2]


def test_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(GENERALISTS) <= set(list_models())
    assert list_models("intern25_t*") == ["intern25_tiny"]
    for shipped in (False, True):
        monkeypatch.setattr(GeneralistCard, "available", property(lambda card, shipped=shipped: shipped))
        assert ("intern25_tiny" in list_models(pretrained=True)) == shipped
    with pytest.raises(ValueError, match=r"is a generalist.*intern25\.load"):
        find_card("intern25_base")
    with pytest.raises(ValueError, match="did you mean 'intern25_tiny'"):
        find_card("intern25_tinny")


def test_files_are_recognised(tmp_path: Path) -> None:
    path = save_small_generalist(tmp_path / "a.safetensors")
    assert generalist_path(path) == path
    assert generalist_path(str(path)) == path
    other = save_small_model(tmp_path / "b.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:200])
    (tmp_path / "c.pth").write_bytes(b"")
    for name in (other, tmp_path / "cut.safetensors", tmp_path / "c.pth", tmp_path, tmp_path / "none.pth"):
        assert not is_generalist_file(name)
        assert generalist_path(name) is None
    assert generalist_path("internimage_t") is None


def test_weights_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: Path("none")))
    with pytest.raises(FileNotFoundError, match="does not come with this version; train one"):
        generalist_path("intern25_tiny")
    with pytest.raises(ValueError, match="no weights of intern25_large yet"):
        generalist_path("intern25_large")


def test_creation_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = create_model("intern25_tiny", device="meta")
    assert isinstance(model, Generalist)
    assert model.config == GENERALISTS["intern25_tiny"]
    assert model.training
    monkeypatch.setattr("intern25.weights.generalists.GENERALISTS", {"intern25_tiny": CONFIG})
    path = tmp_path / "small.safetensors"
    save_generalist(path, small_generalist(), dtype=torch.float16)
    loaded = create_model("intern25_tiny", pretrained=path, dtype=torch.float64)
    assert loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    for name, tensor in small_generalist().state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().double()), name
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: path))
    assert create_model("intern25_tiny", pretrained=True).special.dtype == torch.float32


def test_what_generalists_do_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no num_classes=3, features_only=True"):
        create_model("intern25_tiny", num_classes=3, features_only=True)
    path = save_small_generalist(tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="are of another generalist than intern25_tiny"):
        create_model("intern25_tiny", pretrained=path)
    other = save_small_model(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is no weight file of a generalist"):
        create_model("intern25_tiny", pretrained=other)


def test_conversion_keeps_all_that_a_file_says(tmp_path: Path) -> None:
    source, half = tmp_path / "small.safetensors", tmp_path / "half.safetensors"
    own = train_tokenizer(["red green blue"] * 4, 300)
    save_generalist(source, small_generalist(), tokenizer=own, extra={"licence": "MIT"})
    convert(source, half, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * source.stat().st_size
    loaded = load_generalist(half)
    assert loaded.tokenizer.to_json() == own.to_json()
    assert loaded.extra == {"licence": "MIT"}
    for name, tensor in small_generalist().state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor.half().float()), name
    with pytest.raises(ValueError, match="is a generalist, which is converted to layout='intern25' only"):
        convert(source, tmp_path / "official.pth", layout="official")


def test_cards_name_architectures() -> None:
    assert all(card.architecture in GENERALISTS for card in GENERALIST_CARDS.values())
    assert all(card.file == f"{name}.safetensors" for name, card in GENERALIST_CARDS.items())


def test_figures_of_the_card_are_those_of_the_evaluation() -> None:
    measured = json.loads((ROOT / "benchmarks" / "training" / "intern25_tiny" / "test.json").read_text())
    for name, percent in GENERALIST_CARDS["intern25_tiny"].metrics.items():
        task, _, figure = name.partition(".")
        assert percent == pytest.approx(100 * measured[task][figure], abs=0.051)
