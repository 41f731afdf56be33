"""Text core: one layer in scalar loops, padding, written token by token, gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.generalist.config import TextConfig
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.text_core import TextCore
from intern25.generalist.text_transformer import TextLayer, TextTransformer

CONFIG = TextConfig(vocabulary=50, width=12, layers=2, heads=3, feedforward=20, max_length=16)


def core_with_large_weights(config: TextConfig = CONFIG) -> TextTransformer:
    """A core whose attention is far from uniform, so that a wrong mask or position is seen."""
    core = TextTransformer(config).double().eval()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return core


def linear(weight: Tensor, bias: Tensor, x: list[float]) -> list[float]:
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]


def layer_norm(norm: torch.nn.LayerNorm, x: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    scale = 1 / math.sqrt(variance + norm.eps)
    weights, biases = norm.weight.tolist(), norm.bias.tolist()
    return [(v - mean) * scale * w + b for v, w, b in zip(x, weights, biases, strict=True)]


def layer_in_loops(layer: TextLayer, x: list[list[float]], visible: list[list[bool]]) -> list[list[float]]:
    """The layer of one text, number by number."""
    width = len(x[0])
    size = width // layer.heads
    qkv = [linear(layer.qkv.weight, layer.qkv.bias, layer_norm(layer.norm1, token)) for token in x]
    result = []
    for i, token in enumerate(x):
        mixed = []
        for head in range(layer.heads):
            at = head * size
            query = qkv[i][at : at + size]
            seen = [j for j in range(len(x)) if visible[i][j]]
            keys = [qkv[j][width + at : width + at + size] for j in seen]
            scores = [
                math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(size))
                for key in keys
            ]
            for channel in range(size):
                values = [qkv[j][2 * width + at + channel] for j in seen]
                mixed.append(sum(s * v for s, v in zip(scores, values, strict=True)) / sum(scores))
        attended = linear(layer.out.weight, layer.out.bias, mixed)
        middle = [a + b for a, b in zip(token, attended, strict=True)]
        hidden = linear(layer.fc1.weight, layer.fc1.bias, layer_norm(layer.norm2, middle))
        hidden = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in hidden]
        out = linear(layer.fc2.weight, layer.fc2.bias, hidden)
        result.append([a + b for a, b in zip(middle, out, strict=True)])
    return result


@pytest.mark.parametrize("causal", [False, True])
def test_the_whole_core_in_loops(causal: bool) -> None:
    core = core_with_large_weights()
    ids = torch.tensor([[7, 3, 3, 49, 0], [1, 2, 3, 4, 5]])
    present = torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]).bool()
    states = core(ids, present, causal=causal)
    for row in range(2):
        here = present[row].tolist()
        visible = [[(here[j] and (j <= i or not causal)) or i == j for j in range(5)] for i in range(5)]
        x = (core.embedding.weight[ids[row]] + core.position[:5]).tolist()
        for layer in core.layers:
            x = layer_in_loops(layer, x, visible)
        expected = torch.tensor([layer_norm(core.norm, token) for token in x], dtype=torch.float64)
        assert torch.allclose(states[row], expected, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), causal=st.booleans(), extra=st.integers(0, 4)
)
def test_padding_changes_nothing(lengths: list[int], causal: bool, extra: int) -> None:
    torch.manual_seed(1)
    core = core_with_large_weights()
    length = max(1, max(lengths) + extra)
    ids = torch.randint(0, 50, (len(lengths), length))
    present = torch.arange(length) < torch.tensor(lengths)[:, None]
    states = core(ids, present, causal=causal)
    assert states.isfinite().all()
    for row, count in enumerate(lengths):
        if count:
            alone = core(ids[row : row + 1, :count], causal=causal)
            assert torch.allclose(states[row, :count], alone[0], atol=1e-10)


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    padded=st.booleans(),
    grad=st.booleans(),
)
def test_written_in_steps_is_written_at_once(steps: list[int], padded: bool, grad: bool) -> None:
    torch.manual_seed(2)
    core = core_with_large_weights()
    total = sum(steps)
    ids = torch.randint(0, 50, (3, total))
    present = torch.rand(3, total) < 0.6 if padded else None
    with torch.set_grad_enabled(grad):
        whole = core(ids, present, causal=True)
        caches, parts, at = core.new_caches(), [], 0
        for step in steps:
            here = None if present is None else present[:, at : at + step]
            parts.append(core(ids[:, at : at + step], here, causal=True, caches=caches))
            at += step
    here = torch.ones(3, total).bool() if present is None else present
    assert torch.allclose(torch.cat(parts, 1)[here], whole[here], atol=1e-10)
    assert {cache.length for cache in caches} == {total}


@torch.no_grad()
def test_rows_are_chosen_while_writing() -> None:
    core = core_with_large_weights()
    prefix, rows = torch.randint(0, 50, (3, 5)), torch.tensor([2, 2, 0])
    present = torch.tensor([5, 4, 3])[:, None] > torch.arange(5)
    more = torch.randint(0, 50, (3, 2))
    caches = core.new_caches()
    core(prefix, present, causal=True, caches=caches)
    caches = [cache.select(rows) for cache in caches]
    parts = [core(more[:, i : i + 1], causal=True, caches=caches) for i in range(2)]
    all_present = torch.cat((present[rows], torch.ones(3, 2).bool()), 1)
    whole = core(torch.cat((prefix[rows], more), 1), all_present, causal=True)
    assert torch.allclose(torch.cat(parts, 1), whole[:, 5:], atol=1e-10)


@torch.no_grad()
def test_a_prefix_is_read_whole_and_its_continuation_written() -> None:
    core = core_with_large_weights()
    ids = torch.randint(0, 50, (2, 7))
    caches = core.new_caches()
    prefix = core(ids[:, :4], caches=caches)
    rest = torch.cat([core(ids[:, i : i + 1], causal=True, caches=caches) for i in range(4, 7)], 1)
    x = core.embedding(ids) + core.position[:7]
    visible = torch.ones(7, 7).tril().bool()
    visible[:4, :4] = True
    for layer in core.layers:
        x = layer(x, visible)
    assert torch.allclose(torch.cat((prefix, rest), 1), core.norm(x), atol=1e-10)


def test_what_comes_after_is_not_seen_when_writing_and_seen_when_reading() -> None:
    core = core_with_large_weights()
    ids = torch.randint(1, 50, (1, 6))
    other = ids.clone()
    other[0, 4:] = 0
    same = torch.isclose(core(ids, causal=True), core(other, causal=True)).all(-1)[0]
    assert same.tolist() == [True] * 4 + [False] * 2
    assert not torch.isclose(core(ids), core(other)).all(-1).any()


def test_start_moves_positions() -> None:
    core = core_with_large_weights()
    ids = torch.randint(0, 50, (1, 3))
    moved = core(ids, start=5)
    caches = core.new_caches()
    steps = [core(ids[:, i : i + 1], causal=True, start=5, caches=caches) for i in range(3)]
    assert torch.allclose(torch.cat(steps, 1), core(ids, causal=True, start=5))
    with torch.no_grad():
        core.position.copy_(core.position.roll(-5, 0))
    assert torch.allclose(moved, core(ids))


def test_gradients() -> None:
    core = core_with_large_weights(
        replace(CONFIG, vocabulary=6, width=4, heads=2, feedforward=5, max_length=4)
    )
    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    present = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
    names, values = zip(*core.named_parameters(), strict=True)
    leaves = [value.detach().clone().requires_grad_() for value in values]

    def run(*parameters: Tensor) -> Tensor:
        named = dict(zip(names, parameters, strict=True))
        states = torch.func.functional_call(core, named, (ids, present), {"causal": True})
        return states[present]

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)


def test_padding_gets_no_gradient() -> None:
    core = core_with_large_weights()
    ids = torch.tensor([[5, 6, 7, 8], [9, 0, 0, 0]])
    present = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]]).bool()
    core(ids, present)[present].square().sum().backward()
    touched = core.embedding.weight.grad.abs().sum(1).nonzero().flatten()
    assert touched.tolist() == [5, 6, 7, 9]


def test_recomputed_layers_give_the_same_gradients() -> None:
    core = core_with_large_weights()
    ids = torch.randint(0, 50, (2, 5))
    gradients = []
    for recompute in (False, True):
        core.set_grad_checkpointing(recompute)
        core.zero_grad()
        core(ids, causal=True).sum(1).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in core.parameters()])
    assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))


def test_fresh_weights_keep_the_scale_of_the_stream() -> None:
    config = TextConfig(vocabulary=500, width=96, layers=12, heads=6, feedforward=384, max_length=32)
    core = TextTransformer(config)
    ids = torch.randint(0, 500, (4, 32))
    x = core.embedding(ids) + core.position
    start = x.std()
    for layer in core.layers:
        x = layer(x)
    assert 1 <= (x.std() / start).item() < 3


def test_it_is_a_text_core() -> None:
    core: TextCore = TextTransformer(CONFIG)
    assert core.width == core.embedding.embedding_dim == 12
    assert [type(cache) for cache in core.new_caches()] == [KeyValueCache] * 2


@pytest.mark.parametrize(
    ("ids", "arguments", "message"),
    [
        (torch.zeros(2, 17).long(), {}, r"positions 0 \.\. 16 do not fit into max_length=16"),
        (torch.zeros(2, 2).long(), {"start": 15}, r"positions 15 \.\. 16"),
        (torch.zeros(2, 2).long(), {"start": -1}, r"positions -1"),
        (torch.zeros(2, 2), {}, r"\(N, L\) integers"),
        (torch.zeros(2).long(), {}, r"\(N, L\) integers"),
        (torch.zeros(2, 0).long(), {}, r"L at least 1"),
        (torch.zeros(2, 2).long(), {"present": torch.ones(2, 3).bool()}, r"present must be bool"),
        (torch.zeros(2, 2).long(), {"present": torch.ones(2, 2)}, r"present must be bool"),
        (torch.zeros(2, 2).long(), {"caches": [KeyValueCache()]}, r"1 caches for 2 layers"),
    ],
)
def test_mistakes_are_refused(ids: Tensor, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextTransformer(CONFIG)(ids, **arguments)
