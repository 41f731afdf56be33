# SPDX-License-Identifier: MIT
"""This package's own weight file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImage
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.data.class_names import ClassNames
from intern25.data.preprocessing import Preprocessing
from intern25.weights.files import read_metadata, save_model, write_tensors, write_whole
from intern25.weights.load import load_checkpoint
from tests.weights.samples import TINY, VARIANTS, classifier, same

CLASSES = ClassNames(en=("cat", 'a "quoted" dog'), zh=("猫", "狗"))


def test_everything_comes_back(tmp_path: Path) -> None:
    model = classifier(num_classes=2)
    preprocessing = Preprocessing(96, crop="squash", mean=(0.1, 0.2, 0.3))
    path = tmp_path / "m.safetensors"
    save_model(
        path, model, classes=CLASSES, preprocessing=preprocessing, extra={"licence": "MIT", "配方": "慢"}
    )
    metadata = read_metadata(path)
    assert metadata.config == model.config
    assert isinstance(metadata.config.depths, tuple)
    assert metadata.classes == CLASSES
    assert metadata.preprocessing == preprocessing
    assert metadata.num_classes == 2
    assert metadata.model == "classifier"
    assert metadata.extra == {"licence": "MIT", "配方": "慢"}
    assert metadata.version is not None
    again = InternImageClassifier(metadata.config, 2)
    assert load_checkpoint(again, path).is_complete
    assert same(model, again)


@pytest.mark.parametrize("variant", VARIANTS)
def test_configs_survive(tmp_path: Path, variant: str) -> None:
    save_model(tmp_path / "m.safetensors", classifier(VARIANTS[variant]))
    assert read_metadata(tmp_path / "m.safetensors").config == VARIANTS[variant]


def test_kinds(tmp_path: Path) -> None:
    save_model(tmp_path / "b.safetensors", InternImage(TINY))
    assert read_metadata(tmp_path / "b.safetensors").model == "backbone"
    assert read_metadata(tmp_path / "b.safetensors").num_classes is None
    save_model(tmp_path / "m.safetensors", InternImageMetaClassifier(TINY, 4))
    assert read_metadata(tmp_path / "m.safetensors").model == "metadata_classifier"
    with pytest.raises(TypeError, match="Linear"):
        save_model(tmp_path / "l.safetensors", nn.Linear(2, 2))


def test_views_and_shared_memory_are_stored_whole(tmp_path: Path) -> None:
    model = classifier(num_classes=10)
    model.classifier.weight = nn.Parameter(torch.randn(192, 10).t())
    save_model(tmp_path / "m.safetensors", model)
    assert torch.equal(load_file(tmp_path / "m.safetensors")["classifier.weight"], model.classifier.weight)
    tied = classifier(num_classes=10)
    first, second = (
        tied.backbone.stages[0].blocks[0].dcn.pre_norm,
        tied.backbone.stages[0].blocks[0].mlp.pre_norm,
    )
    second.weight = first.weight
    save_model(tmp_path / "t.safetensors", tied)
    again = InternImageClassifier(TINY, 10)
    assert load_checkpoint(again, tmp_path / "t.safetensors").is_complete
    assert same(tied, again)
    big = torch.zeros(10_000)
    write_tensors(tmp_path / "v.safetensors", {"slice": big[5:8]}, {})
    assert (tmp_path / "v.safetensors").stat().st_size < 1000


def test_user_mistakes(tmp_path: Path) -> None:
    model = classifier(num_classes=10)
    with pytest.raises(ValueError, match="2 class names for a model with 10"):
        save_model(tmp_path / "m.safetensors", model, classes=CLASSES)
    with pytest.raises(ValueError, match=r"\.safetensors"):
        save_model(tmp_path / "m.pth", model)
    with pytest.raises(FileNotFoundError):
        read_metadata(tmp_path / "m.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no readable safetensors"):
        read_metadata(tmp_path / "broken.safetensors")


def test_files_of_others_have_no_metadata(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    metadata = read_metadata(tmp_path / "a.safetensors")
    assert metadata.config is None
    assert metadata.classes is None
    assert metadata.extra == {}


@pytest.mark.parametrize("entry", ["config", "classes", "preprocessing", "num_classes"])
def test_damaged_header(tmp_path: Path, entry: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={f"intern25.{entry}": "{broken"})
    with pytest.raises(ValueError, match=f"entry '{entry}'"):
        read_metadata(tmp_path / "a.safetensors")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", lambda path: path.write_bytes(b"x"))
    (tmp_path / "b").write_bytes(b"x")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.zeros(1)}, {})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write the weights .*a\.safetensors: .*too large"):
            write_tensors(path, {"a": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
