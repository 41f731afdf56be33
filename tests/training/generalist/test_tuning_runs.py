# SPDX-License-Identifier: MIT
"""Whole runs of prompt tuning, of LoRA in a language model, and of pre-training, on a few pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.language_core import LanguageCore
from intern25.generalist.language_tokenizer import LanguageTokenizer
from intern25.generalist.prompt_tuning import class_heads_of, prompts_of
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.checkpoint import load_checkpoint_state
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture
from intern25.training.generalist.own.settings import OwnSettings
from intern25.training.generalist.own_data import own_mixture
from intern25.training.generalist.run import MultiTaskModel, train_generalist
from intern25.training.generalist.start import starting_model, starting_tokenizer
from tests.generalist.small_language_model import save_small_qwen2
from tests.generalist.small_model import small_generalist
from tests.training.generalist import own_files


class Messages:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, update: int, total: int, values: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.safetensors"
    save_generalist(path, small_generalist())
    return path


def config(output: Path, **changes: object) -> GeneralistTrainConfig:
    settings: dict[str, object] = {
        "output": str(output), "updates": 10, "base_lr": 3e-3, "warmup_updates": 2, "eval_updates": 10,
        "log_every": 5, "workers": 0, "tensorboard": False, "device": "cpu", "ema_decay": 0.0, **changes,
    }  # fmt: skip
    return GeneralistTrainConfig(**settings)  # type: ignore[arg-type]


def mixture(data: Path, kind: str, tokenizer: Tokenizer | None = None) -> Mixture:
    settings = OwnSettings(tokenizer=tokenizer or Tokenizer.packaged(), image_size=64)
    return own_mixture(str(data), (kind,), settings).scaled(0.25)


def test_prompt_tuning_leaves_nearly_all_weights_as_they_were(tmp_path: Path, start: Path) -> None:
    data = own_files.classes(tmp_path / "my")
    settings = config(tmp_path / "run", pretrained=str(start), prompt_tuning=4, updates=30, eval_updates=30)
    reporter = Messages()
    result = train_generalist(settings, mixture(data, "classify"), reporter=reporter)
    tuned = load_generalist(result.output / "final.safetensors").model
    assert prompts_of(tuned) == 4
    assert class_heads_of(tuned) == {"classify": 2}
    before, after = load_generalist(start).model.state_dict(), tuned.state_dict()
    norms = {name for name, module in tuned.named_modules() if isinstance(module, nn.LayerNorm)}
    trained = {name for name in before if name.rsplit(".", 1)[0] in norms} | {"special"}
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - trained)
    assert not torch.equal(after["special"], before["special"])
    assert after["decoder.prompt_values"].any()
    assert after["class_heads.classify.linear.weight"].any()
    assert result.metrics["classify.top1_en"] == 1.0
    # The count is said: everything but what stayed the same, the prompts and the head.
    count = sum(tensor.numel() for name, tensor in after.items() if name in trained or name not in before)
    assert any(line.startswith(f"trained: {count:,} of ") for line in reporter.lines)
    # It goes on from its own file.
    again = config(
        tmp_path / "more", pretrained=str(result.output / "final.safetensors"), prompt_tuning=4, updates=1,
        warmup_updates=0,
    )  # fmt: skip
    assert train_generalist(again, mixture(data, "classify")).metrics["classify.top1_en"] == 1.0


def test_lora_in_a_language_model(tmp_path: Path, start: Path) -> None:
    pytest.importorskip("peft")
    folder = save_small_qwen2(tmp_path / "qwen2")
    data = own_files.questions(tmp_path / "my")
    settings = config(tmp_path / "run", pretrained=str(start), text_core=str(folder), lora=4)
    tokenizer = starting_tokenizer(settings)
    assert isinstance(tokenizer, LanguageTokenizer)
    before = starting_model(settings, mixture(data, "vqa", tokenizer))
    reporter = Messages()
    result = train_generalist(settings, mixture(data, "vqa", tokenizer), reporter=reporter)
    assert any(line.startswith("trained: ") for line in reporter.lines)
    loaded = load_generalist(result.output / "final.safetensors")
    assert isinstance(loaded.model.text_core, LanguageCore)
    old, new = before.state_dict(), loaded.model.state_dict()
    base = [name for name in old if name.startswith("text_core.") and ".lora_" not in name]
    assert base
    assert all(torch.equal(new[name], old[name]) for name in base)
    # The second matrix of LoRA starts at 0.
    assert all(bool(new[name].any()) for name in old if ".lora_B." in name and "embed" not in name)
    size = (result.output / "final.safetensors").stat().st_size
    assert size < 4.6 * sum(t.numel() for name, t in new.items() if name not in base)
    assert (
        0.0 <= mixture(data, "vqa", loaded.tokenizer).parts[0].task.evaluate(loaded.model)["accuracy"] <= 1.0
    )

    # A second run goes on from the file, which says how large its LoRA is.
    again = config(
        tmp_path / "more", pretrained=str(result.output / "final.safetensors"), updates=1, warmup_updates=0
    )
    assert isinstance(starting_tokenizer(again), LanguageTokenizer)
    assert train_generalist(again, mixture(data, "vqa", tokenizer)).finished
    file = str(result.output / "final.safetensors")
    other = config(tmp_path / "x", pretrained=file, text_core=str(folder), lora=8)
    with pytest.raises(ValueError, match="has LoRA of rank 4, not lora=8"):
        starting_model(other, mixture(data, "vqa", tokenizer))


def test_a_second_stage_starts_from_pre_training(tmp_path: Path, start: Path) -> None:
    data = own_files.classes(tmp_path / "my")
    first = train_generalist(
        config(tmp_path / "first", pretrained=str(start), updates=6, eval_updates=6, ema_decay=0.9),
        mixture(data, "pretrain"),
    )
    assert first.finished
    assert "pretrain.top1_en" in first.metrics
    weights = load_generalist(first.output / "final.safetensors").model
    assert set(weights.state_dict()) == set(small_generalist().state_dict())
    checkpoint = load_checkpoint_state(first.output)
    assert checkpoint is not None
    kept = [name for name in checkpoint["model"] if name.startswith("objectives.pretrain.objective.")]
    assert any(".target." in name for name in kept)
    assert any(".predictor." in name for name in kept)
    second = config(
        tmp_path / "second", pretrained=str(first.output / "final.safetensors"), updates=1, warmup_updates=0
    )
    assert train_generalist(second, mixture(data, "classify")).finished


def test_a_stopped_pre_training_goes_on_to_the_same_weights(tmp_path: Path, start: Path) -> None:
    data = own_files.captions(tmp_path / "my")
    common: dict[str, object] = {"pretrained": str(start), "updates": 4, "eval_updates": 4, "ema_decay": 0.9}
    whole = train_generalist(config(tmp_path / "whole", **common), mixture(data, "pretrain"))
    for _ in range(4):  # each start does one update and stops
        cut = train_generalist(
            config(tmp_path / "cut", max_seconds=1e-6, **common), mixture(data, "pretrain")
        )
    assert cut.updates == 4
    ours, theirs = (
        load_generalist(folder / "final.safetensors").model.state_dict()
        for folder in (whole.output, cut.output)
    )
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    ours, theirs = (load_checkpoint_state(folder)["model"] for folder in (whole.output, cut.output))  # type: ignore[index]
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_copy_of_the_model_has_a_target_encoder_of_its_own(tmp_path: Path) -> None:
    parts = mixture(own_files.classes(tmp_path / "my"), "pretrain")
    model = MultiTaskModel(small_generalist(), parts)
    twin = copy.deepcopy(model)
    for parameter in model.objectives.parameters():
        parameter.data += 1
    pairs = zip(model.objectives.parameters(), twin.objectives.parameters(), strict=True)
    assert all((a - b).abs().min() > 0.5 for a, b in pairs)
    assert set(twin.state_dict()) == set(model.state_dict())


def test_batches_are_scaled(tmp_path: Path) -> None:
    data = own_files.classes(tmp_path / "my")
    (part,) = own_mixture(str(data), ("classify",), OwnSettings(tokenizer=Tokenizer.packaged())).parts
    assert part.batch_size == 32
    assert Mixture((part,)).scaled(0.5).parts[0].batch_size == 16
    assert Mixture((part,)).scaled(0.001).parts[0].batch_size == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": 4}, "lora=4 needs text_core"),
        ({"lora": 4, "text_core": "x", "prompt_tuning": 3}, "use one, then the other"),
        ({"image_size": 50}, "image_size=50 must be a multiple of 32"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0 must lie between 0 and 1"),
        ({"prompt_tuning": -1}, "prompt_tuning=-1 must be at least 0"),
    ],
)
def test_settings_that_cannot_be_meant(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneralistTrainConfig(**changes)
