# SPDX-License-Identifier: MIT
"""Merged experts against experts that are all computed and then mixed; the router against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from intern25.generalist.attributes import Attributes
from intern25.generalist.experts import DenseLinear, ExpertLinear, Gates, Router

PICTURE = Attributes.from_bits("10011000")
# The vectors of the published tasks, and two of our own.
VECTORS = [
    Attributes.from_bits(bits)
    for bits in (
        "10011000",
        "01010100",
        "11011000",
        "11010101",
        "10010110",
        "11010110",
        "100110001",
        "1001100001",
    )
]


def mixed(layer: ExpertLinear, gates: Gates, x: Tensor) -> Tensor:
    """Compute every expert, weight all outputs, most of them by zero."""
    outputs = [F.linear(x, weight, bias) for weight, bias in zip(layer.weight, layer.bias, strict=True)]
    shares = torch.zeros(len(outputs), dtype=x.dtype)
    for expert, share in zip(gates.experts.tolist(), gates.shares, strict=True):
        shares[expert] += share
    return sum((share * output for share, output in zip(shares, outputs, strict=True)), torch.zeros(()))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_merging_equals_mixing(experts: int, active: int, seed: int) -> None:
    torch.manual_seed(seed)
    active = min(active, experts)
    layer = ExpertLinear(7, 5, experts)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    gates = Gates(torch.randperm(experts)[:active], torch.rand(active).softmax(0))
    x = torch.randn(2, 3, 7)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, gates), mixed(layer, gates, x), rtol=1e-5, atol=1e-5)


def test_idle_experts_are_not_read() -> None:
    layer = ExpertLinear(3, 4, 5)
    with torch.no_grad():
        layer.weight[[0, 2, 4]] = math.nan
        layer.bias[[0, 2, 4]] = math.nan
    y = layer(torch.randn(6, 3), Gates(torch.tensor([3, 1]), torch.tensor([0.7, 0.3])))
    assert y.isfinite().all()
    y.square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad[[0, 2, 4]].abs().max() == 0
    assert layer.weight.grad[[1, 3]].abs().min() > 0


def test_gradients_in_float64() -> None:
    layer = ExpertLinear(3, 4, 3).double()
    shares = torch.tensor([0.6, 0.4], dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    experts = torch.tensor([2, 0])

    def forward(x: Tensor, shares: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, (x, Gates(experts, shares)))

    assert torch.autograd.gradcheck(forward, (x, shares, layer.weight, layer.bias))


def expected_gates(router: Router, attributes: Attributes) -> dict[int, float]:
    """The formula in scalars: softmax over all, the largest k, renormalised."""
    weight, bias = router.embedding.weight.tolist(), router.embedding.bias.tolist()
    hidden = [
        b + sum(w * a for w, a in zip(row, attributes.vector(), strict=True))
        for row, b in zip(weight, bias, strict=True)
    ]
    mean = sum(hidden) / len(hidden)
    deviation = math.sqrt(sum((h - mean) ** 2 for h in hidden) / len(hidden) + 1e-5)
    logits = [
        sum(w * (h - mean) / deviation for w, h in zip(row, hidden, strict=True))
        for row in router.gate.weight.tolist()
    ]
    odds = [math.exp(logit) for logit in logits]
    probabilities = {expert: odd / sum(odds) for expert, odd in enumerate(odds)}
    best = sorted(probabilities, key=lambda expert: -probabilities[expert])[: router.active]
    total = sum(probabilities[expert] for expert in best)
    return {expert: probabilities[expert] / total for expert in best}


@pytest.mark.parametrize("active", [1, 2, 4])
def test_router_equals_its_formula(active: int) -> None:
    router = Router(8, 4, active).double().eval()
    for attributes in VECTORS:
        gates = router(attributes)
        found = dict(zip(gates.experts.tolist(), gates.shares.tolist(), strict=True))
        assert found == pytest.approx(expected_gates(router, attributes))
        assert list(found) == list(expected_gates(router, attributes))


def test_noise_is_for_training_alone_and_has_deviation_one_over_experts() -> None:
    router = Router(8, 5, 5)
    router.eval()
    quiet = router(PICTURE)
    assert torch.equal(quiet.shares, router(PICTURE).shares)
    router.train()
    shares = []
    with torch.no_grad():
        for _ in range(2000):
            gates = router(PICTURE)
            shares.append(torch.empty(5).scatter(0, gates.experts, gates.shares.log()))
    # Differences of logs are differences of logits, whose two noises add up.
    logs = torch.stack(shares)
    differences = logs[:, 0] - logs[:, 1]
    assert differences.std().item() == pytest.approx(2**0.5 / 5, rel=0.08)


@pytest.mark.parametrize(("width", "experts"), [(192, 4), (384, 8)])
def test_tasks_differ_in_their_experts_from_the_start(width: int, experts: int) -> None:
    pairs = []
    for _ in range(8):
        router = Router(width, experts, 2).eval()
        pairs.append({frozenset(router(attributes).experts.tolist()) for attributes in VECTORS})
    assert all(len(found) >= 2 for found in pairs)
    assert sum(len(found) for found in pairs) / len(pairs) > 2.5


def test_tasks_that_want_the_opposite_part_ways() -> None:
    """One layer learns both x and -x, which only a choice by attributes can give."""
    router, layer = Router(16, 4, 2), ExpertLinear(6, 6, 4)
    parameters = [*router.parameters(), *layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    signs = {VECTORS[2]: 1.0, VECTORS[3]: -1.0}
    for _ in range(250):
        x = torch.randn(32, 6)
        loss = sum((layer(x, router(a)) - sign * x).square().mean() for a, sign in signs.items())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    router.eval()
    x = torch.randn(32, 6)
    chosen = [router(attributes) for attributes in signs]
    for gates, sign in zip(chosen, signs.values(), strict=True):
        assert (layer(x, gates) - sign * x).square().mean() < 0.05
    assert any(not torch.equal(one, other) for one, other in zip(*chosen, strict=True))


def test_gradients_reach_the_router() -> None:
    router, layer = Router(16, 4, 2), ExpertLinear(6, 6, 4)
    layer(torch.randn(3, 6), router(PICTURE)).square().sum().backward()
    for name, parameter in router.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_autocast_rounds_the_layer_and_not_the_choice() -> None:
    router, layer = Router(16, 4, 2).eval(), ExpertLinear(64, 6, 4)
    x = torch.randn(3, 64)
    exact, expected = router(PICTURE), layer(x, router(PICTURE))
    with torch.autocast("cpu", torch.bfloat16):
        gates, y = router(PICTURE), layer(x, router(PICTURE))
    assert torch.equal(gates.shares, exact.shares)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.02)


def test_experts_start_like_separate_layers() -> None:
    layer, dense = ExpertLinear(300, 200, 3), DenseLinear(300, 200)
    assert layer.weight.std(dim=(1, 2)).tolist() == pytest.approx([0.02] * 3, rel=0.02)
    assert dense.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert torch.corrcoef(layer.weight.flatten(1))[0, 1].abs() < 0.02
    assert layer.bias.abs().max() == dense.bias.abs().max() == 0


def test_a_layer_without_experts_answers_alike() -> None:
    dense, x = DenseLinear(3, 4), torch.randn(2, 3)
    assert torch.equal(dense.merged(None)(x), dense(x))


@pytest.mark.parametrize("active", [0, 5])
def test_more_experts_than_there_are(active: int) -> None:
    with pytest.raises(ValueError, match=f"active={active} must lie between 1 and experts=4"):
        Router(8, 4, active)
