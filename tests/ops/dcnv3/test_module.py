# SPDX-License-Identifier: MIT
"""The DCNv3 layer: what it starts as, its parameters, and its options against the plain composition."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from intern25 import ops
from intern25.ops.dcnv3 import module as module_file
from intern25.ops.dcnv3.module import DCNv3


def _awake(layer: DCNv3) -> DCNv3:
    """Give the zero-initialised predictors values."""
    for linear in (layer.offset, layer.mask, layer.center_feature_scale):
        if linear is not None:
            nn.init.normal_(linear.weight, std=0.2)
            nn.init.normal_(linear.bias, std=0.5)
    return layer


def test_the_public_name_is_the_class_and_the_function() -> None:
    assert ops.DCNv3 is DCNv3
    assert callable(ops.dcnv3)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"dw_kernel_size": 5, "center_feature_scale": True},
        {"offset_scale": 2.0, "remove_center": True, "norm": "BN", "activation": "SiLU"},
        {"kernel_size": (5, 3), "padding": (2, 1), "activation": "ReLU"},
    ],
    ids=["plain", "huge", "batch-norm", "tall"],
)
def test_equals_the_composition(arguments: dict[str, object]) -> None:
    layer = _awake(DCNv3(24, groups=3, **arguments)).double().eval()  # type: ignore[arg-type]
    x = torch.randn(2, 6, 5, 24, dtype=torch.float64)
    value = layer.input_proj(x)
    u = layer.activation(layer.dw_norm(layer.dw_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
    points = layer.geometry.num_points
    mask = layer.mask(u).unflatten(-1, (3, points)).softmax(-1).flatten(3)
    y = ops.dcnv3(
        value, layer.offset(u), mask, kernel_size=layer.geometry.kernel_size, padding=layer.geometry.padding,
        groups=3, offset_scale=layer.geometry.offset_scale, remove_center=layer.geometry.remove_center,
        backend="reference",
    )  # fmt: skip
    if layer.center_feature_scale is not None:
        share = layer.center_feature_scale(u).sigmoid().repeat_interleave(8, dim=-1)
        y = y * (1 - share) + value * share
    assert_close(layer(x), layer.output_proj(y))


def test_starts_as_average_pooling() -> None:
    layer = DCNv3(16, groups=2).double()
    x = torch.randn(1, 6, 6, 16, dtype=torch.float64)
    pooled = F.avg_pool2d(layer.input_proj(x).permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)
    assert_close(layer(x), layer.output_proj(pooled))


def test_reset_parameters() -> None:
    layer = DCNv3(16, groups=2, center_feature_scale=True)
    assert layer.center_feature_scale is not None
    for linear in (layer.offset, layer.mask, layer.center_feature_scale, layer.input_proj, layer.output_proj):
        nn.init.constant_(linear.weight, 7.0)
        nn.init.constant_(linear.bias, 7.0)
    layer.reset_parameters()
    for linear in (layer.offset, layer.mask, layer.center_feature_scale):
        assert linear.weight.abs().max() == 0
        assert linear.bias.abs().max() == 0
    bound = (6 / 32) ** 0.5  # Xavier-uniform of 16 to 16
    for linear in (layer.input_proj, layer.output_proj):
        assert linear.bias.abs().max() == 0
        assert 0.8 * bound < linear.weight.abs().max() <= bound


def test_parameter_names_and_shapes() -> None:
    layer = DCNv3(64, groups=4, dw_kernel_size=5, center_feature_scale=True)
    assert {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()} == {
        "dw_conv.weight": (64, 1, 5, 5),
        "dw_conv.bias": (64,),
        "dw_norm.weight": (64,),
        "dw_norm.bias": (64,),
        "offset.weight": (72, 64),
        "offset.bias": (72,),
        "mask.weight": (36, 64),
        "mask.bias": (36,),
        "input_proj.weight": (64, 64),
        "input_proj.bias": (64,),
        "output_proj.weight": (64, 64),
        "output_proj.bias": (64,),
        "center_feature_scale.weight": (4, 64),
        "center_feature_scale.bias": (4,),
    }


def test_every_parameter_gets_a_gradient() -> None:
    layer = _awake(DCNv3(16, groups=2, center_feature_scale=True))
    layer(torch.randn(2, 5, 5, 16)).square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_copies_and_pickles() -> None:
    layer = _awake(DCNv3(16, groups=2))
    x = torch.randn(1, 4, 4, 16)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(other(x), layer(x), rtol=0, atol=0)


def test_odd_depths_are_told_and_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=module_file.__name__):
        layer = DCNv3(24, groups=2)
    assert "12 channels a group" in caplog.text
    assert layer(torch.randn(1, 4, 4, 24)).isfinite().all()


def test_batch_norm_is_channels_last() -> None:
    layer = DCNv3(8, groups=2, norm="BN")
    plain = nn.BatchNorm2d(8)
    x = torch.randn(3, 4, 5, 8)
    assert_close(layer.dw_norm(x), plain(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    assert_close(layer.dw_norm.running_var, plain.running_var)
