# SPDX-License-Identifier: MIT
from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from intern25.generalist.features import ImageFeatures
from intern25.generalist.generation import Generation, generate
from intern25.generalist.model import Generalist
from intern25.generalist.routing import ANSWERING
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.generalist.writing import PrefixWriter, written_answers
from tests.generalist.small_model import small_generalist
from tests.small_generalist import small_generalist as talkative_generalist

PROMPTS = ("what is it", "此刻可以直行吗？如果不行需要等待多久？", "read")


@torch.no_grad()
def test_cached_writing_equals_recomputing_everything() -> None:
    model, tokenizer = small_generalist(), Tokenizer.packaged()
    features = model.encode_image(torch.randn(3, 3, 64, 64), regions=4)
    prompts = tokenizer.encode(PROMPTS, max_length=40)
    written = written_answers(model, features, prompts, tokenizer, Generation(max_length=7))
    prefix = model.prefix(features, prompts, ANSWERING)
    ids = torch.full((3, 1), tokenizer.spe_id)
    for _ in range(7):
        texts = TokenBatch(ids, torch.ones_like(ids, dtype=torch.bool))
        outputs = model.decoder([*prefix, model.written(texts, ANSWERING)])
        best = model.vocabulary_logits(outputs[-1][:, -1]).argmax(dim=1, keepdim=True)
        ids = torch.cat((ids, best), dim=1)
    for row, text in enumerate(written):
        own = ids[row, 1:].tolist()
        own = own[: own.index(tokenizer.end_id)] if tokenizer.end_id in own else own
        assert text.text == tokenizer.decode(own).rstrip("\ufffd").strip()


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_writes_what_single_calls_write(beams: int) -> None:
    model, tokenizer = small_generalist(), Tokenizer.packaged()
    features = model.encode_image(torch.randn(3, 3, 64, 64))
    settings = Generation(max_length=6, beams=beams)
    prompts = tokenizer.encode(PROMPTS, max_length=40)
    together = written_answers(model, features, prompts, tokenizer, settings)
    for row, prompt in enumerate(PROMPTS):
        one = features.select(torch.tensor([row]))
        alone = written_answers(model, one, tokenizer.encode([prompt], max_length=40), tokenizer, settings)
        assert alone[0].text == together[row].text
        assert alone[0].log_probability == pytest.approx(together[row].log_probability, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("end", ["written", "cut"])
def test_an_answer_has_the_mean_logarithm_of_its_tokens(end: str) -> None:
    """The closing token is one of them, where the answer is not cut."""
    model, tokenizer = talkative_generalist(), Tokenizer.packaged()
    features = model.encode_image(torch.randn(1, 3, 64, 64))
    prompts = tokenizer.encode(["what is it"], max_length=40)
    prefix = model.prefix(features, prompts, ANSWERING)
    if end == "written":  # The third token is the closing one.
        logits = model.vocabulary_logits
        lengths: list[int] = []

        def closing(states: Tensor) -> Tensor:
            lengths.append(1)
            found = logits(states)
            if len(lengths) == 3:
                found[..., tokenizer.end_id] = found.max() + 1
            return found

        model.vocabulary_logits = closing  # type: ignore[method-assign]
    (answer,) = written_answers(model, features, prompts, tokenizer, Generation(max_length=5))
    if end == "written":
        model.vocabulary_logits, lengths = closing, []  # type: ignore[method-assign]
    ids, chances = [tokenizer.spe_id], []
    for _ in range(3 if end == "written" else 5):
        texts = TokenBatch(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))
        outputs = model.decoder([*prefix, model.written(texts, ANSWERING)])
        scores = model.vocabulary_logits(outputs[-1][0, -1]).double()
        ids.append(int(scores.argmax()))
        chances.append(math.exp(float(scores.max())) / sum(math.exp(float(score)) for score in scores))
    assert (ids[-1] == tokenizer.end_id) == (end == "written")
    expected = sum(math.log(chance) for chance in chances) / len(chances)
    assert answer.log_probability == pytest.approx(expected, rel=1e-4)
    assert answer.text == tokenizer.decode(ids).rstrip("\ufffd").strip()


@dataclass
class Recomputing:
    """Token source without caches: for every token all that was read and written is read again."""

    model: Generalist
    features: ImageFeatures
    prompts: TokenBatch

    def start(self, batch: object) -> Tensor:
        return torch.arange(len(self.prompts.ids))[:, None]

    def step(self, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.cat((state, ids[:, None]), dim=1)
        rows, written = state[:, 0], state[:, 1:]
        prompts = TokenBatch(self.prompts.ids[rows], self.prompts.present[rows])
        prefix = self.model.prefix(self.features.select(rows), prompts, ANSWERING)
        texts = TokenBatch(written, torch.ones_like(written, dtype=torch.bool))
        outputs = self.model.decoder([*prefix, self.model.written(texts, ANSWERING)])
        return self.model.vocabulary_logits(outputs[-1][:, -1]), state

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]


@torch.no_grad()
@pytest.mark.parametrize(
    "settings",
    [
        Generation(max_length=12, minimum_length=9),
        Generation(max_length=9, beams=3, length_penalty=0.6),
        Generation(max_length=12, no_repeat=1),
    ],
    ids=["greedy", "beams", "without repetition"],
)
def test_caches_change_neither_tokens_nor_probabilities(settings: Generation) -> None:
    model, tokenizer = talkative_generalist(), Tokenizer.packaged()
    features = model.encode_image(torch.randn(3, 3, 64, 64), regions=4)
    prompts = tokenizer.encode(PROMPTS, max_length=40)
    prefix = model.prefix(features, prompts, ANSWERING)
    begin = torch.full((3,), tokenizer.spe_id)
    cached = generate(PrefixWriter(model, ANSWERING), prefix, settings, begin=begin, end=tokenizer.end_id)
    plain = generate(
        Recomputing(model, features, prompts), prefix, settings, begin=begin, end=tokenizer.end_id
    )
    assert [text.ids for text in cached] == [text.ids for text in plain]
    for text, other in zip(cached, plain, strict=True):
        assert text.log_probability == pytest.approx(other.log_probability, abs=1e-3)
    assert len({tuple(text.ids) for text in cached}) == 3, "pictures and prompts must matter"
