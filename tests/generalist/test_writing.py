# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch

from intern25.generalist.generation import Generation
from intern25.generalist.routing import ANSWERING
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.generalist.writing import written_answers
from tests.generalist.small_model import small_generalist

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
        assert text == tokenizer.decode(own).strip()


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
        assert alone == together[row : row + 1]
