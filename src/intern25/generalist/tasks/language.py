# SPDX-License-Identifier: MIT
"""Text alone: what the decoder has learnt of Chinese and English, next token by next token."""

# N texts, L tokens

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.data.multimodal.records import Language
from intern25.data.multimodal.texts import Texts
from intern25.generalist.model import Generalist
from intern25.generalist.routing import LANGUAGE
from intern25.generalist.tasks.batch import TaskBatch
from intern25.generalist.tokenizer import TokenBatch, Tokenizer, padded_batch

_IGNORED = -100
_EVALUATION_BATCH = 32
_LONGEST = 1 << 20
"""Most tokens of a text that is scored."""
_CHARACTERS = 16
"""Characters of a long text that are read for each token of a window; more than a token has on average."""
_COUNTED_TEXTS = 2000
"""Most training texts that the trivial answer counts tokens of."""


@dataclass(slots=True, kw_only=True)
class LanguageBatch(TaskBatch):
    """Windows of texts and what follows each of their tokens; no pictures."""

    inputs: TokenBatch
    """``N`` windows, each behind the token before it, ``<SPE>`` at the start of a text."""
    targets: Tensor
    """``(N, L)`` int64 token that follows each input, -100 where there is none."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a text."""

    before: int
    """Token before it."""
    ids: list[int]
    """Its tokens."""


@dataclass(slots=True)
class _Surprise:
    """What the texts of one language cost."""

    nats: float = 0.0
    tokens: int = 0
    characters: int = 0

    def add(self, other: _Surprise) -> None:
        """Count other texts too."""
        self.nats += other.nats
        self.tokens += other.tokens
        self.characters += other.characters


@dataclass(slots=True)
class Perplexities:
    r"""Perplexity by language, of tokens and of characters.

    .. math:: \exp\Big(\frac{1}{n} \sum_t -\log p(w_t \mid w_{<t})\Big)

    Convention: ``n`` counts tokens with ``<end>``, or characters with one more for the end of each text; the
    sum is the same, so that figures by character can be compared between tokenizers.
    """

    _languages: dict[Language, _Surprise] = field(default_factory=dict)

    def add(self, language: Language, *, nats: float, tokens: int, characters: int) -> None:
        """Count a text, or a part of one."""
        self._languages.setdefault(language, _Surprise()).add(_Surprise(nats, tokens, characters))

    def figures(self) -> dict[str, float]:
        """``character_probability``, the geometric mean over all texts, then perplexities by language."""
        total = _Surprise()
        for part in self._languages.values():
            total.add(part)
        found = {"character_probability": math.exp(-total.nats / max(total.characters, 1))}
        for language, part in sorted(self._languages.items()):
            found[f"token_perplexity_{language}"] = math.exp(part.nats / part.tokens)
            found[f"character_perplexity_{language}"] = math.exp(part.nats / part.characters)
        return found


class LanguageTask:
    """Next-token cross entropy of plain text, through text core and decoder as captions are written.

    Convention: of a text that is longer than a window, training takes a window anywhere, and evaluation all
    of them, one after the other. The score is the geometric mean probability of a character.

    Args:
        name: Name in logs.
        train: Texts to learn from.
        val: Held-out ones.
        tokenizer: Turns text into tokens.
        max_length: Tokens of a window; at most those of the text core.
        evaluate_most: Most held-out texts; 0 = all.

    Source:
        Uni-Perceiver, arXiv:2112.01522, table 1, whose text-only task predicts masked words; here, as in its
        captions, the next one.
    """

    def __init__(
        self,
        name: str,
        train: Texts,
        val: Texts,
        tokenizer: Tokenizer,
        *,
        max_length: int = 128,
        evaluate_most: int = 0,
    ) -> None:
        if max_length < 2:
            raise ValueError(f"max_length={max_length} must be 2 or more: a token and what comes next")
        self.name = name
        self.train = train
        self.val = val
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.evaluate_most = evaluate_most

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> LanguageBatch:
        """Make a training batch of one window a text."""
        draw = random.Random(seed)
        return self._batch([self._drawn_window(self.train[index].text, draw) for index in indices])

    def _drawn_window(self, text: str, draw: random.Random) -> Window:
        most = _CHARACTERS * self.max_length
        first = draw.randrange(max(1, len(text) - most + 1))
        piece = text[first : first + most]
        ids = self._ids(piece, end=first + len(piece) == len(text))
        start = draw.randrange(max(1, len(ids) - self.max_length + 1))
        return self._window(ids, start)

    def _ids(self, text: str, *, end: bool = True) -> list[int]:
        tokens: list[int] = self.tokenizer.encode([text], max_length=_LONGEST, end=end).ids[0].tolist()
        return tokens

    def _window(self, ids: list[int], start: int) -> Window:
        before = ids[start - 1] if start else self.tokenizer.spe_id
        return Window(before, ids[start : start + self.max_length])

    def _batch(self, windows: Sequence[Window]) -> LanguageBatch:
        inputs = padded_batch([[w.before, *w.ids[:-1]] for w in windows], self.tokenizer.pad_id)
        targets = padded_batch([w.ids for w in windows], _IGNORED)
        return LanguageBatch(
            task=self.name,
            images=torch.zeros(0, 3, 1, 1, dtype=torch.uint8),
            inputs=inputs,
            targets=targets.ids,
        )

    def losses(self, model: Generalist, batch: LanguageBatch) -> dict[str, Tensor]:
        """Cross entropy of every next token."""
        return {"next_token": self._surprise(model, batch).mean()}

    def _surprise(self, model: Generalist, batch: LanguageBatch) -> Tensor:
        """``-log p`` of every target, row after row."""
        states = model.decoder([model.written(batch.inputs, LANGUAGE)])[0]
        known = batch.targets != _IGNORED
        logits = model.vocabulary_logits(states[known]).float()
        return F.cross_entropy(logits, batch.targets[known], reduction="none")

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Perplexity of held-out texts, whole ones."""
        found = Perplexities()
        for rows in _chunks(self._held_out(found), _EVALUATION_BATCH):
            batch = self._batch([window for _, window in rows])
            nats = self._surprise(model, batch.to(model.device)).double()
            for (language, window), part in zip(rows, nats.split([len(w.ids) for _, w in rows]), strict=True):
                found.add(language, nats=float(part.sum()), tokens=len(window.ids), characters=0)
        return found.figures()

    def _held_out(self, found: Perplexities) -> Iterator[tuple[Language, Window]]:
        """All windows of the held-out texts; their characters are counted as they come."""
        number = min(self.evaluate_most or len(self.val), len(self.val))
        for index in range(number):
            sentence = self.val[index]
            found.add(sentence.language, nats=0.0, tokens=0, characters=len(sentence.text) + 1)
            ids = self._ids(sentence.text)
            for start in range(0, len(ids), self.max_length):
                yield sentence.language, self._window(ids, start)

    def trivial(self) -> dict[str, float]:
        """Perplexity for a model that knows how frequent tokens are and nothing else."""
        texts = (self.train[index].text for index in range(min(len(self.train), _COUNTED_TEXTS)))
        counts = Counter(token for text in texts for token in self._ids(text))
        # One more of each, so that no token is impossible.
        total = counts.total() + self.tokenizer.vocabulary_size
        found = Perplexities()
        for language, window in self._held_out(found):
            nats = sum(math.log(total / (counts[token] + 1)) for token in window.ids)
            found.add(language, nats=nats, tokens=len(window.ids), characters=0)
        return found.figures()


def _chunks(rows: Iterator[tuple[Language, Window]], size: int) -> Iterator[list[tuple[Language, Window]]]:
    chunk: list[tuple[Language, Window]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
