# SPDX-License-Identifier: MIT
"""Beam search over a batch: each row follows its best hypotheses and keeps those that have closed."""

# N rows, n rows still searched, B beams, w hypotheses of a row, t tokens so far, V vocabulary, L most tokens

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Advance = Callable[[Tensor, Tensor], Tensor]
"""From the hypotheses of the call before that go on, ``(M,)``, and their tokens ``(M, t)`` to ``(M, V)``."""


def search_with_beams(
    advance: Advance,
    rows: int,
    *,
    beams: int,
    max_length: int,
    end: int,
    length_penalty: float,
    device: torch.device,
) -> list[tuple[list[int], float]]:
    r"""Find the sequence of the highest score, its log-probability over a power of its length.

    .. math:: \frac{1}{t^\alpha} \sum_{i \le t} \log p(w_i \mid w_1 \dots w_{i-1})

    Convention: a row is settled when it has as many closed hypotheses as beams and the best open one scores
    no better than the worst of them; settled rows are left out of further steps.

    Args:
        advance: Log-probabilities of the next token. Its first argument names hypotheses by their place in
            the call before, the first time the rows themselves.
        rows: Rows of the batch, ``N``.
        beams: Hypotheses that are followed, ``B``.
        max_length: Most tokens, ``end`` included.
        end: Token that closes a hypothesis.
        length_penalty: The power.
        device: Where the tokens are.

    Returns:
        Tokens and log-probability of the best sequence of every row; it closes with ``end`` or is cut.

    Source:
        Wu et al., arXiv:1609.08144, section 7, with the length itself in the denominator.
    """
    closed = _Closed(rows, beams, max_length, end, device)
    alive = torch.arange(rows, device=device)
    going_on, written = alive, torch.empty(rows, 1, 0, dtype=torch.int64, device=device)
    totals = torch.zeros(rows, 1, device=device)
    for length in range(1, max_length + 1 if rows else 1):
        scores = advance(going_on, written.flatten(0, 1))
        totals, origin, token = _candidates(totals, scores.unflatten(0, totals.shape), 2 * beams)
        written = torch.cat((_taken(written, origin), token[..., None]), dim=2)
        closing = (token == end) if length < max_length else torch.ones_like(token, dtype=torch.bool)
        norm = length**length_penalty
        closed.add(alive, written, totals.masked_fill(~closing, -torch.inf), norm, length)
        width = scores.shape[0] // len(alive)
        totals, best = _top(totals.masked_fill(closing, -torch.inf), beams)
        rest = (closed.worst(alive) < totals[:, 0] / norm).nonzero()[:, 0]
        if not len(rest):
            break
        parents = rest[:, None] * width + origin.gather(1, best)[rest]
        going_on, totals, alive = parents.flatten(), totals[rest], alive[rest]
        written = _taken(written, best)[rest]
    return closed.best()


def _candidates(totals: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best ``count`` continuations of ``(n, w)`` hypotheses: totals, which they continue, tokens."""
    joined = (totals[..., None] + scores).flatten(1)
    best, places = _top(joined, count)
    return best, places // scores.shape[2], places % scores.shape[2]


def _top(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    best, places = values.topk(min(count, values.shape[1]), dim=1)
    return best, places


def _taken(written: Tensor, places: Tensor) -> Tensor:
    """Hypotheses ``places`` ``(n, m)`` of ``(n, w, t)``."""
    return written.gather(1, places[..., None].expand(-1, -1, written.shape[2]))


class _Closed:
    """The best closed hypotheses of every row, best first."""

    def __init__(self, rows: int, beams: int, max_length: int, end: int, device: torch.device) -> None:
        self.scores = torch.full((rows, beams), -torch.inf, device=device)
        self.totals = torch.full((rows, beams), -torch.inf, device=device)
        self.lengths = torch.zeros(rows, beams, dtype=torch.int64, device=device)
        self.written = torch.full((rows, beams, max_length), end, device=device)

    def add(self, rows: Tensor, written: Tensor, totals: Tensor, norm: float, length: int) -> None:
        """Take up ``(n, m, t)`` hypotheses of rows ``(n,)``; a total of minus infinity is none."""
        beams, room = self.written.shape[1:]
        self.scores = self.scores.to(totals.dtype)
        self.totals = self.totals.to(totals.dtype)
        scores, best = _top(torch.cat((self.scores[rows], totals / norm), dim=1), beams)
        lengths = torch.full_like(totals, length, dtype=torch.int64)
        padded = F.pad(written, (0, room - length))
        self.scores[rows] = scores
        self.totals[rows] = torch.cat((self.totals[rows], totals), dim=1).gather(1, best)
        self.lengths[rows] = torch.cat((self.lengths[rows], lengths), dim=1).gather(1, best)
        self.written[rows] = _taken(torch.cat((self.written[rows], padded), dim=1), best)

    def worst(self, rows: Tensor) -> Tensor:
        """Score ``(n,)`` of the last hypothesis kept; minus infinity while there is room."""
        return self.scores[rows, -1]

    def best(self) -> list[tuple[list[int], float]]:
        """Tokens and log-probability of each row's best."""
        found = zip(*(x[:, 0].tolist() for x in (self.written, self.lengths, self.totals)), strict=True)
        return [(ids[:length], total) for ids, length, total in found]
