# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch

from intern25.layers.attention import ResidualAttention
from intern25.layers.dot_product import attend, fused_backward_is_slow


def by_hand(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Loops over rows, heads and queries, in float64."""
    result = torch.zeros_like(query, dtype=torch.float64)
    for n in range(query.shape[0]):
        for h in range(query.shape[1]):
            for i in range(query.shape[2]):
                seen = [j for j in range(key.shape[2]) if mask[n, 0, i, j]]
                scores = [float(query[n, h, i].double() @ key[n, h, j].double()) for j in seen]
                weights = torch.tensor(scores, dtype=torch.float64) / query.shape[3] ** 0.5
                result[n, h, i] = weights.softmax(0) @ value[n, h, seen].double()
    return result


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("grad", [False, True])
def test_attention_equals_loops(dtype: torch.dtype, grad: bool) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8).to(dtype).requires_grad_(grad) for n in (5, 7, 7))
    mask = torch.rand(2, 1, 5, 7) < 0.6
    mask[..., 0] = True
    # bfloat16 has 8 bits: sums over seven products are off by a few times 2 ** -8.
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    found = attend(query, key, value, mask)
    torch.testing.assert_close(
        found.double(), by_hand(query, key, value, mask), rtol=tolerance, atol=tolerance
    )


def test_written_out_attention_has_the_gradients_of_the_fused_one() -> None:
    torch.manual_seed(0)
    plain = [torch.randn(2, 3, 6, 8) for _ in range(3)]
    half = [x.bfloat16().requires_grad_() for x in plain]
    exact = [x.bfloat16().double().requires_grad_() for x in plain]
    assert fused_backward_is_slow(half[0])
    assert not fused_backward_is_slow(exact[0])
    attend(*half).double().square().sum().backward()
    attend(*exact).square().sum().backward()
    for a, b in zip(half, exact, strict=True):
        # As above, and once more for the backward pass.
        torch.testing.assert_close(a.grad.double(), b.grad, rtol=6e-2, atol=6e-2)


@pytest.mark.parametrize("per_head", [False, True])
def test_residual_attention_is_the_same_under_autocast_with_and_without_gradients(per_head: bool) -> None:
    torch.manual_seed(0)
    layer = ResidualAttention(16, 4)
    query, position = torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    blocked = torch.rand(2 * 4, 5, 5) < 0.4 if per_head else torch.rand(5, 5) < 0.4
    blocked[..., range(5), range(5)] = False
    with torch.autocast("cpu", torch.bfloat16):
        written_out = layer(query, position, blocked=blocked)
        with torch.no_grad():
            fused = layer(query, position, blocked=blocked)
    assert fused_backward_is_slow(written_out.bfloat16())
    # Both round to bfloat16, at different places.
    torch.testing.assert_close(written_out.float(), fused.float(), rtol=3e-2, atol=3e-2)
