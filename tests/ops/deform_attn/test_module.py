# SPDX-License-Identifier: MIT
"""The attention layer: what it starts as, its parameters, masks, and its two kinds of references."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from intern25 import ops
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

SHAPES = ((4, 6), (2, 3))


def _awake(layer: MultiScaleDeformableAttention) -> MultiScaleDeformableAttention:
    """Give the zero-initialised weights values."""
    for linear in (layer.sampling_offsets, layer.attention_weights):
        nn.init.normal_(linear.weight, std=0.3)
        nn.init.normal_(linear.bias, std=0.5)
    return layer


def _call(layer: MultiScaleDeformableAttention, **options: Tensor) -> Tensor:
    torch.manual_seed(1)
    query, value = torch.randn(2, 5, 16), torch.randn(2, 30, 16)
    dtype = layer.value_proj.weight.dtype
    references = options.pop("references", torch.rand(2, 5, 2, 2))
    return layer(query.to(dtype), references, value.to(dtype), SHAPES, **options)


def test_the_public_names_are_the_class_and_the_function() -> None:
    assert ops.MultiScaleDeformableAttention is MultiScaleDeformableAttention
    assert callable(ops.deform_attn)


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_equals_the_composition(kind: str) -> None:
    layer = _awake(MultiScaleDeformableAttention(16, heads=2, levels=2, points=3)).double()
    query, value = torch.randn(2, 5, 16).double(), torch.randn(2, 30, 16).double()
    references = torch.rand(2, 5, 2, 2 if kind == "points" else 4).double()
    offsets = layer.sampling_offsets(query).view(2, 5, 2, 2, 3, 2)
    weights = layer.attention_weights(query).view(2, 5, 2, 6).softmax(-1).view(2, 5, 2, 2, 3)
    locations = torch.empty_like(offsets)
    for level, (height, width) in enumerate(SHAPES):
        for point in range(3):
            shift = offsets[:, :, :, level, point]
            if kind == "points":
                shift = shift / torch.tensor([width, height])
            else:  # a third of half the box for each unit
                shift = shift / 3 * references[:, :, None, level, 2:] / 2
            locations[:, :, :, level, point] = references[:, :, None, level, :2] + shift
    values = layer.value_proj(value).view(2, 30, 2, 8)
    expected = layer.output_proj(ops.deform_attn(values, SHAPES, locations, weights, backend="reference"))
    assert_close(layer(query, references, value, SHAPES), expected)


def test_equals_transformers() -> None:
    modeling = pytest.importorskip(
        "transformers.models.deformable_detr.modeling_deformable_detr", reason="transformers is not installed"
    )
    from transformers import DeformableDetrConfig

    config = DeformableDetrConfig(
        d_model=16, num_feature_levels=2, use_timm_backbone=True, backbone="resnet18"
    )
    theirs = modeling.DeformableDetrMultiscaleDeformableAttention(config, num_heads=2, n_points=3).eval()
    ours = _awake(MultiScaleDeformableAttention(16, heads=2, levels=2, points=3))
    theirs.load_state_dict(ours.state_dict())
    query, value = torch.randn(2, 5, 16), torch.randn(2, 30, 16)
    kept = torch.rand(2, 30) < 0.7
    for last in (2, 4):
        references = torch.rand(2, 5, 2, last)
        expected = theirs(
            hidden_states=query,
            attention_mask=kept,
            encoder_hidden_states=value,
            reference_points=references,
            spatial_shapes=torch.tensor(SHAPES),
            spatial_shapes_list=list(SHAPES),
        )[0]
        actual = ours(query, references, value, SHAPES, padding_mask=~kept)
        assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_padding_counts_as_zero() -> None:
    layer = _awake(MultiScaleDeformableAttention(16, heads=2, levels=2))
    nothing = _call(layer, padding_mask=torch.ones(2, 30, dtype=torch.bool))
    assert_close(nothing, layer.output_proj.bias.expand(2, 5, 16))
    assert_close(_call(layer, padding_mask=torch.zeros(2, 30, dtype=torch.bool)), _call(layer))


def test_reset_parameters() -> None:
    layer = MultiScaleDeformableAttention(64, heads=8, levels=2, points=4)
    for linear in layer.children():
        nn.init.constant_(linear.weight, 7.0)
        nn.init.constant_(linear.bias, 7.0)
    layer.reset_parameters()
    for zero in (
        layer.sampling_offsets.weight,
        layer.attention_weights.weight,
        layer.attention_weights.bias,
        layer.value_proj.bias,
        layer.output_proj.bias,
    ):
        assert zero.abs().max() == 0
    bound = math.sqrt(6 / 128)  # Xavier-uniform of 64 to 64
    for linear in (layer.value_proj, layer.output_proj):
        assert 0.8 * bound < linear.weight.abs().max() <= bound
    offsets = layer.sampling_offsets.bias.view(8, 2, 4, 2)
    eight = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    for head, direction in enumerate(eight):
        for point in range(4):
            expected = torch.tensor(direction) * (point + 1.0)
            assert_close(offsets[head, :, point], expected.expand(2, 2), rtol=1e-6, atol=1e-6)


def test_parameter_names_and_shapes() -> None:
    layer = MultiScaleDeformableAttention(256)
    assert {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()} == {
        "sampling_offsets.weight": (256, 256),
        "sampling_offsets.bias": (256,),
        "attention_weights.weight": (128, 256),
        "attention_weights.bias": (128,),
        "value_proj.weight": (256, 256),
        "value_proj.bias": (256,),
        "output_proj.weight": (256, 256),
        "output_proj.bias": (256,),
    }


def test_every_parameter_gets_a_gradient() -> None:
    layer = _awake(MultiScaleDeformableAttention(16, heads=2, levels=2))
    _call(layer).square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_half_layer_keeps_its_locations_in_float32() -> None:
    """One pixel of a wide map is less than bfloat16 tells apart near 1."""
    layer = MultiScaleDeformableAttention(16, heads=2, levels=1, points=1).bfloat16()
    nn.init.zeros_(layer.sampling_offsets.bias)
    width = 512
    value = torch.randn(1, width, 16).bfloat16()
    reference = torch.tensor([(width - 3.5) / width, 0.5]).view(1, 1, 1, 2)
    actual = layer(torch.zeros(1, 1, 16).bfloat16(), reference, value, ((1, width),))
    expected = layer.output_proj(layer.value_proj(value[:, width - 4 : width - 3]))
    assert actual.dtype == torch.bfloat16
    assert_close(actual, expected, rtol=0.02, atol=0.02)


def test_copies() -> None:
    layer = _awake(MultiScaleDeformableAttention(16, heads=2, levels=2))
    assert_close(_call(copy.deepcopy(layer)), _call(layer), rtol=0, atol=0)
