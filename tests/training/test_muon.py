# SPDX-License-Identifier: MIT
"""Muon against singular value decompositions in float64 and against torch's AdamW."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intern25.backbones import INTERNIMAGE_NANO, InternImageClassifier
from intern25.generalist.config import INTERN25_TINY
from intern25.generalist.model import Generalist
from intern25.training.config import TrainConfig
from intern25.training.muon import NEWTON_SCHULZ, Muon, orthogonalise
from intern25.training.optimizer import build_optimizer, hidden_matrices
from intern25.training.parameter_rules import parameter_rules


def orthogonalise_by_svd(matrix: Tensor, steps: int) -> Tensor:
    """Apply the scalar iteration to the singular values."""
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    a, b, c = NEWTON_SCHULZ
    s = s / s.norm()
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ vh


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 6), st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_orthogonalise_acts_on_the_singular_values(
    rows: int, columns: int, steps: int, scale: float, seed: int
) -> None:
    matrix = scale * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    expected = orthogonalise_by_svd(matrix, steps)
    # Each iteration multiplies small singular values and their rounding errors by 3.44.
    tolerance = 1e-6 * 4.0**steps
    assert torch.allclose(orthogonalise(matrix[None], steps)[0].double(), expected, atol=tolerance)


def test_singular_values_end_near_one() -> None:
    values = torch.linalg.svdvals(orthogonalise(torch.randn(3, 40, 100), 5))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_zero_gradient_moves_nothing() -> None:
    assert orthogonalise(torch.zeros(2, 4, 3)).abs().max() == 0


def test_three_steps_equal_the_formula() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 3, 2, 2))
    expected, average = weight.detach().double().flatten(1), torch.zeros(8, 12, dtype=torch.float64)
    optimizer = Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.1}], lr=0.02)
    for _ in range(3):
        weight.grad = torch.randn_like(weight)
        gradient = weight.grad.double().flatten(1)
        average = 0.95 * average + gradient
        update = orthogonalise_by_svd(gradient + 0.95 * average, 5)
        expected = (1 - 0.02 * 0.1) * expected - 0.2 * 0.02 * 12**0.5 * update
        optimizer.step()
    assert torch.allclose(weight.detach().double().flatten(1), expected, atol=1e-5)


def test_a_stack_is_its_matrices_and_those_without_gradient_rest() -> None:
    torch.manual_seed(0)
    stack = nn.Parameter(torch.randn(3, 6, 4))
    single = [nn.Parameter(matrix.detach().clone()) for matrix in stack]
    group = {"orthogonal": True, "weight_decay": 0.1}
    ours = Muon([{"params": [stack], **group}], lr=0.02)
    theirs = Muon([{"params": single, **group}], lr=0.02)
    for unused in (2, 0, 2):
        stack.grad = torch.randn_like(stack)
        stack.grad[unused] = 0.0
        for index, matrix in enumerate(single):
            matrix.grad = None if index == unused else stack.grad[index].clone()
        ours.step()
        theirs.step()
    assert torch.allclose(stack, torch.stack(list(single)), atol=1e-6)


def test_kernels_in_another_order_of_memory_are_changed_too() -> None:
    torch.manual_seed(0)
    plain = nn.Parameter(torch.randn(8, 3, 2, 2))
    turned = nn.Parameter(plain.detach().clone(memory_format=torch.channels_last))
    gradient = torch.randn_like(plain)
    for weight in (plain, turned):
        weight.grad = gradient.clone()
        Muon([{"params": [weight], "orthogonal": True}], lr=0.02).step()
    assert torch.allclose(plain, turned, atol=1e-6)


def test_experts_are_orthogonalised() -> None:
    with torch.device("meta"):
        model = Generalist(INTERN25_TINY)
    names = hidden_matrices(model)
    assert {
        "decoder.layers.0.qkv.weight",
        "decoder.layers.2.fc2.weight",
        "decoder.layers.1.fc1.weight",
    } <= names
    assert "decoder.layers.0.qkv.bias" not in names


def test_other_groups_are_adamw() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(7))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    muon = Muon([{"params": ours, "orthogonal": False, "weight_decay": 0.1}], lr=0.01, betas=(0.9, 0.95))
    adamw = torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(4):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        muon.step()
        adamw.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_image_and_class_layers_and_depth_wise_kernels_are_left_to_adamw() -> None:
    with torch.device("meta"):
        model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=10)
    names = hidden_matrices(model)
    assert "backbone.stem.conv2.weight" in names
    assert "head.conv.weight" in names
    assert not names & {"backbone.stem.conv1.weight", "classifier.weight"}
    assert not [name for name in names if "dw_conv" in name or name.endswith("bias")]
    assert all(model.get_parameter(name).ndim > 1 for name in names)


def test_every_trainable_parameter_is_in_one_group() -> None:
    model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=10)
    rules = parameter_rules(model, weight_decay=0.05)
    optimizer = build_optimizer(model, rules, lr=1e-3, optimizer="muon")
    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters())
    orthogonal = [p for g in optimizer.param_groups if g["orthogonal"] for p in g["params"]]
    assert len(orthogonal) == len(hidden_matrices(model))


def test_sharded_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match="use 'ddp'"):
        TrainConfig(optimizer="muon", parallel="fsdp", ema_decay=0.0)


def test_bad_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match=r"momentum=1\.5"):
        Muon([{"params": [nn.Parameter(torch.zeros(2, 2))]}], lr=0.1, momentum=1.5)
