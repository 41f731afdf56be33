# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.tokenizer import Tokenizer, train_tokenizer
from intern25.weights.create import create_model
from intern25.weights.files import save_model
from tests.generalist.small_model import small_generalist


def test_a_file_gives_the_model_back(tmp_path: Path) -> None:
    model = small_generalist()
    save_generalist(tmp_path / "m.safetensors", model, extra={"licence": "MIT"})
    loaded = load_generalist(tmp_path / "m.safetensors")
    assert loaded.model.config == model.config
    assert loaded.extra == {"licence": "MIT"}
    assert loaded.tokenizer.to_json() == Tokenizer.packaged().to_json()
    own = model.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in loaded.model.state_dict().items())


def test_half_precision_rounds_and_nothing_else(tmp_path: Path) -> None:
    model = small_generalist()
    save_generalist(tmp_path / "m.safetensors", model, dtype=torch.float16)
    own = model.state_dict()
    for name, tensor in load_generalist(tmp_path / "m.safetensors").model.state_dict().items():
        assert tensor.dtype == own[name].dtype
        torch.testing.assert_close(tensor, own[name].half().to(tensor.dtype), rtol=0, atol=0)


def test_another_tokenizer_comes_with_the_file(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a dog", "一只狗"] * 5, 300)
    save_generalist(tmp_path / "m.safetensors", small_generalist(), tokenizer=tokenizer)
    assert load_generalist(tmp_path / "m.safetensors").tokenizer.to_json() == tokenizer.to_json()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such weight file"):
        load_generalist(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_generalist(tmp_path / "m.pth", small_generalist())
    save_model(tmp_path / "c.safetensors", create_model("internimage_nano", num_classes=3))
    with pytest.raises(ValueError, match="holds no generalist"):
        load_generalist(tmp_path / "c.safetensors")
    save_generalist(tmp_path / "m.safetensors", small_generalist())
    data = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="no readable safetensors"):
        load_generalist(tmp_path / "cut.safetensors")
