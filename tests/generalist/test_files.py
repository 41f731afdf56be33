# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from intern25.data.tensor_files import write_tensors
from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.model import Generalist
from intern25.generalist.routing import DETECTION
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


@torch.no_grad()
@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16])
def test_what_was_loaded_is_ready_for_use(tmp_path: Path, dtype: torch.dtype | None) -> None:
    model, images = small_generalist(), torch.randn(2, 3, 64, 64)
    save_generalist(tmp_path / "m.safetensors", model, dtype=dtype)
    loaded = load_generalist(tmp_path / "m.safetensors").model
    assert not loaded.training
    assert all(p.requires_grad and p.device.type == "cpu" for p in loaded.parameters())
    found, expected = (m.embed_images(m.encode_image(images, regions=3), DETECTION) for m in (loaded, model))
    torch.testing.assert_close(found, expected, atol=1e-6 if dtype is None else 5e-2, rtol=0)


def damaged(path: Path, **changes: str) -> Path:
    """A file with other entries in its header."""
    save_generalist(path, small_generalist())
    with safe_open(path, framework="pt") as file:
        header = dict(file.metadata())
    tensors = load_file(path)
    header |= {f"intern25.{name}": text for name, text in changes.items()}
    write_tensors(path, tensors, header)
    return path


@pytest.mark.parametrize("config", ["{", "[]", "7", "{}", '{"width": 3}'])
def test_an_architecture_that_cannot_be_read(tmp_path: Path, config: str) -> None:
    with pytest.raises(ValueError, match=r"the architecture in its header cannot be read"):
        load_generalist(damaged(tmp_path / "m.safetensors", config=config))


@pytest.mark.parametrize("change", [{"layers": 3}, {"width": 64}])
def test_tensors_of_another_architecture(tmp_path: Path, change: dict[str, int]) -> None:
    config = json.dumps(dataclasses.asdict(small_generalist().config) | change)
    with pytest.raises(ValueError, match=r"m\.safetensors does not fit its own architecture"):
        load_generalist(damaged(tmp_path / "m.safetensors", config=config))


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a tokenizer definition"):
        load_generalist(damaged(tmp_path / "m.safetensors", tokenizer="{}"))


@pytest.mark.parametrize("length", [0, 4, 300])
def test_a_file_cut_in_its_header(tmp_path: Path, length: int) -> None:
    path = damaged(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"m\.safetensors is no readable safetensors file"):
        load_generalist(path)


def test_what_could_not_be_loaded_again_is_not_written(tmp_path: Path) -> None:
    class Other(torch.nn.Module):
        width, embedding = 32, torch.nn.Embedding(9, 32)

    model = small_generalist()
    small = Generalist(
        dataclasses.replace(model.config, text=dataclasses.replace(model.config.text, vocabulary=50))
    )
    with pytest.raises(ValueError, match="the tokenizer has 6144 tokens, but the model knows 50"):
        save_generalist(tmp_path / "m.safetensors", small, tokenizer=Tokenizer.packaged())
    with pytest.raises(TypeError, match="whose text core is a Other"):
        save_generalist(tmp_path / "m.safetensors", Generalist(model.config, text_core=Other()))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
