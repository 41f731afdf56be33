# SPDX-License-Identifier: MIT
"""The fused layers of a training step against the modules they stand for, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intern25.backbones import INTERNIMAGE_NANO, InternImageClassifier
from intern25.backbones.internimage import MLP
from intern25.ops import DCNv3, native
from intern25.ops.backends import Refusal
from intern25.ops.fused.training import LayerNorm, depthwise_norm_gelu, fuses, mlp

pytestmark = pytest.mark.skipif(
    isinstance(native.library(), Refusal), reason="the native library is not built"
)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def embedding(channels: int, kernel: int) -> nn.ModuleList:
    torch.manual_seed(channels + kernel)
    convolution = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
    norm = LayerNorm(channels, eps=1e-6)
    nn.init.normal_(norm.weight, 1.0, 0.5)
    nn.init.normal_(norm.bias, 0.0, 0.5)
    return nn.ModuleList([convolution, norm])


def embed_plainly(layers: nn.ModuleList, x: Tensor) -> Tensor:
    return nn.functional.gelu(layers[1](layers[0](x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))


def embed_fused(layers: nn.ModuleList, x: Tensor) -> Tensor:
    return depthwise_norm_gelu(x, layers[0], layers[1])


def layers_of_mlp(channels: int, hidden: int) -> nn.ModuleList:
    torch.manual_seed(channels)
    return nn.ModuleList([nn.Linear(channels, hidden), nn.Linear(hidden, channels)])


def mlp_plainly(layers: nn.ModuleList, x: Tensor) -> Tensor:
    return layers[1](nn.functional.gelu(layers[0](x)))


def mlp_fused(layers: nn.ModuleList, x: Tensor) -> Tensor:
    return mlp(x, layers[0], layers[1])


Layer = Callable[[nn.ModuleList, Tensor], Tensor]


def differentiate(function: Layer, layers: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """Output and the gradients of the input and of all parameters, for a fixed gradient of the output."""
    x = x.clone().requires_grad_()
    output = function(layers, x)
    grad = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(output.dtype)
    gradients = torch.autograd.grad(output, [x, *layers.parameters()], grad)
    return [output.detach(), *gradients]


def assert_same(fused: Layer, plainly: Layer, layers: nn.ModuleList, x: Tensor) -> None:
    expected = differentiate(plainly, copy.deepcopy(layers).double(), x.double())
    for ours, oracle in zip(differentiate(fused, layers, x), expected, strict=True):
        assert ours.shape == oracle.shape
        # float32 sums of some thousand terms of size 1
        tolerance = 2e-5 * max([1.0, *oracle.abs().flatten().tolist()])
        assert torch.allclose(ours.double(), oracle, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize(("channels", "size"), [(16, (9, 7)), (48, (1, 5)), (80, (3, 1)), (32, (70, 4))])
def test_depthwise_norm_gelu(instruction_set: str, kernel: int, channels: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, *size, channels, generator=torch.Generator().manual_seed(0))
    assert_same(embed_fused, embed_plainly, embedding(channels, kernel), x)


def norm_plainly(layers: nn.ModuleList, x: Tensor) -> Tensor:
    return nn.LayerNorm.forward(layers[0], x)


def norm_fused(layers: nn.ModuleList, x: Tensor) -> Tensor:
    assert x.dtype == torch.float64 or fuses(x, layers[0])
    return layers[0](x)


@pytest.mark.parametrize(("channels", "size"), [(16, (0, 3)), (48, (7,)), (80, (1, 3)), (32, (70, 4))])
def test_layer_norm(instruction_set: str, channels: int, size: tuple[int, ...]) -> None:
    x = 10 + torch.randn(2, *size, channels, generator=torch.Generator().manual_seed(0))
    assert_same(norm_fused, norm_plainly, embedding(channels, 1)[1:], x)


@pytest.mark.parametrize(("channels", "hidden"), [(16, 64), (5, 7), (24, 33)])
@pytest.mark.parametrize("size", [(1,), (2, 3, 4), (2, 21, 17)])
def test_mlp(instruction_set: str, channels: int, hidden: int, size: tuple[int, ...]) -> None:
    x = torch.randn(*size, channels, generator=torch.Generator().manual_seed(0))
    assert_same(mlp_fused, mlp_plainly, layers_of_mlp(channels, hidden), 3 * x)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.sampled_from([1, 3, 5]))
def test_any_map(batch: int, height: int, width: int, lanes: int, kernel: int) -> None:
    x = torch.randn(batch, height, width, 16 * lanes, generator=torch.Generator().manual_seed(height))
    assert_same(embed_fused, embed_plainly, embedding(16 * lanes, kernel), x)


def test_large_and_small_activations(instruction_set: str) -> None:
    layers = layers_of_mlp(4, 8)
    x = torch.tensor([-1e4, -90.0, -6.0, -1e-6, 0.0, 1e-6, 6.0, 1e4])[:, None].expand(8, 4).contiguous()
    ours, expected = (
        differentiate(mlp_fused, layers, x),
        differentiate(mlp_plainly, copy.deepcopy(layers).double(), x.double()),
    )
    assert all(value.isfinite().all() for value in ours)
    for mine, oracle in zip(ours, expected, strict=True):
        assert (mine.double() - oracle).abs().max() <= 1e-5 * oracle.abs().max().clamp(min=1.0)


def test_nan_stays(instruction_set: str) -> None:
    x = torch.zeros(1, 4, 4, 16)
    x[0, 0, 0, 0] = torch.nan
    output, grad_x = differentiate(embed_fused, embedding(16, 3), x)[:2]
    assert output[0, 0, 0].isnan().all()
    assert output[0, 3, 3].isfinite().all()
    assert grad_x[0, 0, 0].isnan().any()


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_nothing() -> None:
    x = torch.randn(2, 30, 20, 32)
    results = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        results.append(differentiate(embed_fused, embedding(32, 3), x))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_non_contiguous_input() -> None:
    x = torch.randn(2, 16, 5, 6).permute(0, 2, 3, 1)
    assert_same(embed_fused, embed_plainly, embedding(16, 3), x)


def test_frozen_layers_get_no_gradient() -> None:
    first, second = layers_of_mlp(8, 16)
    first.requires_grad_(False)
    mlp(torch.randn(3, 8), first, second).sum().backward()
    assert first.weight.grad is None
    assert first.bias.grad is None
    assert second.weight.grad is not None
    assert second.bias.grad is not None


def test_who_may_notice_gets_the_modules() -> None:
    convolution, norm = embedding(16, 3)
    gelu, x = nn.GELU(), torch.randn(1, 4, 4, 16)
    assert fuses(x, convolution, norm, gelu)
    with torch.no_grad():
        assert not fuses(x, convolution, norm, gelu)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fuses(x, convolution, norm, gelu)
    assert not fuses(x.double(), convolution, norm, gelu)
    assert not fuses(x, convolution, norm, nn.GELU(approximate="tanh"))
    assert not fuses(x, nn.Conv2d(16, 16, 3, padding=1), norm, gelu)
    assert not fuses(x, nn.Conv2d(16, 16, 3, padding=1, groups=16, stride=2), norm, gelu)
    assert not fuses(x, nn.Conv2d(12, 12, 3, padding=1, groups=12), norm, gelu)
    assert not fuses(x, nn.BatchNorm2d(16), gelu)
    handle = norm.register_forward_hook(lambda *_: None)
    assert not fuses(x, convolution, norm, gelu)
    handle.remove()
    assert fuses(x, convolution, norm, gelu)


def test_wrong_shapes_are_refused() -> None:
    convolution, norm = embedding(16, 3)
    with pytest.raises(ValueError, match=r"expected \(N, H, W, 16\)"):
        depthwise_norm_gelu(torch.zeros(1, 4, 4, 32), convolution, norm)
    with pytest.raises(RuntimeError, match="normalized_shape"):
        norm(torch.zeros(4, 32))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        mlp(torch.zeros(4, 32), *layers_of_mlp(16, 64))


def test_functional_transforms_see_plain_layers() -> None:
    layer = MLP(16, INTERNIMAGE_NANO)
    parameters = dict(layer.named_parameters())

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x[None],)).square().sum()

    x = torch.randn(3, 5, 5, 16)
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for name, gradient in torch.func.grad(loss)(parameters, x[1]).items():
        assert torch.allclose(each[name][1], gradient, atol=1e-5)


def test_a_hooked_model_trains_to_the_same_gradients() -> None:
    model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=3).train()
    for module in model.modules():
        if isinstance(module, DCNv3):  # zero offsets would hide half of the operator
            nn.init.normal_(module.offset.bias, 0.0, 0.5)
            nn.init.normal_(module.mask.weight, 0.0, 0.1)
    x = torch.randn(2, 3, 64, 64)
    gradients = []
    for hooked in (False, True):
        if hooked:
            for module in model.modules():
                module.register_forward_hook(lambda *_: None)
        model.zero_grad()
        model(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for fused, plain in zip(*gradients, strict=True):
        # two float32 computations of fifteen layers and batch statistics over two images
        assert (fused - plain).abs().max() <= 1e-3 * plain.abs().max().clamp(min=1e-2)
