# SPDX-License-Identifier: MIT
"""The language task against sums over tokens, long texts in windows, and learning a small corpus by heart."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import language_of
from intern25.generalist.model import Generalist
from intern25.generalist.routing import LANGUAGE
from intern25.generalist.tasks.language import LanguageBatch, LanguageTask
from intern25.generalist.tasks.task import TaskWithTrivialAnswer
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from tests.small_generalist import small_generalist

TOKENIZER = Tokenizer.packaged()
TEXTS = ("a red bus stops at the light", "红灯亮了，请停车", "两只狗在公园里跑", "turn right for the airport")
LONG = "the quick brown fox jumps over the lazy dog and the seven sleepers of the old white house " * 2


def sentences(*texts: str) -> list[Sentence]:
    return [Sentence(text=text, language=language_of(text)) for text in texts]


def task(train: tuple[str, ...] = TEXTS, val: tuple[str, ...] = TEXTS, max_length: int = 64) -> LanguageTask:
    return LanguageTask("language", sentences(*train), sentences(*val), TOKENIZER, max_length=max_length)


def tokens_of(text: str) -> list[int]:
    return TOKENIZER.encode([text], max_length=4096, end=True).ids[0].tolist()


def surprise(model: Generalist, before: list[int], token: int) -> float:
    """``-log p`` of one token after others, from a pass of its own and a sum of exponentials."""
    batch = TokenBatch(torch.tensor([before]), torch.ones(1, len(before), dtype=torch.bool))
    states = model.decoder([model.written(batch, LANGUAGE)])[0]
    logits = model.vocabulary_logits(states[0, -1]).tolist()
    highest = max(logits)
    return highest + math.log(sum(math.exp(value - highest) for value in logits)) - logits[token]


@torch.no_grad()
def test_the_loss_is_the_mean_surprise_of_every_token() -> None:
    model, language = small_generalist(), task()
    batch = language.batch([1, 3, 0], seed=2)
    wanted = []
    for index in (1, 3, 0):
        ids = tokens_of(TEXTS[index])
        assert ids[-1] == TOKENIZER.end_id
        wanted += [surprise(model, [TOKENIZER.spe_id, *ids[:place]], ids[place]) for place in range(len(ids))]
    assert float(language.losses(model, batch)["next_token"]) == pytest.approx(
        sum(wanted) / len(wanted), rel=1e-4
    )


@torch.no_grad()
def test_perplexities_are_those_of_whole_texts_in_windows() -> None:
    model, language = small_generalist(), task(val=(TEXTS[0], TEXTS[1], LONG), max_length=16)
    nats = {"en": 0.0, "zh": 0.0}
    tokens, characters = dict.fromkeys(nats, 0), dict.fromkeys(nats, 0)
    for text in (TEXTS[0], TEXTS[1], LONG):
        name = language_of(text)
        ids = tokens_of(text)
        for start in range(0, len(ids), 16):
            window = [ids[start - 1] if start else TOKENIZER.spe_id, *ids[start : start + 16]]
            nats[name] += sum(
                surprise(model, window[:place], window[place]) for place in range(1, len(window))
            )
        tokens[name] += len(ids)
        characters[name] += len(text) + 1
    figures = language.evaluate(model)
    assert next(iter(figures)) == "character_probability"
    total = math.exp(-sum(nats.values()) / sum(characters.values()))
    assert figures["character_probability"] == pytest.approx(total, rel=1e-4)
    for name in nats:
        assert figures[f"token_perplexity_{name}"] == pytest.approx(
            math.exp(nats[name] / tokens[name]), rel=1e-4
        )
        assert figures[f"character_perplexity_{name}"] == pytest.approx(
            math.exp(nats[name] / characters[name]), rel=1e-4
        )


def test_training_windows_are_pieces_of_the_text_behind_the_token_before() -> None:
    very_long = LONG * 30  # more characters than a window is drawn from
    language, ids = task(train=(LONG, very_long), max_length=16), tokens_of(LONG)
    starts = set()
    for seed in range(40):
        batch = language.batch([0], seed)
        piece, before = batch.targets[0].tolist(), batch.inputs.ids[0].tolist()
        assert before[1:] == piece[:-1]
        places = [s for s in range(len(ids)) if ids[s : s + 16] == piece]
        assert any(before[0] == (ids[s - 1] if s else TOKENIZER.spe_id) for s in places)
        starts.add(places[0])
        piece = language.batch([1], seed).targets[0].tolist()
        assert len(piece) == 16
        assert TOKENIZER.decode(piece).strip() in very_long
    assert len(starts) > 10
    assert torch.equal(language.batch([0, 1], 7).targets, language.batch([0, 1], 7).targets)


def test_padding_neither_counts_nor_is_seen() -> None:
    model, language = small_generalist(), task()
    with torch.no_grad():
        together = language._surprise(model, language.batch([0, 1], 0))
        apart = torch.cat([language._surprise(model, language.batch([index], 0)) for index in (0, 1)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


def test_perplexity_falls_on_a_corpus_that_is_learnt_by_heart() -> None:
    model, language = small_generalist(), task()
    before = language.evaluate(model)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(60):
        batch = language.batch([0, 1, 2, 3], step)
        assert isinstance(batch, LanguageBatch)
        optimizer.zero_grad()
        language.losses(model, batch)["next_token"].backward()
        optimizer.step()
    after = language.evaluate(model.eval())
    for name in ("token_perplexity_en", "token_perplexity_zh", "character_perplexity_zh"):
        assert after[name] < 0.05 * before[name]
    assert after["character_probability"] > 10 * before["character_probability"]
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    trivial = language.trivial()
    assert isinstance(language, TaskWithTrivialAnswer)
    assert trivial.keys() == after.keys()
    assert after["token_perplexity_en"] < trivial["token_perplexity_en"]


def test_the_trivial_answer_counts_tokens() -> None:
    language = task(train=("a a",), val=("a",))
    counts = {token: tokens_of("a a").count(token) for token in tokens_of("a a")}
    total = sum(counts.values()) + TOKENIZER.vocabulary_size
    wanted = math.prod(total / (counts.get(token, 0) + 1) for token in tokens_of("a"))
    assert language.trivial()["token_perplexity_en"] == pytest.approx(wanted ** (1 / len(tokens_of("a"))))


def test_a_window_of_one_token_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length=1 must be 2 or more"):
        task(max_length=1)
