# SPDX-License-Identifier: MIT
"""What is said of a weight file of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from intern25.backbones.classifier import InternImageClassifier
from intern25.weights.create import create_model
from intern25.weights.file_facts import file_facts
from intern25.weights.files import save_model
from tests.small_generalist import save_small_generalist, small_generalist
from tests.small_model import SMALL


def test_a_classifier_says_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = create_model("internimage_nano", num_classes=5)
    save_model(path, model)
    facts = file_facts(path)
    assert (facts["holds"], facts["layout"], facts["num_classes"]) == ("classifier", "intern25", 5)
    assert facts["tensors"] == len(model.state_dict())
    assert facts["values"] == sum(tensor.numel() for tensor in model.state_dict().values())


def test_an_architecture_of_ones_own_is_told_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(InternImageClassifier(SMALL, 3).state_dict(), path)
    facts = file_facts(path)
    assert facts["holds"] == "classifier"
    assert "which no published architecture has" in facts["notes"][0]


def test_a_generalist_is_one(tmp_path: Path) -> None:
    facts = file_facts(save_small_generalist(tmp_path / "a.safetensors"))
    assert facts["holds"] == "generalist"
    assert facts["tensors"] == len(small_generalist().state_dict())


def test_what_holds_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"fc.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="holds no InternImage"):
        file_facts(path)
    with pytest.raises(FileNotFoundError):
        file_facts(tmp_path / "b.pth")
