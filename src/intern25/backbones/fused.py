# SPDX-License-Identifier: MIT
"""InternImage's layers on the native library's fused kernels: the CPU forms that ``optimize`` puts in.

Each form packs the weights of the layer it replaces and keeps nothing else of it. Layer scales are folded
into the norm or the linear layer before them, batch norm into the convolution. The kernels compute in
float32; maps are handed on in the model's dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import ConvHead
from intern25.backbones.internimage import (
    MLP,
    Downsample,
    InternImageBlock,
    ResidualBranch,
    Stage,
    Stem,
)
from intern25.ops.backends import Ready
from intern25.ops.dcnv3.geometry import Geometry
from intern25.ops.dcnv3.module import DCNv3
from intern25.ops.fused import kernels
from intern25.ops.fused.kernels import Norm, PackedBlock, PackedLinear, PackedStage, pack_linear

DTYPES = (torch.float32, torch.bfloat16)
"""Model types the kernels serve."""


class FusedStage(nn.Module):
    """All blocks of a stage in one native call, ``(N, H, W, C)`` to ``(N, H, W, C)``."""

    def __init__(self, stage: Stage, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.packed = _pack_stage(stage, dtype)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        """Same shape as ``x_NHWC``."""
        return self.packed(x_NHWC.detach().float()).to(self.dtype)


class FusedStem(nn.Module):
    """Stem on the native kernels: ``(N, 3, H, W)`` to ``(N, ceil(H/4), ceil(W/4), C)``."""

    def __init__(self, stem: Stem, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.epsilon = cast(nn.LayerNorm, stem.norm1).eps
        self.linear1, self.linear2 = (_pack_convolution(conv, dtype) for conv in (stem.conv1, stem.conv2))
        self.norm1, self.norm2 = _pack_norm(stem.norm1), _pack_norm(stem.norm2)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return channels-last tokens."""
        x = x_NCHW.detach().float()
        x = kernels.convolution_norm(
            x, self.linear1, self.norm1, epsilon=self.epsilon, gelu=True, layout="NCHW"
        )
        x = kernels.convolution_norm(
            x, self.linear2, self.norm2, epsilon=self.epsilon, gelu=False, layout="NHWC"
        )
        return x.to(self.dtype)


class FusedDownsample(nn.Module):
    """Strided convolution and norm in one native call: ``(N, H, W, C)`` to ``(N, H/2, W/2, 2C)``."""

    def __init__(self, downsample: Downsample, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.epsilon = cast(nn.LayerNorm, downsample.norm).eps
        self.linear = _pack_convolution(downsample.conv, dtype)
        self.norm = _pack_norm(downsample.norm)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        """Return ``(N, ceil(H/2), ceil(W/2), 2C)``."""
        x = x_NHWC.detach().float()
        x = kernels.convolution_norm(
            x, self.linear, self.norm, epsilon=self.epsilon, gelu=False, layout="NHWC"
        )
        return x.to(self.dtype)


class FusedConvHead(nn.Module):
    """Convolutional head with its batch norm folded: four NCHW maps to ``(N, num_features)``."""

    def __init__(self, head: ConvHead, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.num_features = head.num_features
        self.linear = pack_linear(*fold_batch_norm(head.conv, head.norm), dtype)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return pooled features."""
        x_NHWC = features[3].detach().float().permute(0, 2, 3, 1)
        y = kernels.linear_gelu(x_NHWC.reshape(-1, self.linear.inputs), self.linear)
        return y.reshape(*x_NHWC.shape[:3], self.num_features).mean(dim=(1, 2)).to(self.dtype)


def fuse(module: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """The fused form of ``module`` with weights of ``dtype``, or None where there is none for it.

    A module that has one is consumed: a stage loses its blocks as they are packed.

    There is none without the native library, for other types than float32 and bfloat16, for weights that are
    not on the CPU, and for settings that no published model has (batch norm, activations other than GELU).
    """
    find: dict[type[nn.Module], tuple[Callable[[nn.Module], bool], type[nn.Module]]] = {
        Stem: (_has_plain_layers, FusedStem),
        Downsample: (_has_plain_layers, FusedDownsample),
        Stage: (_is_plain_stage, FusedStage),
        ConvHead: (_has_plain_layers, FusedConvHead),
    }
    if type(module) not in find or dtype not in DTYPES or not isinstance(kernels.status(), Ready):
        return None
    if any(parameter.device.type != "cpu" for parameter in module.parameters()):
        return None
    is_plain, form = find[type(module)]
    return form(module, dtype) if is_plain(module) else None


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight ``(outputs, inputs)`` and bias of a 1x1 convolution followed by a frozen batch norm."""
    assert norm.running_mean is not None, "the norm tracks its statistics"
    assert norm.running_var is not None, "the norm tracks its statistics"
    with torch.no_grad():
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        bias = norm.bias - norm.running_mean * scale
        if conv.bias is not None:
            bias = bias + conv.bias * scale
        return conv.weight.flatten(1) * scale[:, None], bias


def merge_sampling(operator: DCNv3) -> tuple[Tensor, Tensor]:
    """Weight and bias of offset, mask and, where it exists, centre-feature projection as one layer."""
    parts = [operator.offset, operator.mask]
    if operator.center_feature_scale is not None:
        parts.append(operator.center_feature_scale)
    weights, biases = zip(*((part.weight.detach(), part.bias.detach()) for part in parts), strict=True)
    return torch.cat(weights), torch.cat(biases)


def fold_scale(branch: ResidualBranch, last: nn.Linear) -> tuple[nn.Module, Tensor, Tensor]:
    """Post norm of a branch and weight and bias of its last layer, one of them times the layer scale."""
    weight, bias, norm = last.weight.detach(), last.bias.detach(), branch.post_norm
    if branch.scale is None:
        return norm, weight, bias
    scale = branch.scale.detach()
    if isinstance(norm, nn.Identity):
        return norm, weight * scale[:, None], bias * scale
    scaled = nn.LayerNorm(
        scale.shape[0], eps=cast(nn.LayerNorm, norm).eps, device=scale.device, dtype=scale.dtype
    )
    with torch.no_grad():
        scaled.weight.copy_(cast(Tensor, norm.weight) * scale)
        scaled.bias.copy_(cast(Tensor, norm.bias) * scale)
    return scaled, weight, bias


def _pack_stage(stage: Stage, dtype: torch.dtype) -> PackedStage:
    first = cast(InternImageBlock, stage.blocks[0])
    operator, mlp = cast(DCNv3, first.dcn.function), cast(MLP, first.mlp.function)
    blocks = []
    for index in range(len(stage.blocks)):
        key = str(index)
        after = stage.extra_norms[key] if key in stage.extra_norms else None  # noqa: SIM401 - has no get()
        blocks.append(_pack_block(cast(InternImageBlock, stage.blocks[index]), after, dtype))
        # Packed blocks leave the stage one by one: a stage of G is too large to be held twice.
        stage.blocks[index] = nn.Identity()
    return PackedStage(
        channels=operator.input_proj.in_features,
        groups=operator.geometry.groups,
        hidden=mlp.fc1.out_features,
        depthwise_kernel=operator.dw_conv.kernel_size[0],
        gated=operator.center_feature_scale is not None,
        remove_center=operator.geometry.remove_center,
        offset_scale=operator.geometry.offset_scale,
        epsilon=cast(nn.LayerNorm, operator.dw_norm).eps,
        blocks=tuple(blocks),
        norm=_pack_optional_norm(stage.norm),
    )


def _pack_block(block: InternImageBlock, after: nn.Module | None, dtype: torch.dtype) -> PackedBlock:
    operator, mlp = cast(DCNv3, block.dcn.function), cast(MLP, block.mlp.function)
    dcn_post_norm, output_weight, output_bias = fold_scale(block.dcn, operator.output_proj)
    mlp_post_norm, reduce_weight, reduce_bias = fold_scale(block.mlp, mlp.fc2)
    taps = operator.dw_conv.weight.detach().flatten(1).T
    bias = cast(Tensor, operator.dw_conv.bias).detach()[None]
    return PackedBlock(
        dcn_pre_norm=_pack_optional_norm(block.dcn.pre_norm),
        input_projection=pack_linear(operator.input_proj.weight, operator.input_proj.bias, dtype),
        depthwise_weight=torch.cat((taps, bias)).float(),
        depthwise_norm=_pack_norm(operator.dw_norm),
        sampling=pack_linear(*merge_sampling(operator), dtype),
        output_projection=pack_linear(output_weight, output_bias, dtype),
        dcn_post_norm=_pack_optional_norm(dcn_post_norm),
        mlp_pre_norm=_pack_optional_norm(block.mlp.pre_norm),
        expand=pack_linear(mlp.fc1.weight, mlp.fc1.bias, dtype),
        reduce=pack_linear(reduce_weight, reduce_bias, dtype),
        mlp_post_norm=_pack_optional_norm(mlp_post_norm),
        after=_pack_optional_norm(after),
    )


def _pack_convolution(conv: nn.Conv2d, dtype: torch.dtype) -> PackedLinear:
    return pack_linear(conv.weight.detach().permute(0, 2, 3, 1).flatten(1), conv.bias, dtype)


def _pack_norm(norm: nn.Module) -> Norm:
    # A copy even of float32 weights: the model that is replaced may go on being trained.
    gain, bias = (cast(Tensor, p).detach().to(torch.float32, copy=True) for p in (norm.weight, norm.bias))
    return Norm(gain, bias)


def _pack_optional_norm(norm: nn.Module | None) -> Norm | None:
    return None if norm is None or isinstance(norm, nn.Identity) else _pack_norm(norm)


def _has_plain_layers(module: nn.Module) -> bool:
    """Whether the layers are those of the published models: LayerNorm and exact GELU."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d) and not isinstance(module, ConvHead):
            return False
        if isinstance(child, (nn.SiLU, nn.ReLU)):
            return False
    return True


def _is_plain_stage(module: nn.Module) -> bool:
    if not _has_plain_layers(module):
        return False
    for child in module.modules():
        if isinstance(child, DCNv3) and not _is_plain_operator(child):
            return False
        if isinstance(child, MLP) and (child.fc1.in_features | child.fc1.out_features) % kernels.LANES:
            return False
    return True


def _is_plain_operator(operator: DCNv3) -> bool:
    geometry = operator.geometry
    expected = Geometry(
        groups=geometry.groups,
        offset_scale=geometry.offset_scale,
        remove_center=geometry.remove_center,
        softmax=True,
    )
    depth = operator.input_proj.in_features // geometry.groups
    rows, columns = operator.dw_conv.kernel_size
    return (
        geometry == expected
        and operator.backend in ("auto", "cpu")
        and (operator.center_feature_scale is None or depth % kernels.LANES == 0)
        and rows == columns
        and rows % 2 == 1
    )
