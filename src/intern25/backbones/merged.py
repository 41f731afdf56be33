# SPDX-License-Identifier: MIT
"""InternImage's layers with merged and prepacked projections in plain torch, for every device and type."""

from __future__ import annotations

import functools
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.backbones.classifier import ConvHead
from intern25.backbones.fused import fold_batch_norm, fold_scale, merge_sampling
from intern25.backbones.internimage import MLP, InternImageBlock, ResidualBranch, Stem
from intern25.ops.dcnv3 import functional
from intern25.ops.dcnv3.module import DCNv3

PostOp = Literal["none", "gelu"]


class InferenceLinear(nn.Module):
    """Linear layer with an activation behind it, its weight reordered for oneDNN where torch offers that."""

    def __init__(self, weight: Tensor, bias: Tensor, post_op: PostOp = "none") -> None:
        super().__init__()
        self.post_op = post_op
        self.is_prepacked = weight.device.type == "cpu" and has_prepacked_linear(weight.dtype)
        if self.is_prepacked:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.weight, self.bias = weight.detach(), bias.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inputs)`` to ``(..., outputs)``."""
        if self.is_prepacked:
            return cast(
                Tensor,
                torch.ops.mkldnn._linear_pointwise(
                    x.detach(), self.weight, self.bias, self.post_op, [], "none"
                ),
            )
        y = F.linear(x, self.weight, self.bias)
        return F.gelu(y) if self.post_op == "gelu" else y


@functools.cache
def has_prepacked_linear(dtype: torch.dtype) -> bool:
    """Whether torch's private prepacked linear works here for ``dtype``: tried on a small product."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(4, 32, generator=generator).to(dtype) for _ in range(2))
    bias = torch.ones(4, dtype=dtype)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        y = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "gelu", [], "none")
    except (RuntimeError, AttributeError, TypeError):  # private: it may vanish
        return False
    return torch.allclose(y.float(), F.gelu(F.linear(x, weight, bias)).float(), rtol=0.02, atol=0.02)


class MergedDCNv3(nn.Module):
    """DCNv3 layer whose offsets, mask and gate are one product; the operator reads views of it."""

    def __init__(self, operator: DCNv3, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.geometry = operator.geometry
        self.backend = operator.backend
        self.is_gated = operator.center_feature_scale is not None
        self.input_proj = _inference_linear(operator.input_proj)
        self.dw_conv, self.dw_norm, self.activation = operator.dw_conv, operator.dw_norm, operator.activation
        self.sampling = InferenceLinear(*merge_sampling(operator))
        self.output_proj = InferenceLinear(weight, bias)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        """Apply the layer to ``(N, H, W, C)``."""
        value = self.input_proj(x_NHWC)
        u = self.dw_conv(x_NHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        sampling = self.sampling(self.activation(self.dw_norm(u)))
        masks = self.geometry.groups * self.geometry.num_points
        offset, mask = sampling[..., : 2 * masks], sampling[..., 2 * masks : 3 * masks]
        y = functional.apply(value, offset, mask, self.geometry, self.backend)
        if self.is_gated:
            share = sampling[..., 3 * masks :].sigmoid()
            share = share.repeat_interleave(value.shape[-1] // self.geometry.groups, dim=-1)
            y = torch.lerp(y, value, share)
        return cast(Tensor, self.output_proj(y))


class CastStem(nn.Module):
    """Stem that takes images of any floating type, as the fused one does."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.stem = stem

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return channels-last tokens of the weights' dtype."""
        return cast(Tensor, self.stem(x_NCHW.to(self.stem.conv1.weight.dtype)))


def merge_block(block: InternImageBlock) -> None:
    """Put merged projections into ``block``, in place, its layer scales folded away."""
    operator, mlp = cast(DCNv3, block.dcn.function), cast(MLP, block.mlp.function)
    block.dcn.function = MergedDCNv3(operator, *_drop_scale(block.dcn, operator.output_proj))
    weight, bias = _drop_scale(block.mlp, mlp.fc2)
    if isinstance(mlp.activation, nn.GELU):
        first = InferenceLinear(mlp.fc1.weight, mlp.fc1.bias, "gelu")
        block.mlp.function = nn.Sequential(first, InferenceLinear(weight, bias))
    else:
        first = _inference_linear(mlp.fc1)
        block.mlp.function = nn.Sequential(first, mlp.activation, InferenceLinear(weight, bias))


def merge_conv_head(head: ConvHead) -> None:
    """Fold the batch norm of ``head`` into its convolution, in place."""
    weight, bias = fold_batch_norm(head.conv, head.norm)
    conv = nn.Conv2d(
        head.conv.in_channels, head.conv.out_channels, 1, device=weight.device, dtype=weight.dtype
    )
    with torch.no_grad():
        conv.weight.copy_(weight[:, :, None, None])
        cast(Tensor, conv.bias).copy_(bias)
    head.conv = conv.requires_grad_(False)
    head.norm = cast(nn.BatchNorm2d, nn.Identity())


def _drop_scale(branch: ResidualBranch, last: nn.Linear) -> tuple[Tensor, Tensor]:
    branch.post_norm, weight, bias = fold_scale(branch, last)
    branch.scale = None
    return weight, bias


def _inference_linear(linear: nn.Linear) -> InferenceLinear:
    return InferenceLinear(linear.weight, linear.bias)
