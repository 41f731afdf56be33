# SPDX-License-Identifier: MIT
"""Writing with a language model that is a table, against enumeration of every text there is."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.generalist.generation import Generation, Written, generate

BEGIN, END = 0, 1


@dataclass
class Table:
    """Logits that depend on the row's seed and on every token so far."""

    vocabulary: int
    sharpness: float = 1.5
    rows_asked: list[int] = field(default_factory=list)

    def logits(self, seed: int, tokens: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(hash((seed, *tokens)) % 2**31)
        return self.sharpness * torch.randn(self.vocabulary, generator=generator, dtype=torch.float64)

    def start(self, batch: list[int]) -> Tensor:
        return torch.tensor(batch)[:, None]

    def step(self, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.cat((state, ids[:, None]), dim=1)
        self.rows_asked.append(len(state))
        return torch.stack([self.logits(seed, tuple(tokens)) for seed, *tokens in state.tolist()]), state

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state.index_select(0, rows)


def write(
    table: Table, seeds: list[int], allowed: Tensor | None = None, seed: int = 0, **changes: float
) -> list[Written]:
    generator = torch.Generator().manual_seed(seed)
    begin = torch.full((len(seeds),), BEGIN)
    chosen = Generation(**changes)  # type: ignore[arg-type]
    return generate(table, seeds, chosen, begin=begin, end=END, allowed=allowed, generator=generator)


def log_probability(table: Table, seed: int, ids: tuple[int, ...], allowed: set[int] | None = None) -> float:
    total = 0.0
    for place, token in enumerate(ids):
        logits = table.logits(seed, (BEGIN, *ids[:place])).tolist()
        odds = [math.exp(x) if allowed is None or i in allowed else 0.0 for i, x in enumerate(logits)]
        total += math.log(odds[token] / sum(odds))
    return total


def repeats(ids: tuple[int, ...], size: int) -> bool:
    """Whether a sequence of ``size`` tokens comes twice; the closing token is none of them."""
    words = tuple(token for token in ids if token != END)
    found = Counter(words[i : i + size] for i in range(len(words) - size + 1)) if size else Counter()
    return any(count > 1 for count in found.values())


def every_text(table: Table, chosen: Generation, allowed: set[int] | None = None) -> list[tuple[int, ...]]:
    """All texts that the settings allow: closed, or cut at the most length."""
    words = [t for t in range(table.vocabulary) if t != END and (allowed is None or t in allowed)]
    closed = [
        (*text, END)
        for length in range(chosen.minimum_length, chosen.max_length)
        for text in itertools.product(words, repeat=length)
    ]
    texts = closed + list(itertools.product(words, repeat=chosen.max_length))
    return [text for text in texts if not repeats(text, chosen.no_repeat)]


SETTINGS = [
    Generation(max_length=4, beams=200),
    Generation(max_length=4, beams=200, length_penalty=0.0),
    Generation(max_length=4, beams=200, length_penalty=2.5),
    Generation(max_length=4, beams=200, minimum_length=2),
    Generation(max_length=3, beams=200, no_repeat=1),
    Generation(max_length=4, beams=200, no_repeat=2, minimum_length=3),
]


@pytest.mark.parametrize("allowed", [None, {2, 3}], ids=["all tokens", "two tokens"])
@pytest.mark.parametrize("chosen", SETTINGS, ids=str)
def test_wide_beams_find_what_enumeration_finds(chosen: Generation, allowed: set[int] | None) -> None:
    table = Table(4)
    mask = None if allowed is None else torch.tensor([token in allowed for token in range(4)])
    closing = None if allowed is None else allowed | {END}
    begin = torch.full((3,), BEGIN)
    found = generate(table, [5, 6, 7], chosen, begin=begin, end=END, allowed=mask)
    for seed, written in zip((5, 6, 7), found, strict=True):
        scores = {
            ids: log_probability(table, seed, ids, closing) for ids in every_text(table, chosen, allowed)
        }
        best = max(scores, key=lambda ids: scores[ids] / len(ids) ** chosen.length_penalty)
        assert tuple(written.ids) == tuple(token for token in best if token != END)
        assert written.log_probability == pytest.approx(scores[best], rel=1e-6)


def greedy(table: Table, seed: int, max_length: int) -> tuple[list[int], float]:
    ids: tuple[int, ...] = ()
    while len(ids) < max_length and END not in ids:
        ids = (*ids, int(table.logits(seed, (BEGIN, *ids)).argmax()))
    return [token for token in ids if token != END], log_probability(table, seed, ids)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(1, 8))
def test_greedy_takes_the_most_probable_token(seeds: list[int], max_length: int) -> None:
    table = Table(5)
    found = write(table, seeds, max_length=max_length)
    assert len(found) == len(seeds)
    for seed, written in zip(seeds, found, strict=True):
        ids, total = greedy(table, seed, max_length)
        assert written.ids == ids
        assert written.log_probability == pytest.approx(total, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 8))
def test_a_batch_is_its_rows_one_by_one(seeds: list[int], beams: int, max_length: int) -> None:
    table = Table(6)
    together = write(table, seeds, beams=beams, max_length=max_length, no_repeat=2)
    alone = [write(table, [seed], beams=beams, max_length=max_length, no_repeat=2)[0] for seed in seeds]
    assert [w.ids for w in together] == [w.ids for w in alone]
    assert [w.log_probability for w in together] == pytest.approx([w.log_probability for w in alone])


@pytest.mark.parametrize("beams", [1, 3])
def test_finished_rows_are_not_asked_again(beams: int) -> None:
    table = Table(5)
    seeds = list(range(40))
    alone = []
    for seed in seeds:
        write(table, [seed], beams=beams, max_length=12)
        alone.append(len(table.rows_asked))
        table.rows_asked.clear()
    write(table, seeds, beams=beams, max_length=12)
    expected = [(1 if step == 0 else beams) * sum(steps > step for steps in alone) for step in range(12)]
    assert table.rows_asked == [count for count in expected if count]
    assert len(set(alone)) > 2


def test_more_beams_find_no_worse() -> None:
    table = Table(8)
    totals = [
        sum(
            w.log_probability
            for w in write(table, list(range(30)), beams=beams, max_length=6, length_penalty=0)
        )
        for beams in (1, 2, 8)
    ]
    assert totals[0] < totals[1] < totals[2]


def narrow_search(table: Table, seed: int, beams: int, max_length: int, penalty: float) -> tuple[int, ...]:
    """Beam search over lists, written from its description."""
    followed: list[tuple[int, ...]] = [()]
    closed: list[tuple[int, ...]] = []

    def total(ids: tuple[int, ...]) -> float:
        return log_probability(table, seed, ids)

    def score(ids: tuple[int, ...]) -> float:
        return total(ids) / len(ids) ** penalty

    for length in range(1, max_length + 1):
        grown = [(*ids, token) for ids in followed for token in range(table.vocabulary)]
        grown = sorted(grown, key=total, reverse=True)[: 2 * beams]
        closing = [ids for ids in grown if ids[-1] == END or length == max_length]
        closed = sorted([*closed, *closing], key=score, reverse=True)[:beams]
        followed = [ids for ids in grown if ids not in closing][:beams]
        if not followed or (len(closed) == beams and score(closed[-1]) >= score(followed[0])):
            break
    return closed[0]


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("beams", [2, 3])
def test_narrow_beams_follow_the_description(beams: int, penalty: float) -> None:
    table = Table(5)
    found = write(table, list(range(12)), beams=beams, max_length=5, length_penalty=penalty)
    for seed, written in zip(range(12), found, strict=True):
        expected = narrow_search(table, seed, beams, 5, penalty)
        assert tuple(written.ids) == tuple(token for token in expected if token != END)
        assert written.log_probability == pytest.approx(log_probability(table, seed, expected), rel=1e-6)


# --- sampling -------------------------------------------------------------------------------------


def first_tokens(count: int = 4000, **changes: float) -> Counter[int]:
    found = write(Table(6), [9] * count, max_length=1, **changes)
    return Counter(written.ids[0] if written.ids else END for written in found)


def expected_shares(temperature: float, top_k: int = 0, top_p: float = 1.0) -> dict[int, float]:
    logits = Table(6).logits(9, (BEGIN,)).tolist()
    odds = {token: math.exp(logit / temperature) for token, logit in enumerate(logits)}
    ranked = sorted(odds, key=lambda token: -odds[token])[: top_k or 6]
    total, kept, mass = sum(odds[token] for token in ranked), [], 0.0
    for token in ranked:
        if mass < top_p:
            kept.append(token)
        mass += odds[token] / total
    return {token: odds[token] / sum(odds[t] for t in kept) for token in kept}


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 1.0}, {"temperature": 2.0, "top_k": 3}, {"temperature": 1.5, "top_p": 0.8},
     {"temperature": 2.0, "top_k": 4, "top_p": 0.7}, {"temperature": 0.5, "top_p": 0.01}],
    ids=str,
)  # fmt: skip
def test_samples_follow_the_distribution(changes: dict[str, float]) -> None:
    shares, found = expected_shares(**changes), first_tokens(**changes)  # type: ignore[arg-type]
    assert set(found) == set(shares)
    for token, share in shares.items():
        # Four standard deviations.
        assert abs(found[token] / 4000 - share) <= 4 * math.sqrt(share * (1 - share) / 4000)


def test_samples_repeat_with_their_generator_and_report_the_models_probability() -> None:
    table = Table(6)
    one, two, other = (write(table, [1, 2, 3], seed=s, temperature=1.3, max_length=7) for s in (0, 0, 1))
    assert one == two
    assert one != other
    for seed, written in zip((1, 2, 3), one, strict=True):
        closing = (END,) if len(written.ids) < 7 else ()
        expected = log_probability(table, seed, (*written.ids, *closing))
        assert written.log_probability == pytest.approx(expected, rel=1e-6)


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"temperature": 1.0}, {"beams": 3}], ids=str)
def test_rules_hold_in_every_way_of_writing(changes: dict[str, float]) -> None:
    allowed = torch.tensor([False, False, True, True, True, False, True])
    found = write(Table(7), list(range(20)), allowed, max_length=9, minimum_length=3, no_repeat=2, **changes)
    for written in found:
        assert 3 <= len(written.ids) <= 9
        assert {2, 3, 4, 6} >= set(written.ids)
        assert not repeats(tuple(written.ids), 2)
    assert not allowed[END]


@pytest.mark.parametrize("beams", [1, 3])
def test_where_everything_is_forbidden_the_text_closes(beams: int) -> None:
    allowed = torch.tensor([False, False, True, True])
    for written in write(Table(4), [1, 2], allowed, beams=beams, max_length=9, minimum_length=8, no_repeat=1):
        assert sorted(written.ids) == [2, 3]
        assert math.isfinite(written.log_probability)


def test_half_precision_logits_are_scored_in_float32() -> None:
    class Half(Table):
        def step(self, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            logits, state = super().step(ids, state)
            return logits.bfloat16(), state

    (found,) = write(Half(5), [3], max_length=5)
    ids = (*found.ids, END) if len(found.ids) < 5 else tuple(found.ids)
    assert found.log_probability == pytest.approx(log_probability(Table(5), 3, ids), rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length": 0}, "max_length must be 1 or more"),
        ({"beams": 0}, "beams must be 1 or more"),
        ({"temperature": -1.0}, "temperature must not be negative"),
        ({"top_k": -1, "temperature": 1.0}, "top_k must not be negative"),
        ({"top_p": 0.0, "temperature": 1.0}, "top_p must be above 0"),
        ({"length_penalty": -1.0}, "length_penalty must not be negative"),
        ({"minimum_length": 5}, "minimum_length must be from 0 to max_length - 1"),
        ({"no_repeat": -1}, "no_repeat must not be negative"),
        ({"beams": 2, "temperature": 1.0}, "beams above 1 need temperature 0"),
        ({"top_k": 3}, "top_k and top_p need a temperature above 0"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Generation(**({"max_length": 5} | changes))  # type: ignore[arg-type]
