# SPDX-License-Identifier: MIT
"""The DCNv3 layer: the operator between two projections, its offsets from a depth-wise convolution."""

from __future__ import annotations

import logging
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.ops.backends import BackendName
from intern25.ops.dcnv3 import functional
from intern25.ops.dcnv3.geometry import Geometry, Pair, as_pair
from intern25.ops.fused.training import LayerNorm, depthwise_norm_gelu, fuses
from intern25.ops.layers import ActivationName, NormName, build_activation, build_norm

_LOGGER = logging.getLogger(__name__)


class DCNv3(nn.Module):
    r"""Deformable convolution v3 as a layer, ``(N, H, W, C)`` to ``(N, H_out, W_out, C)``.

    $$ y = W_o\,\mathrm{dcnv3}\big(W_i x,\; W_\Delta u,\; \mathrm{softmax}(W_m u)\big), \qquad
    u = \mathrm{act}(\mathrm{norm}(\mathrm{dwconv}(x))) $$

    With ``center_feature_scale`` the operator's output is mixed with its input,
    ``y (1 - a) + v a``, one ``a = sigmoid(W_a u)`` a group.

    Convention:
        - layout: channels last, as the operator; ``offset`` and ``mask`` rows are group-major.
        - offsets are predicted on the input grid, so the operator must keep the size: ``stride=1`` and
          ``padding = dilation * (kernel_size - 1) / 2``, as in every published model.

    Args:
        channels: Channels ``C`` of input and output.
        groups: Groups of the operator; must divide ``channels``.
        kernel_size: Size of the sampling grid.
        stride: Step between output pixels.
        padding: Zero border on each side.
        dilation: Step of the sampling grid.
        dw_kernel_size: Size of the depth-wise convolution, odd; None = ``kernel_size``.
        offset_scale: Factor of sampling grid and offsets.
        center_feature_scale: Mix the output with the projected input (InternImage-H and -G).
        remove_center: Leave the central point out.
        norm: Normalisation behind the depth-wise convolution, ``"LN"`` or ``"BN"``.
        activation: ``"GELU"``, ``"SiLU"`` or ``"ReLU"``.
        backend: Implementation of the operator.

    Example:
        >>> layer = DCNv3(64, groups=4)
        >>> layer(torch.randn(1, 14, 14, 64)).shape
        torch.Size([1, 14, 14, 64])

    Source:
        InternImage, arXiv:2211.05778, section 3.1; OpenGVLab/InternImage, ``modules/dcnv3.py`` (MIT).
    """

    backend: BackendName
    """Implementation of the operator; may be changed at any time, as to ``"reference"`` for an export."""

    def __init__(  # noqa: PLR0913 - the authors' layer has these settings
        self,
        channels: int,
        *,
        groups: int,
        kernel_size: int | Pair = 3,
        stride: int | Pair = 1,
        padding: int | Pair = 1,
        dilation: int | Pair = 1,
        dw_kernel_size: int | None = None,
        offset_scale: float = 1.0,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        norm: NormName = "LN",
        activation: ActivationName = "GELU",
        backend: BackendName = "auto",
    ) -> None:
        super().__init__()
        self.geometry = Geometry(
            kernel_size=as_pair(kernel_size, "kernel_size"),
            stride=as_pair(stride, "stride"),
            padding=as_pair(padding, "padding"),
            dilation=as_pair(dilation, "dilation"),
            groups=groups,
            offset_scale=offset_scale,
            remove_center=remove_center,
            softmax=True,
        )
        _check_channels(channels, groups)
        self.backend = backend
        num_weights = groups * self.geometry.num_points
        dw_size = as_pair(kernel_size if dw_kernel_size is None else dw_kernel_size, "dw_kernel_size")
        dw_padding = ((dw_size[0] - 1) // 2, (dw_size[1] - 1) // 2)
        self.dw_conv = nn.Conv2d(channels, channels, dw_size, padding=dw_padding, groups=channels)
        self.dw_norm = build_norm(channels, norm)
        self.activation = build_activation(activation)
        self.offset = nn.Linear(channels, num_weights * 2)
        self.mask = nn.Linear(channels, num_weights)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.center_feature_scale = nn.Linear(channels, groups) if center_feature_scale else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as average pooling: offsets and modulation zero, projections Xavier-uniform."""
        for linear in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        predictors = [self.offset, self.mask]
        if self.center_feature_scale is not None:
            predictors.append(self.center_feature_scale)
        for linear in predictors:
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x_nhwc: Tensor) -> Tensor:
        """Apply the layer to ``(N, H, W, C)``."""
        value = self.input_proj(x_nhwc)
        u = self._embed(x_nhwc)
        offset, mask = self._predict(u)
        y = functional.apply(value, offset, mask, self.geometry, self.backend)
        if self.center_feature_scale is not None:
            share = self.center_feature_scale(u).sigmoid()
            share = share.repeat_interleave(value.shape[-1] // self.geometry.groups, dim=-1)
            y = y * (1 - share) + value * share
        output: Tensor = self.output_proj(y)
        return output

    def _embed(self, x_nhwc: Tensor) -> Tensor:
        """What offsets and modulation are predicted from, ``u``."""
        if self.backend != "reference" and fuses(x_nhwc, self.dw_conv, self.dw_norm, self.activation):
            return depthwise_norm_gelu(x_nhwc, self.dw_conv, cast(LayerNorm, self.dw_norm))
        u = self.dw_conv(x_nhwc.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return cast(Tensor, self.activation(self.dw_norm(u)))

    def _predict(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets and modulation logits, two views of one product; the operator reads them where they lie."""
        weight = torch.cat((self.offset.weight, self.mask.weight))
        bias = torch.cat((self.offset.bias, self.mask.bias))
        sizes = (self.offset.out_features, self.mask.out_features)
        offset, mask = F.linear(u, weight, bias).split(sizes, dim=-1)
        return offset, mask


def _check_channels(channels: int, groups: int) -> None:
    """Groups must divide the channels; a power of two of channels a group runs fastest."""
    if channels % groups != 0:
        divisors = ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
        raise ValueError(f"groups={groups} does not divide channels={channels}; use one of {divisors}")
    depth = channels // groups
    if depth & (depth - 1) != 0:
        _LOGGER.info(
            "%d channels a group is not a power of two; the kernels run, but not at their best", depth
        )
