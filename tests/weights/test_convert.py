# SPDX-License-Identifier: MIT
"""Conversion between layouts gives back every bit, and leaves nothing half written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.weights.checkpoint import read_checkpoint
from intern25.weights.convert import convert
from intern25.weights.files import read_metadata, save_model
from intern25.weights.load import load_checkpoint
from tests.weights.samples import TINY, VARIANTS, classifier, same, tensors_of


@pytest.fixture(scope="module")
def nano() -> InternImageClassifier:
    return classifier(INTERNIMAGE_NANO, 12)


@pytest.fixture
def official(nano: InternImageClassifier, tmp_path: Path) -> Path:
    tensors = tensors_of(nano)
    # A bit pattern that any arithmetic would change.
    tensors["head.bias"][:3] = torch.tensor([float("nan"), float("inf"), 1e-42])
    torch.save({"model": tensors, "epoch": 3}, tmp_path / "official.pth")
    return tmp_path / "official.pth"


def bits(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    return {n: (t.dtype, tuple(t.shape), t.contiguous().numpy().tobytes()) for n, t in tensors.items()}


@pytest.mark.parametrize(
    "route",
    [
        [("intern25", "a.safetensors")],
        [("hugging_face", "folder")],
        [("intern25", "a.safetensors"), ("hugging_face", "folder")],
        [("hugging_face", "folder"), ("intern25", "a.safetensors")],
    ],
    ids=["ours", "hugging_face", "ours_then_hugging_face", "hugging_face_then_ours"],
)
def test_round_trip_is_exact(official: Path, tmp_path: Path, route: list[tuple[Any, str]]) -> None:
    current = official
    for layout, name in route:
        convert(current, tmp_path / name, layout=layout)
        current = tmp_path / name
    convert(current, tmp_path / "back.pth", layout="official")
    assert bits(read_checkpoint(tmp_path / "back.pth").tensors) == bits(read_checkpoint(official).tensors)
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith(".part")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_own_architectures_convert_through_their_config(tmp_path: Path, variant: str) -> None:
    model = classifier(VARIANTS[variant])
    save_model(tmp_path / "a.safetensors", model)
    convert(tmp_path / "a.safetensors", tmp_path / "hf", layout="hugging_face")
    convert(tmp_path / "hf", tmp_path / "b.safetensors")
    again = InternImageClassifier(VARIANTS[variant], 10)
    load_checkpoint(again, tmp_path / "b.safetensors")
    assert same(model, again)
    assert read_metadata(tmp_path / "b.safetensors").config == model.config


def test_metadata_is_carried(official: Path, tmp_path: Path) -> None:
    named = tmp_path / "internimage_nano_caltech101.pth"
    official.rename(named)
    convert(named, tmp_path / "a.safetensors")
    metadata = read_metadata(tmp_path / "a.safetensors")
    assert metadata.config == INTERNIMAGE_NANO
    assert metadata.num_classes == 12
    assert metadata.model == "classifier"
    assert metadata.preprocessing is not None


def test_hugging_face_folder_has_its_texts(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "hf", layout="hugging_face", architecture="internimage_nano")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["num_classes"] == 12
    assert config["channels"] == 32
    names = read_checkpoint(tmp_path / "hf").tensors
    assert all(name.startswith("model.") for name in names)


def test_averaged_weights(nano: InternImageClassifier, tmp_path: Path) -> None:
    other = classifier(INTERNIMAGE_NANO, 12)
    torch.save({"model": tensors_of(nano), "model_ema": tensors_of(other)}, tmp_path / "train.pth")
    convert(tmp_path / "train.pth", tmp_path / "ema.safetensors", prefer_ema=True)
    assert bits(read_checkpoint(tmp_path / "ema.safetensors").tensors) == bits(dict(other.state_dict()))


@pytest.mark.parametrize(
    ("name", "layout", "words"),
    [
        ("a.pth", "intern25", "safetensors"),
        ("a.safetensors", "official", "pth"),
        ("official.pth", "hugging_face", "exists"),
        ("a.onnx", "onnx", "layout='onnx'"),
        ("nowhere/a.safetensors", "intern25", "does not exist"),
        ("nowhere/a", "hugging_face", "does not exist"),
    ],
)
def test_unsuitable_destinations(official: Path, tmp_path: Path, name: str, layout: Any, words: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=words):
        convert(official, tmp_path / name, layout=layout)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("layout", ["intern25", "official", "hugging_face"])
def test_interrupted_write_leaves_nothing(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Any
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    monkeypatch.setattr("torch.save", fail)
    name = {"intern25": "a.safetensors", "official": "a.pth", "hugging_face": "a"}[layout]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="disk full"):
        convert(official, tmp_path / name, layout=layout)
    assert sorted(tmp_path.iterdir()) == before


def test_existing_file_survives_a_failed_write(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"precious")
    monkeypatch.setattr("safetensors.torch.save_file", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        convert(official, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == b"precious"


def test_unknown_sizes(tmp_path: Path) -> None:
    torch.save({"model": tensors_of(classifier(TINY))}, tmp_path / "tiny.pth")
    with pytest.raises(ValueError, match="no published architecture"):
        convert(tmp_path / "tiny.pth", tmp_path / "a.safetensors")


def test_wrong_architecture(official: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another architecture"):
        convert(official, tmp_path / "a.safetensors", architecture="internimage_h")
    convert(official, tmp_path / "hf", layout="hugging_face")
    with pytest.raises(ValueError, match="channels=32 instead of 64"):
        convert(tmp_path / "hf", tmp_path / "a.safetensors", architecture="internimage_t")


def test_half_precision_halves_the_file(nano: InternImageClassifier, tmp_path: Path) -> None:
    save_model(tmp_path / "full.safetensors", nano)
    convert(tmp_path / "full.safetensors", tmp_path / "half.safetensors", dtype=torch.float16)
    sizes = [(tmp_path / name).stat().st_size for name in ("full.safetensors", "half.safetensors")]
    assert sizes[1] < 0.52 * sizes[0]
    half = read_checkpoint(tmp_path / "half.safetensors").tensors
    for name, tensor in nano.state_dict().items():
        expected = tensor.half() if tensor.is_floating_point() else tensor
        assert torch.equal(half[name], expected), name


def test_values_too_large_for_half_precision_are_refused(nano: InternImageClassifier, tmp_path: Path) -> None:
    tensors = tensors_of(nano)
    tensors["head.bias"][0] = 1e6
    torch.save({"model": tensors}, tmp_path / "large.pth")
    with pytest.raises(ValueError, match=r"reaches 1e\+06, too large for torch.float16"):
        convert(tmp_path / "large.pth", tmp_path / "half.safetensors", dtype=torch.float16)
    assert not (tmp_path / "half.safetensors").exists()
