# SPDX-License-Identifier: MIT
"""Writing text token by token, in batches: greedy, by sampling, or with beams."""

# N rows of the batch, V tokens of the vocabulary

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from intern25.generalist.beam_search import search_with_beams

Batch = TypeVar("Batch", contravariant=True)
State = TypeVar("State")
_Row = tuple[list[int], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """How text is written: the most probable token each time, sampled, or searched with beams."""

    max_length: int
    """Most tokens, the closing one included."""
    beams: int = 1
    """Hypotheses that are followed for each row."""
    temperature: float = 0.0
    """Divisor of the logits when sampling; 0 takes the most probable token."""
    top_k: int = 0
    """Sample among so many tokens; 0 = all."""
    top_p: float = 1.0
    """Sample among the fewest tokens whose probabilities add up to this."""
    length_penalty: float = 1.0
    """Beams compete by log-probability over length to this power; 0 favours short texts."""
    minimum_length: int = 0
    """Fewest tokens before the text may close."""
    no_repeat: int = 0
    """No sequence of so many tokens is written twice; 0 allows all."""

    def __post_init__(self) -> None:
        checks = {
            "max_length must be 1 or more": self.max_length >= 1,
            "beams must be 1 or more": self.beams >= 1,
            "temperature must not be negative": self.temperature >= 0,
            "top_k must not be negative; 0 keeps all tokens": self.top_k >= 0,
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "length_penalty must not be negative": self.length_penalty >= 0,
            "minimum_length must be from 0 to max_length - 1": 0 <= self.minimum_length < self.max_length,
            "no_repeat must not be negative; 0 allows repetition": self.no_repeat >= 0,
            "beams above 1 need temperature 0": self.beams == 1 or self.temperature == 0,
            "top_k and top_p need a temperature above 0": (self.top_k, self.top_p) == (0, 1.0)
            or self.temperature > 0,
        }
        broken = [rule for rule, kept in checks.items() if not kept]
        if broken:
            raise ValueError(f"{self}: {'; '.join(broken)}")


@dataclass(frozen=True, slots=True)
class Written:
    """A text as tokens."""

    ids: list[int]
    """Tokens, without the one that opens and the one that closes it."""
    log_probability: float
    """Natural logarithm of its probability under the model, the closing token included."""


class TokenSource(Protocol[Batch, State]):
    """A language model that is asked for one token after another."""

    def start(self, batch: Batch) -> State:
        """Read what the texts are about: pictures, questions."""
        ...

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one more token ``(N,)`` for each row and return logits ``(N, V)`` of the next."""
        ...

    def select(self, state: State, rows: Tensor) -> State:
        """Keep rows ``(M,)`` int64 in the given order; a row may come twice or not at all."""
        ...


@torch.no_grad()
def generate(
    source: TokenSource[Batch, State],
    batch: Batch,
    settings: Generation,
    *,
    begin: Tensor,
    end: int,
    allowed: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> list[Written]:
    """Write one text for each row of a batch.

    Rows that are finished take no part in further steps. Without sampling, a row's text does not depend on
    the other rows.

    Convention:
        - ``allowed`` restricts the distribution itself; minimum length and repetition only forbid choices, so
          probabilities are those of the model over the allowed tokens, at temperature 1.
        - where everything is forbidden, the text closes.

    Args:
        source: The model.
        batch: What it writes about.
        settings: How it writes.
        begin: ``(N,)`` int64 token that opens each text.
        end: Token that closes a text; always allowed.
        allowed: ``(V,)`` bool, the tokens to write with; None = all.
        generator: Source of randomness of the sampling, on the device of ``begin``.

    Returns:
        The text of every row, in order.
    """
    state = source.start(batch)
    if allowed is not None:
        allowed = allowed.clone()
        allowed[end] = True
    rules = _Rules(settings, end, allowed)
    if settings.beams == 1:
        rows = _write_one(source, state, begin, rules, generator)
    else:
        rows = _write_with_beams(source, state, begin, rules)
    return [
        Written(ids[:-1] if ids and ids[-1] == end else ids, log_probability) for ids, log_probability in rows
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Rules:
    """What may follow what."""

    settings: Generation
    end: int
    allowed: Tensor | None

    def log_probabilities(self, logits: Tensor, written: Tensor) -> Tensor:
        """``(N, V)`` of the next token, minus infinity where forbidden, after ``(N, t)`` tokens."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if self.allowed is not None:
            logits = logits.masked_fill(~self.allowed, -torch.inf)
        scores = logits.log_softmax(dim=-1)
        closing = scores[:, self.end].clone()
        if self.settings.no_repeat:
            scores = scores.masked_fill(self._repeating(written, scores.shape[1]), -torch.inf)
        scores[:, self.end] = -torch.inf if written.shape[1] < self.settings.minimum_length else closing
        stuck = scores.isneginf().all(dim=1)
        scores[:, self.end] = torch.where(stuck, closing, scores[:, self.end])
        return scores

    def _repeating(self, written: Tensor, vocabulary: int) -> Tensor:
        """``(N, V)`` bool, True for tokens that would complete a sequence written before."""
        size = self.settings.no_repeat
        repeating = torch.zeros(len(written), vocabulary, dtype=torch.int64, device=written.device)
        if written.shape[1] >= size:
            sequences = written.unfold(1, size, 1)
            recent = written[:, written.shape[1] - size + 1 :]
            matches = (sequences[:, :, :-1] == recent[:, None]).all(dim=2)
            repeating.scatter_add_(1, sequences[:, :, -1], matches.long())
        return repeating > 0


def _write_one(
    source: TokenSource[Batch, State],
    state: State,
    begin: Tensor,
    rules: _Rules,
    generator: torch.Generator | None,
) -> list[_Row]:
    """Follow one text for each row, taking the most probable token or drawing one."""
    settings = rules.settings
    results: list[_Row] = [([], 0.0)] * len(begin)
    alive = torch.arange(len(begin), device=begin.device)
    written, last = begin.new_empty(len(begin), 0), begin
    totals: Tensor | None = None
    for step in range(settings.max_length if len(begin) else 0):
        logits, state = source.step(last, state)
        scores = rules.log_probabilities(logits, written)
        last = _chosen(scores, settings, generator)
        gained = scores.gather(1, last[:, None])[:, 0]
        totals = gained if totals is None else totals + gained
        written = torch.cat((written, last[:, None]), dim=1)
        finished = (last == rules.end) | (step + 1 == settings.max_length)
        if finished.any():
            for row, ids, total in _listed(alive[finished], written[finished], totals[finished]):
                results[row] = (ids, total)
            rest = (~finished).nonzero()[:, 0]
            if not len(rest):
                break
            alive, written, last, totals = alive[rest], written[rest], last[rest], totals[rest]
            state = source.select(state, rest)
    return results


def _write_with_beams(
    source: TokenSource[Batch, State], state: State, begin: Tensor, rules: _Rules
) -> list[_Row]:
    """Follow several hypotheses for each row."""
    settings = rules.settings

    def advance(hypotheses: Tensor, written: Tensor) -> Tensor:
        nonlocal state
        if written.shape[1]:
            state = source.select(state, hypotheses)
        last = written[:, -1] if written.shape[1] else begin
        logits, state = source.step(last, state)
        return rules.log_probabilities(logits, written)

    return search_with_beams(
        advance,
        len(begin),
        beams=settings.beams,
        max_length=settings.max_length,
        end=rules.end,
        length_penalty=settings.length_penalty,
        device=begin.device,
    )


def _chosen(scores: Tensor, settings: Generation, generator: torch.Generator | None) -> Tensor:
    """One token ``(N,)`` a row of log-probabilities ``(N, V)``."""
    if settings.temperature == 0:
        return scores.argmax(dim=1)
    ordered, tokens = (scores / settings.temperature).sort(dim=1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=1)
    if settings.top_k:
        probabilities[:, settings.top_k :] = 0
        probabilities /= probabilities.sum(dim=1, keepdim=True)
    if settings.top_p < 1:
        # A token stays while those before it add up to less than top_p, so the first always does.
        before = probabilities.cumsum(dim=1) - probabilities
        probabilities = probabilities.masked_fill(before >= settings.top_p, 0)
    drawn = torch.multinomial(probabilities, 1, generator=generator)
    return tokens.gather(1, drawn)[:, 0]


def _listed(rows: Tensor, written: Tensor, totals: Tensor) -> list[tuple[int, list[int], float]]:
    return list(zip(rows.tolist(), written.tolist(), totals.tolist(), strict=True))
