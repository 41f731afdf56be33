# SPDX-License-Identifier: MIT
"""The generalist as a writer: a picture and a prompt are read once, then tokens follow one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from intern25.generalist.decoder import Segment
from intern25.generalist.features import ImageFeatures
from intern25.generalist.generation import Generation, Written, generate
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.model import Generalist
from intern25.generalist.routing import ANSWERING, Routing
from intern25.generalist.tokenizer import TokenBatch, Tokenizer


@dataclass(frozen=True, slots=True)
class WritingState:
    """What has been read and written so far."""

    text: Sequence[KeyValueCache]
    """Of the text core, which sees what is written."""
    decoder: Sequence[KeyValueCache]
    """Of the unified decoder, which sees the prefix too."""


class PrefixWriter:
    """Token source over a prefix; implements ``TokenSource``.

    Args:
        model: The generalist.
        routing: Attributes of the task.
    """

    def __init__(self, model: Generalist, routing: Routing) -> None:
        self.model = model
        self.routing = routing

    def start(self, batch: list[Segment]) -> WritingState:
        """Read the prefix."""
        caches = self.model.decoder.new_caches()
        if batch:
            self.model.decoder(batch, caches)
        return WritingState(self.model.text_core.new_caches(), caches)

    def step(self, ids: Tensor, state: WritingState) -> tuple[Tensor, WritingState]:
        """Take one more token a row."""
        texts = TokenBatch(ids[:, None], torch.ones_like(ids[:, None], dtype=torch.bool))
        segment = replace(self.model.written(texts, self.routing, caches=state.text), present=None)
        outputs = self.model.decoder([segment], state.decoder)
        return self.model.vocabulary_logits(outputs[0][:, 0]), state

    def select(self, state: WritingState, rows: Tensor) -> WritingState:
        """Keep rows."""
        return WritingState(
            [cache.select(rows) for cache in state.text], [cache.select(rows) for cache in state.decoder]
        )


class WrittenAnswer(NamedTuple):
    """A text and how likely the model finds it."""

    text: str
    """Without blanks around it."""
    log_probability: float
    """Mean of the natural logarithms of its tokens' probabilities, that of the closing token included."""


def written_answers(
    model: Generalist,
    features: ImageFeatures,
    prompts: TokenBatch,
    tokenizer: Tokenizer,
    settings: Generation,
    *,
    generator: torch.Generator | None = None,
) -> list[WrittenAnswer]:
    """Write an answer to every prompt.

    Args:
        model: The generalist.
        features: The picture of each prompt.
        prompts: ``T`` questions or requests.
        tokenizer: Turns tokens into text.
        settings: How it writes.
        generator: Source of randomness of the sampling.

    Returns:
        ``T`` answers.
    """
    prefix = model.prefix(features, prompts, ANSWERING)
    begin = torch.full((len(prompts.ids),), tokenizer.spe_id, device=prompts.ids.device)
    texts = generate(
        PrefixWriter(model, ANSWERING),
        prefix,
        settings,
        begin=begin,
        end=tokenizer.end_id,
        generator=generator,
    )
    return [_answer(text, tokenizer, settings.max_length) for text in texts]


def _answer(written: Written, tokenizer: Tokenizer, longest: int) -> WrittenAnswer:
    steps = min(len(written.ids) + 1, longest)
    # Where the length ran out within a character, its first bytes say nothing.
    text = tokenizer.decode(written.ids).rstrip("\ufffd").strip()
    return WrittenAnswer(text, written.log_probability / steps)
