# SPDX-License-Identifier: MIT
"""``create_model`` and ``list_models``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

import intern25
from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_NANO, InternImage
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.weights.catalog import ARCHITECTURES, CARDS, find_card, list_models
from intern25.weights.create import create_model
from intern25.weights.files import save_model
from tests.weights.samples import classifier, same, tensors_of


@pytest.fixture(scope="module")
def nano() -> InternImageClassifier:
    return classifier(INTERNIMAGE_NANO, 7)


@pytest.fixture
def file(nano: InternImageClassifier, tmp_path: Path) -> Path:
    torch.save({"model": tensors_of(nano)}, tmp_path / "nano.pth")
    return tmp_path / "nano.pth"


def test_list_models() -> None:
    everything = list_models()
    assert everything == sorted(everything)
    assert set(ARCHITECTURES) <= set(everything)
    assert set(CARDS) <= set(everything)
    assert list_models("internimage_l*", pretrained=True) == [
        "internimage_l_22k_192to384",
        "internimage_l_22kto1k_384",
    ]
    assert not set(ARCHITECTURES) & set(list_models(pretrained=True))
    assert list_models("nothing*") == []


def test_models_whose_packaged_file_is_absent_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "intern25.weights.catalog.ModelCard.available", property(lambda card: card.source == "hub")
    )
    assert "internimage_nano_caltech101" not in list_models(pretrained=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("internimage_tt", "internimage_t"),
        ("internimage_t_1k", "internimage_t_1k_224"),
        ("INTERNIMAGE_L", "list_models"),
        ("", "list_models"),
    ],
)
def test_unknown_names_show_the_nearest(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_card(name)
    with pytest.raises(ValueError, match=words):
        create_model(name)


def test_fresh_model() -> None:
    model = create_model("internimage_nano", num_classes=5, drop_path=0.3)
    assert isinstance(model, InternImageClassifier)
    assert model.num_classes == 5
    assert model.config.drop_path == 0.3
    assert create_model("internimage_nano", device="meta").num_classes == 1000
    assert create_model("internimage_l_22k_192to384", device="meta").num_classes == 21841
    assert create_model("internimage_nano", dtype=torch.float64).classifier.weight.dtype == torch.float64
    assert isinstance(create_model("internimage_h_22ktoinat18_384", device="meta"), InternImageMetaClassifier)


def test_features_only() -> None:
    model = create_model("internimage_nano", features_only=True, out_indices=(1, 3))
    assert isinstance(model, InternImage)
    assert model.feature_info.channels() == [64, 256]
    assert model.feature_info.reduction() == [8, 32]
    assert [tuple(f.shape) for f in model(torch.zeros(1, 3, 64, 64))] == [(1, 64, 8, 8), (1, 256, 2, 2)]
    with pytest.raises(ValueError, match="features_only=True"):
        create_model("internimage_nano", out_indices=(1, 3))


@pytest.mark.parametrize("layout", ["official", "hugging_face", "intern25"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_path(nano: InternImageClassifier, tmp_path: Path, layout: Any, suffix: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / f"w{suffix}"
    tensors = tensors_of(nano, layout)
    torch.save(tensors, path) if suffix == ".pth" else save_file(tensors, path)
    for form in (path, str(path)):
        model = create_model("internimage_nano", pretrained=form)
        assert same(model, nano)
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())


def test_training_does_not_write_into_the_file(nano: InternImageClassifier, file: Path) -> None:
    before = file.read_bytes()
    model = create_model("internimage_nano", pretrained=file)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert file.read_bytes() == before
    assert same(create_model("internimage_nano", pretrained=file), nano)


def test_type_of_parameters(file: Path) -> None:
    model = create_model("internimage_nano", pretrained=file, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    half = {n: t.half() for n, t in model.state_dict().items() if t.is_floating_point()}
    torch.save({"state_dict": half}, file)
    assert create_model("internimage_nano", pretrained=file).classifier.weight.dtype == torch.float32


def test_backbone_from_a_classifier_file(nano: InternImageClassifier, file: Path) -> None:
    model = create_model("internimage_nano", pretrained=file, features_only=True)
    assert same(model, nano.backbone)


def test_classifier_from_a_backbone_file(
    nano: InternImageClassifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(tmp_path / "b.safetensors", nano.backbone)
    model = create_model("internimage_nano", pretrained=tmp_path / "b.safetensors", num_classes=3)
    assert same(model.backbone, nano.backbone)
    assert 0.015 < model.classifier.weight.std().item() < 0.025
    assert "missing in the file" in caplog.text


def test_class_counts(nano: InternImageClassifier, file: Path) -> None:
    assert create_model("internimage_nano", pretrained=file).num_classes == 7
    with pytest.raises(ValueError, match="7 classes, the model has 3"):
        create_model("internimage_nano", pretrained=file, num_classes=3)
    model = create_model("internimage_nano", pretrained=file, num_classes=3, on_class_mismatch="reset")
    assert model.classifier.weight.shape == (3, 384)
    assert model.classifier.weight.abs().max().item() < 1e-4
    assert model.classifier.weight.requires_grad
    assert same(model.backbone, nano.backbone)
    assert isinstance(
        create_model("internimage_nano", pretrained=file, num_classes=0).classifier, torch.nn.Identity
    )


def test_fresh_norm_counters(nano: InternImageClassifier, tmp_path: Path) -> None:
    """Files saved without BatchNorm's counters, as some tools do, load without a word."""
    tensors = {n: t for n, t in tensors_of(nano).items() if not n.endswith("num_batches_tracked")}
    torch.save({"model": tensors}, tmp_path / "w.pth")
    model = create_model("internimage_nano", pretrained=tmp_path / "w.pth")
    assert model.head.norm.num_batches_tracked.item() == 0


def test_device_meta_holds_no_weights(file: Path) -> None:
    with pytest.raises(ValueError, match="meta"):
        create_model("internimage_nano", pretrained=file, device="meta")


def test_wrong_weights(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        create_model("internimage_t", pretrained=file, num_classes=7)
    with pytest.raises(FileNotFoundError, match="internimage_t_1k_224"):
        create_model("internimage_t", pretrained=str(tmp_path / "typo.pth"))
    with pytest.raises(FileNotFoundError, match="no model id"):
        create_model("internimage_t", pretrained="folder/typo.pth")
    with pytest.raises(FileNotFoundError, match="no model id"):
        create_model("internimage_t", pretrained="internimage_t_1k_225")


def test_stated_config_is_checked(nano: InternImageClassifier, tmp_path: Path) -> None:
    """An offset scale changes every number but no shape."""
    other = InternImageClassifier(dataclasses.replace(INTERNIMAGE_NANO, offset_scale=2.0), 7)
    save_model(tmp_path / "m.safetensors", other)
    with pytest.raises(ValueError, match=r"offset_scale=2\.0 instead of 1\.0"):
        create_model("internimage_nano", pretrained=tmp_path / "m.safetensors")


def test_public_names() -> None:
    assert intern25.create_model is create_model
    assert intern25.list_models is list_models
    assert set(intern25.__all__) == set(dir(intern25))
    assert callable(intern25.ops.dcnv3)
    with pytest.raises(AttributeError, match="create_model"):
        intern25.nonsense  # noqa: B018
