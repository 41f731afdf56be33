# SPDX-License-Identifier: MIT
"""Attention pool against loops; cells with their places."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.generalist.global_tokens import AttentionPool, GlobalTokens
from intern25.generalist.places import cell_boxes
from tests.generalist.proposal_samples import MAP_CHANNELS, random_maps


def test_attention_pool_by_loops() -> None:
    width, heads, cells_count = 8, 2, 5
    pool = AttentionPool(width, heads, 3).double()
    attention = pool.attention.attention
    torch.nn.init.normal_(attention.in_proj_bias)
    cells = torch.randn(1, cells_count, width, dtype=torch.float64)
    places = torch.randn(cells_count, width, dtype=torch.float64)
    with torch.no_grad():
        found = pool(cells, places)[0]
        wq, wk, wv = attention.in_proj_weight.chunk(3)
        bq, bk, bv = attention.in_proj_bias.chunk(3)
        mean = cells[0].mean(0)
        for m in range(3):
            q = wq @ (mean + pool.queries[m]) + bq
            joined = torch.zeros(width, dtype=torch.float64)
            for head in range(heads):
                part = slice(head * 4, head * 4 + 4)
                scores = [
                    float(q[part] @ (wk @ (cells[0, s] + places[s]) + bk)[part]) / math.sqrt(4)
                    for s in range(cells_count)
                ]
                total = sum(math.exp(score) for score in scores)
                for s, score in enumerate(scores):
                    joined[part] += math.exp(score) / total * (wv @ cells[0, s] + bv)[part]
            summed = mean + attention.out_proj(joined)
            expected = (summed - summed.mean()) / (summed.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(found[m], expected)


@pytest.mark.parametrize("stage", [2, 3])
def test_cells_follow_the_pooled_vectors(stage: int) -> None:
    tokens, maps = (
        GlobalTokens(MAP_CHANNELS, 32, pooled=3, stage=stage).double(),
        random_maps(2, dtype=torch.float64),
    )
    found = tokens(maps)
    height, width = maps[stage].shape[2:]
    assert found.shape == (2, 3 + height * width, 32)
    row, column = height - 1, 1
    weight, bias = tokens.last.weight[:, :, 0, 0], tokens.last.bias
    if stage == 3:
        content = weight @ maps[3][1, :, row, column] + bias
    else:
        assert tokens.lateral is not None
        content = tokens.lateral.weight[:, :, 0, 0] @ maps[2][1, :, row, column] + tokens.lateral.bias
        # The last row of 1/16 lies below the last centre of 1/32; column 1 a quarter after the first.
        above = 0.75 * maps[3][1, :, -1, 0] + 0.25 * maps[3][1, :, -1, 1]
        content = content + weight @ above + bias
    place = tokens.place(cell_boxes((height, width), maps[0])[row * width + column], (height, width))
    torch.testing.assert_close(found[1, 3 + row * width + column], content + place)


def test_every_parameter_learns() -> None:
    for stage in (2, 3):
        tokens = GlobalTokens(MAP_CHANNELS, 32, pooled=2, stage=stage)
        output = tokens(random_maps(1))
        (output * torch.randn_like(output)).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokens.parameters())


def test_pooled_vectors_differ_from_the_start() -> None:
    pooled = GlobalTokens(MAP_CHANNELS, 32, pooled=4, stage=3)(random_maps(1))[0, :4]
    assert torch.pdist(pooled).min() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"), [({"width": 40, "stage": 3}, "32"), ({"width": 32, "stage": 1}, "1/16")]
)
def test_bad_options(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GlobalTokens(MAP_CHANNELS, options["width"], pooled=2, stage=options["stage"])
