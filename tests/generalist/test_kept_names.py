# SPDX-License-Identifier: MIT
"""Names are embedded once, and again after whatever changes the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from intern25.generalist.kept_names import KeptNames
from intern25.generalist.model import Generalist
from intern25.generalist.routing import DETECTION, MATCHING
from intern25.generalist.tokenizer import Tokenizer
from intern25.predictors.list_segments import ListQuerySegmenter
from tests.small_generalist import small_generalist

NAMES = Tokenizer.packaged().encode(("cat", "一只狗", "red bus"), max_length=8)


def other_weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {name: t + 0.3 * torch.randn_like(t) for name, t in small_generalist().state_dict().items()}


def load(model: Generalist) -> None:
    model.load_state_dict(other_weights())


def load_a_part(model: Generalist) -> None:
    part = {k.removeprefix("decoder."): t for k, t in other_weights().items() if k.startswith("decoder.")}
    model.decoder.load_state_dict(part)


def put_others_there(model: Generalist) -> None:
    model.load_state_dict(other_weights(), assign=True)


def train_a_little(model: Generalist) -> None:
    """One step while the lists of names know nothing of it."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with torch.enable_grad():
        model.embed_texts(NAMES, MATCHING)[:, 0].sum().backward()
    optimizer.step()
    model.eval()


@torch.no_grad()
@pytest.mark.parametrize("change", [load, load_a_part, put_others_there, train_a_little])
def test_other_weights_give_other_embeddings(change: Callable[[Generalist], None]) -> None:
    model = small_generalist()
    kept = KeptNames(model, NAMES, MATCHING)
    before = kept()
    assert kept() is before
    change(model)
    expected = model.embed_texts(NAMES, MATCHING)
    assert not torch.allclose(expected, before, atol=1e-3)
    torch.testing.assert_close(kept(), expected)


@torch.no_grad()
def test_the_names_of_things_follow_the_weights_too() -> None:
    model = small_generalist()
    segmenter = ListQuerySegmenter(model, NAMES, things=(0, 2)).eval()
    images = torch.randn(1, 3, 64, 64)
    segmenter.predict_queries(images)
    load(model)
    found = segmenter.predict_queries(images)
    fresh = ListQuerySegmenter(model, NAMES, things=(0, 2)).eval().predict_queries(images)
    torch.testing.assert_close(found.class_logits, fresh.class_logits)


@torch.no_grad()
def test_nothing_is_kept_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = small_generalist(), []
    kept = KeptNames(model, NAMES, DETECTION)

    def counted(*arguments: Any) -> Tensor:
        calls.append(1)
        return Generalist.embed_texts(model, *arguments)

    monkeypatch.setattr(model, "embed_texts", counted)
    for mode, number in ((False, 1), (False, 1), (True, 2), (True, 3), (False, 4), (False, 4)):
        model.train(mode)
        kept()
        assert len(calls) == number


def test_names_pass_gradients_on_where_they_are_asked_for() -> None:
    model = small_generalist()
    kept = KeptNames(model, NAMES, MATCHING)
    with torch.no_grad():
        kept()
    kept()[:, 0].sum().backward()
    assert model.text_core.embedding.weight.grad is not None


@torch.inference_mode()
def test_weights_made_in_inference_mode_are_no_trouble() -> None:
    model = copy.deepcopy(small_generalist())
    assert next(model.parameters()).is_inference()
    kept = KeptNames(model, NAMES, MATCHING)
    assert kept() is kept()
