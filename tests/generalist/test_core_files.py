# SPDX-License-Identifier: MIT
"""Generalists with a language model as text core: what trains, what is written, what is loaded again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from intern25.data.tensor_files import write_tensors
from intern25.generalist import core_files
from intern25.generalist.files import has_text_core, load_generalist, save_generalist
from intern25.generalist.generation import Generation
from intern25.generalist.language_core import LanguageCore, LanguageCoreConfig
from intern25.generalist.language_tokenizer import LanguageTokenizer
from intern25.generalist.model import Generalist
from intern25.generalist.routing import ANSWERING, MATCHING
from intern25.generalist.tokenizer import Tokenizer
from intern25.generalist.writing import written_answers
from intern25.training.generalist.start import with_text_core
from tests.generalist.small_language_model import save_small_qwen2
from tests.generalist.small_model import SMALL, small_generalist

pytest.importorskip("transformers")
pytest.importorskip("peft")

TEXTS = ["a dog", "two dogs run"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_qwen2(tmp_path_factory.mktemp("qwen2"))


def made(folder: Path, **core: object) -> Generalist:
    """A generalist around the language model, all of whose own weights are random."""
    config = LanguageCoreConfig(name_or_path=str(folder), **core)  # type: ignore[arg-type]
    torch.manual_seed(1)
    model = Generalist(SMALL, text_core=LanguageCore(config))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (parameter.ndim > 1 or "lora" in name):
            parameter.data += 0.1 * torch.randn_like(parameter)  # LoRA's second matrix starts at 0
    return model.eval()


def embedded(model: Generalist, tokenizer: Tokenizer) -> Tensor:
    with torch.no_grad():
        return model.embed_texts(tokenizer.encode(TEXTS, max_length=16), MATCHING)


def tensors_of(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict


def test_only_lora_of_the_language_model_gets_gradients(folder: Path) -> None:
    model = made(folder, lora_rank=4).train()
    tokenizer = cast(Tokenizer, LanguageTokenizer(str(folder)))
    x = model.embed_images(model.encode_image(torch.randn(2, 3, 64, 64)), MATCHING)
    y = model.embed_texts(tokenizer.encode(TEXTS, max_length=16), MATCHING)
    model.readout.contrastive_loss(x, y, "retrieval").backward()
    graded = {n for n, p in model.named_parameters() if n.startswith("text_core.") and p.grad is not None}
    lora = {n for n, _ in model.named_parameters() if n.startswith("text_core.") and ".lora_" in n}
    assert graded == lora
    # seven linear layers in each of two layers, two matrices each
    assert len(lora) == 2 * 7 * 2
    assert model.text_projection.weight.grad is not None
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.backbone.parameters())


def test_a_file_holds_lora_and_the_rest_and_gives_the_same_model(folder: Path, tmp_path: Path) -> None:
    model = made(folder, lora_rank=4)
    path = tmp_path / "tuned.safetensors"
    save_generalist(path, model, extra={"licence": "MIT"})
    names = set(tensors_of(path))
    own = {name for name in names if not name.startswith("text_core.")}
    assert own == {name for name in model.state_dict() if not name.startswith("text_core.")}
    assert all(".lora_" in name for name in names - own)
    assert len(names - own) == 28
    assert has_text_core(path)

    loaded = load_generalist(path)
    assert isinstance(loaded.tokenizer, LanguageTokenizer)
    assert loaded.extra == {"licence": "MIT"}
    torch.testing.assert_close(embedded(loaded.model, loaded.tokenizer), embedded(model, loaded.tokenizer))
    features = model.encode_image(torch.zeros(2, 3, 64, 64))
    prompts = loaded.tokenizer.encode(TEXTS, max_length=16)
    settings = Generation(max_length=5)
    with torch.no_grad():
        ours, theirs = (
            written_answers(m, features, prompts, loaded.tokenizer, settings) for m in (model, loaded.model)
        )
        assert [answer.text for answer in ours] == [answer.text for answer in theirs]
        prefix = loaded.model.prefix(features, prompts, ANSWERING)
    assert len(prefix) == 2
    trained = {n for n, p in loaded.model.named_parameters() if p.requires_grad}
    assert trained == {n for n, p in model.named_parameters() if p.requires_grad}


def test_lora_matters_and_a_frozen_core_needs_none(folder: Path, tmp_path: Path) -> None:
    with_lora, without = made(folder, lora_rank=4), made(folder)
    tokenizer = cast(Tokenizer, LanguageTokenizer(str(folder)))
    without.load_state_dict(
        {n: t for n, t in with_lora.state_dict().items() if not n.startswith("text_core.")}, strict=False
    )
    assert (embedded(with_lora, tokenizer) - embedded(without, tokenizer)).abs().max() > 1e-3
    path = tmp_path / "frozen.safetensors"
    save_generalist(path, without)
    assert not any(name.startswith("text_core.") for name in tensors_of(path))
    torch.testing.assert_close(embedded(load_generalist(path).model, tokenizer), embedded(without, tokenizer))


def test_a_core_that_was_tuned_whole_is_in_the_file(folder: Path, tmp_path: Path) -> None:
    model = made(folder, freeze=False)
    tokenizer = cast(Tokenizer, LanguageTokenizer(str(folder)))
    path = tmp_path / "whole.safetensors"
    save_generalist(path, model)
    assert set(tensors_of(path)) == set(model.state_dict())
    torch.testing.assert_close(embedded(load_generalist(path).model, tokenizer), embedded(model, tokenizer))


def test_the_folder_may_have_moved(folder: Path, tmp_path: Path) -> None:
    moved = save_small_qwen2(tmp_path / "first")
    model = made(moved, lora_rank=2)
    path = tmp_path / "tuned.safetensors"
    save_generalist(path, model)
    moved.rename(tmp_path / "second")
    with pytest.raises(ValueError, match=r"language model '.*first', which is no folder here.*--text-core"):
        load_generalist(path)
    loaded = load_generalist(path, text_core=str(folder))  # the same weights elsewhere
    torch.testing.assert_close(embedded(loaded.model, loaded.tokenizer), embedded(model, loaded.tokenizer))
    core = cast(LanguageCore, loaded.model.text_core)
    assert core.config.name_or_path == str(folder)


def test_another_language_model_of_the_same_sizes_is_noticed(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tuned.safetensors"
    save_generalist(path, made(folder, lora_rank=2))
    other = save_small_qwen2(tmp_path / "other", seed=4)
    with pytest.raises(ValueError, match=r"trained with another language model than the one at '.*other'"):
        load_generalist(path, text_core=str(other))


def test_a_file_alone_downloads_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, header = tmp_path / "tuned.safetensors", json.dumps(dataclasses.asdict(SMALL))
    named = {**dataclasses.asdict(LanguageCoreConfig(name_or_path="somebody/model")), "mark": ""}
    write_tensors(
        path,
        {},
        {
            "intern25.model": '"generalist"',
            "intern25.config": header,
            "intern25.text_core": json.dumps(named),
        },
    )
    asked: list[str] = []

    class _StoppedError(RuntimeError):
        pass

    def core(config: LanguageCoreConfig) -> None:
        asked.append(config.name_or_path)
        raise _StoppedError

    monkeypatch.setattr(core_files, "LanguageCore", core)
    with pytest.raises(ValueError, match="language model 'somebody/model', which is no folder here"):
        load_generalist(path)
    assert asked == []
    with pytest.raises(_StoppedError):
        load_generalist(path, text_core="the/users")
    assert asked == ["the/users"]


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    save_generalist(own, small_generalist())
    assert not has_text_core(own)
    with pytest.raises(ValueError, match="has a text core of its own"):
        load_generalist(own, text_core=str(folder))

    model = made(folder, lora_rank=2)
    path = tmp_path / "tuned.safetensors"
    save_generalist(path, model)
    with safe_open(path, framework="pt") as file:
        header = dict(file.metadata())
    tensors = tensors_of(path)
    lost = next(name for name in tensors if ".lora_" in name)
    write_tensors(path, {n: t for n, t in tensors.items() if n != lost}, header)
    with pytest.raises(ValueError, match="1 tensors are missing"):
        load_generalist(path)
    write_tensors(path, tensors, {**header, "intern25.text_core": '{"name_or_path": 3}'})
    with pytest.raises(ValueError, match="the text core in its header cannot be read"):
        load_generalist(path)

    cast(LanguageCore, model.text_core).merge_lora()
    with pytest.raises(ValueError, match="save the generalist before merge_lora"):
        save_generalist(path, model)
    with pytest.raises(FileNotFoundError, match="no such weight file"):
        has_text_core(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not tensors")
    with pytest.raises(ValueError, match="no readable safetensors file"):
        has_text_core(tmp_path / "text.safetensors")


def test_another_text_core_keeps_everything_else(folder: Path) -> None:
    old = small_generalist()
    new = with_text_core(old, LanguageCore(LanguageCoreConfig(name_or_path=str(folder), lora_rank=2)))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            new.embed_images(new.encode_image(images), MATCHING),
            old.embed_images(old.encode_image(images), MATCHING),
        )
    assert isinstance(new.text_core, LanguageCore)
    assert not torch.equal(new.text_projection.weight, old.text_projection.weight)
