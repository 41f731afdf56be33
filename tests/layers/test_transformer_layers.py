# SPDX-License-Identifier: MIT
"""Attention, feed-forward parts and the deformable encoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from intern25.layers.attention import (
    ResidualAttention,
    ResidualFeedForward,
    ResidualSlicedFeedForward,
    build_feedforward,
)
from intern25.layers.deformable_encoder import (
    DeformableEncoder,
    cell_centres,
    encoder_reference_points,
    valid_ratios,
)
from intern25.layers.mlp import MLP


def test_mlp_is_linear_layers_with_relu_between() -> None:
    mlp = MLP(5, 7, 3, 3)
    x = torch.randn(4, 5)
    first, second, third = mlp.layers
    torch.testing.assert_close(mlp(x), third(second(first(x).relu()).relu()))
    assert len(MLP(5, 7, 3, 1).layers) == 1
    with pytest.raises(ValueError, match="layers=0"):
        MLP(5, 7, 3, 0)


def attention_by_softmax(
    layer: ResidualAttention, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int
) -> torch.Tensor:
    q_weight, k_weight, v_weight = layer.attention.in_proj_weight.chunk(3)
    q, k, v = (x @ w.T for x, w in ((query, q_weight), (keys, k_weight), (values, v_weight)))
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
    return layer.attention.out_proj((weights @ v).transpose(1, 2).flatten(2))


@torch.no_grad()
def test_positions_are_added_to_queries_and_keys_only() -> None:
    layer = ResidualAttention(16, 4).double()
    query, position = torch.randn(2, 2, 5, 16, dtype=torch.float64)
    key, key_position = torch.randn(2, 2, 7, 16, dtype=torch.float64)
    attended = attention_by_softmax(layer, query + position, key + key_position, key, 4)
    torch.testing.assert_close(layer(query, position, key, key_position), layer.norm(query + attended))
    attended = attention_by_softmax(layer, query + position, query + position, query, 4)
    torch.testing.assert_close(layer(query, position), layer.norm(query + attended))


@torch.no_grad()
def test_blocked_queries_do_not_reach() -> None:
    layer = ResidualAttention(16, 4)
    query, position = torch.randn(1, 5, 16), torch.zeros(1, 5, 16)
    blocked = torch.zeros(5, 5, dtype=torch.bool)
    blocked[:, 4] = True
    changed = query.clone()
    changed[:, 4] += 1
    before, after = layer(query, position, blocked=blocked), layer(changed, position, blocked=blocked)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.equal(layer(query, position)[:, :4], layer(changed, position)[:, :4])


@torch.no_grad()
def test_slices_are_the_whole_feedforward() -> None:
    whole = ResidualFeedForward(8, 12).double()
    slices = ResidualSlicedFeedForward(8, 12, 3).double()
    for index, rows in enumerate(torch.arange(12).split(4)):
        slices.fc1[index].weight.copy_(whole.fc1.weight[rows])
        slices.fc1[index].bias.copy_(whole.fc1.bias[rows])
        slices.fc2[index].weight.copy_(whole.fc2.weight[:, rows])
    slices.bias.copy_(whole.fc2.bias)
    x = torch.randn(3, 8, dtype=torch.float64)
    torch.testing.assert_close(slices(x), whole(x))
    assert isinstance(build_feedforward(8, 12), ResidualFeedForward)
    assert isinstance(build_feedforward(8, 12, 3), ResidualSlicedFeedForward)
    with pytest.raises(ValueError, match="slices=5"):
        ResidualSlicedFeedForward(8, 12, 5)


def test_cell_centres_are_x_y() -> None:
    (centres,) = cell_centres(((2, 3),))
    assert centres.tolist() == [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]


def test_reference_points_of_a_padded_picture() -> None:
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, 2:] = True
    ratios = valid_ratios([mask, mask[:, ::2, ::2]])
    assert ratios.tolist() == [[[1.0, 0.5], [1.0, 0.5]]]
    points = encoder_reference_points(((4, 4), (2, 2)), ratios)
    assert points.shape == (1, 20, 2, 2)
    # Second cell of the second row: x = 1.5 / 4 of the map; y = 1.5 of 2 rows, at half the map's height.
    torch.testing.assert_close(points[0, 5], torch.tensor([[0.375, 0.375]] * 2))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_padded_cells_change_nothing(checkpointing: bool) -> None:
    encoder = DeformableEncoder(32, heads=4, levels=2, points=2, feedforward=16, layers=2).double()
    randomise(encoder)
    encoder.grad_checkpointing = checkpointing
    shapes = ((4, 6), (2, 3))
    masks = [torch.zeros(1, *shape, dtype=torch.bool) for shape in shapes]
    masks[0][:, :, 4:] = True
    masks[1][:, :, 2:] = True
    padding = torch.cat([mask.flatten(1) for mask in masks], dim=1)
    points = encoder_reference_points(shapes, valid_ratios(masks, dtype=torch.float64))
    tokens = torch.randn(1, 30, 32, dtype=torch.float64, requires_grad=True)
    position = torch.randn(1, 30, 32, dtype=torch.float64)
    out = encoder(tokens, position, shapes, points, padding)
    assert out.shape == tokens.shape
    (gradient,) = torch.autograd.grad(out[~padding].square().sum(), tokens)
    assert (gradient[padding] == 0).all()
    assert (gradient[~padding] != 0).any()
    noisy = torch.where(padding[..., None], 1e3, tokens.detach())
    torch.testing.assert_close(encoder(noisy, position, shapes, points, padding)[~padding], out[~padding])


def randomise(module: nn.Module) -> None:
    """Small random values everywhere: fresh deformable attention has constant offsets."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
