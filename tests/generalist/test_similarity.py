# SPDX-License-Identifier: MIT
"""The read-out against scalar formulas, and over two processes against one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intern25.generalist.similarity import LABEL_SMOOTHING, Readout

WIDTH = 6


def readout(dtype: torch.dtype = torch.float64) -> Readout:
    module = Readout(WIDTH, ("retrieval", "region")).to(dtype)
    with torch.no_grad():
        for parameter in (module.norm.weight, module.norm.bias, module.projection.bias):
            parameter.normal_()
        module.logit_scale["retrieval"].fill_(math.log(3.0))
    return module


def embedding(module: Readout, state: list[float]) -> list[float]:
    """Norm, linear layer and division by the length, in scalars."""
    mean = sum(state) / WIDTH
    deviation = math.sqrt(sum((s - mean) ** 2 for s in state) / WIDTH + 1e-5)
    weight, bias = module.norm.weight.tolist(), module.norm.bias.tolist()
    normed = [w * (s - mean) / deviation + b for s, w, b in zip(state, weight, bias, strict=True)]
    rows = zip(module.projection.weight.tolist(), module.projection.bias.tolist(), strict=True)
    projected = [sum(w * n for w, n in zip(row, normed, strict=True)) + b for row, b in rows]
    length = math.sqrt(sum(p * p for p in projected))
    return [p / length for p in projected]


def cosines(module: Readout, x: Tensor, y: Tensor) -> list[list[float]]:
    left, right = ([embedding(module, state) for state in side.tolist()] for side in (x, y))
    return [[sum(a * b for a, b in zip(i, j, strict=True)) for j in right] for i in left]


def entropy(logits: list[float], matches: list[bool]) -> float:
    """Cross-entropy of one row with the smoothed target."""
    total = math.log(sum(math.exp(logit) for logit in logits))
    share = (1 - LABEL_SMOOTHING) / sum(matches)
    targets = [share * match + LABEL_SMOOTHING / len(logits) for match in matches]
    return sum(target * (total - logit) for logit, target in zip(logits, targets, strict=True))


@torch.no_grad()
def test_logits_are_scaled_cosines_with_a_scale_for_each_family() -> None:
    module = readout()
    x, y = torch.randn(3, WIDTH).double(), torch.randn(4, WIDTH).double()
    expected = torch.tensor(cosines(module, x, y), dtype=torch.float64)
    x, y = module.embed(x), module.embed(y)
    torch.testing.assert_close(module.logits(x, y, "retrieval"), 3.0 * expected)
    torch.testing.assert_close(module.logits(x, y, "region"), expected / 0.07, rtol=1e-6, atol=1e-6)
    grouped = module.logits(torch.stack((x, -x)), torch.stack((y, y.flip(0))), "retrieval")
    torch.testing.assert_close(grouped[1], -3.0 * expected.flip(1))


def test_the_scale_stops_at_one_hundred() -> None:
    module = readout()
    with torch.no_grad():
        module.logit_scale["region"].fill_(9.0)
    assert module.scale("region").item() == 100.0


@torch.no_grad()
def test_regions_start_as_a_no() -> None:
    module = Readout(WIDTH, ("region",))
    nn.init.eye_(module.projection.weight)
    # The norm takes the mean away, so these two are at right angles behind it.
    x, y = torch.tensor([[1.0, -1, 0, 0, 0, 0]]), torch.tensor([[0.0, 0, 1, -1, 0, 0]])
    x, y = module.embed(x), module.embed(y)
    assert module.sigmoid_logits(x, y, "region").item() == pytest.approx(-10.0, abs=1e-5)
    assert module.sigmoid_logits(x, x, "region").item() == pytest.approx(1 / 0.07 - 10, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.booleans(), st.integers(0, 2**31))
def test_contrastive_loss_equals_loops(count: int, shared: bool, seed: int) -> None:
    torch.manual_seed(seed)
    module = readout()
    x, y = torch.randn(count, WIDTH).double(), torch.randn(count, WIDTH).double()
    same = torch.rand(count, count) < 0.4 if shared else None
    matches = [[i == j or (shared and bool(same[i, j])) for j in range(count)] for i in range(count)]
    rows = [[3.0 * cosine for cosine in row] for row in cosines(module, x, y)]
    columns, matched = list(zip(*rows, strict=True)), list(zip(*matches, strict=True))
    terms = [entropy(*pair) for pair in zip(rows, matches, strict=True)]
    terms += [entropy(list(c), list(m)) for c, m in zip(columns, matched, strict=True)]
    found = module.contrastive_loss(module.embed(x), module.embed(y), "retrieval", same)
    assert found.item() == pytest.approx(sum(terms) / (2 * count), rel=1e-9)


def test_gradients_in_float64() -> None:
    module = readout()
    x, y = (torch.randn(3, WIDTH, dtype=torch.float64, requires_grad=True) for _ in range(2))
    same = torch.zeros(3, 3, dtype=torch.bool)
    same[0, 2] = True

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return module.contrastive_loss(module.embed(x), module.embed(y), "retrieval", same)

    assert torch.autograd.gradcheck(loss, (x, y))
    assert torch.autograd.gradcheck(
        lambda x, y: module.sigmoid_logits(module.embed(x), module.embed(y), "region"), (x, y)
    )
    loss(x, y).backward()
    assert module.logit_scale["retrieval"].grad is not None
    assert module.logit_scale["region"].grad is None


def test_similarities_stay_exact_under_autocast() -> None:
    """Rounded cosines times a scale of 100 would be off by tenths."""
    module = Readout(64, ("region",))
    with torch.no_grad():
        module.logit_scale["region"].fill_(math.log(100.0))
    states, others = torch.randn(8, 64), torch.randn(9, 64)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        x, y = module.embed(states), module.embed(others)
        logits = module.logits(x, y, "region")
    expected = 100.0 * x.double() @ y.double().T
    torch.testing.assert_close(x.norm(dim=-1), torch.ones(8), rtol=1e-5, atol=1e-5)
    # Embeddings that were kept in half precision count as they are.
    kept = module.logits(x.bfloat16(), y, "region")
    torch.testing.assert_close(
        kept.double(), 100.0 * x.bfloat16().double() @ y.double().T, rtol=1e-4, atol=1e-4
    )
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_vocabulary_logits_are_inner_products_with_the_table() -> None:
    module, table, wider = readout(), torch.randn(7, WIDTH).double(), nn.Linear(WIDTH, 9, bias=False).double()
    states = torch.randn(2, 3, WIDTH).double()
    module.vocabulary_scale.fill_(math.log(2.0))
    projected = module.projection(module.norm(states))
    torch.testing.assert_close(module.vocabulary_logits(states, table), 2.0 * projected @ table.T)
    large = torch.randn(7, 9).double()
    expected = 2.0 * wider(projected) @ large.T
    torch.testing.assert_close(module.vocabulary_logits(states, large, wider), expected)


def test_unknown_families_and_names_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="no task family 'video'; there are retrieval, region"):
        readout().logits(torch.zeros(1, WIDTH).double(), torch.zeros(1, WIDTH).double(), "video")
    for families in (("a.b",), ("a", "a"), ("",)):
        with pytest.raises(ValueError, match="must be different names"):
            Readout(WIDTH, families)


# --- two processes ----------------------------------------------------------------------------------


def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Six pairs; matches lie within the halves that the processes take."""
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 6, WIDTH, dtype=torch.float64, generator=generator)
    same = torch.zeros(6, 6, dtype=torch.bool)
    same[0, 1] = same[1, 0] = same[4, 5] = True
    return x, y, same


def gradients(x: Tensor, y: Tensor, same: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    module = readout()
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    loss = module.contrastive_loss(module.embed(x), module.embed(y), "retrieval", same)
    loss.backward()
    found = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), "x": x.grad, "y": y.grad} | found


def half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    own = slice(3 * rank, 3 * rank + 3)
    x, y, same = pairs()
    found = gradients(x[own], y[own], same[own, own])
    for name in sorted(found.keys() - {"x", "y"}):
        dist.all_reduce(found[name])
        found[name] /= 2
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_see_the_pairs_of_both(tmp_path: Path) -> None:
    mp.start_processes(half, (str(tmp_path),), nprocs=2, start_method="spawn")
    expected = gradients(*pairs())
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name in expected.keys() - {"x", "y"}:
        torch.testing.assert_close(found[0][name], expected[name])
        torch.testing.assert_close(found[1][name], expected[name])
    for side in ("x", "y"):
        # Averaging over processes is left to data-parallel training.
        joined = torch.cat([part[side] for part in found]) / 2
        torch.testing.assert_close(joined, expected[side])
