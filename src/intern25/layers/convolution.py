# SPDX-License-Identifier: MIT
"""Convolutions of the heads, and the convolution over a pyramid in fewer multiplications.

A convolution over levels that were resized and laid side by side is a sum over the levels, and mixing
channels commutes with resizing. So a coarse level is multiplied with the kernel at its own resolution, and
the products are resized, shifted and summed by two small matrices. That is the same sum in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]

NORM_GROUPS = 32
"""Groups of the group normalisation."""
# The two small matrices move more memory a multiplication than the convolution does.
_WORTHWHILE = 0.7


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution, as one matrix product where the map is channels-last."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolve_pixels(input, weight, bias)


class ConvNormReLU(nn.Module):
    """Convolution of odd size that keeps the map's size, normalisation, ReLU.

    Args:
        in_channels: Channels of the input; of all levels together for :meth:`over_levels`.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel, odd.
        norm: ``"BN"`` batch normalisation, ``"GN"`` 32 groups.
        bias: Whether the convolution has a bias.
        relu: Whether a ReLU follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        norm: Literal["BN", "GN"] = "BN",
        bias: bool = False,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = (
            PointwiseConv2d(in_channels, out_channels, bias=bias)
            if kernel_size == 1
            else nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
        )
        self.norm = nn.BatchNorm2d(out_channels) if norm == "BN" else nn.GroupNorm(NORM_GROUPS, out_channels)
        self.relu = relu
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming's normal initialisation, over the outputs."""
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return self._activate(self.conv(x))

    def over_levels(self, levels: Sequence[Tensor], size: Size) -> Tensor:
        """The same over maps that are resized to ``size`` and laid side by side, in this order."""
        if self._is_observed():
            return cast(Tensor, self(torch.cat([resize(level, size) for level in levels], dim=1)))
        return self._activate(convolve_levels(levels, self.conv.weight, size, bias=self.conv.bias))

    def _activate(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return x.relu_() if self.relu else x

    def _is_observed(self) -> bool:
        """Whether a hook or another kind of layer (adapter, quantised) wants to see the call itself."""
        hooks = (self.conv._forward_hooks, self.conv._forward_pre_hooks, self.conv._backward_hooks)
        return type(self.conv) not in (nn.Conv2d, PointwiseConv2d) or any(hooks)


def resize(x: Tensor, size: Size) -> Tensor:
    """Bilinear interpolation of ``(N, C, H, W)`` to ``size``, pixels as areas (``align_corners=False``)."""
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def convolve_pixels(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution of ``(N, C, H, W)`` with ``(O, C, 1, 1)``; torch's is slow on one CPU thread."""
    if x.is_cpu and x.is_contiguous(memory_format=torch.channels_last) and not torch.compiler.is_compiling():
        return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, bias)


def convolve_levels(
    levels: Sequence[Tensor], weight: Tensor, size: Size, *, bias: Tensor | None = None
) -> Tensor:
    r"""Convolution over levels of a pyramid: :math:`W * [\mathrm{resize}(x_1), ..., \mathrm{resize}(x_L)]`.

    Convention:
        - zero padding of half the kernel after resizing, stride 1.
        - NCHW; channels-last in memory stays so.

    Args:
        levels: Maps ``(N, C_l, h_l, w_l)``, in the order of the weight's input channels.
        weight: ``(O, sum of C_l, k, k)``, ``k`` odd.
        size: (height, width) to which every level is resized.
        bias: ``(O,)`` or None.

    Returns:
        ``(N, O, height, width)``.

    Raises:
        ValueError: The levels' channels do not add up to the weight's.
    """
    channels = [level.shape[1] for level in levels]
    if sum(channels) != weight.shape[1]:
        raise ValueError(f"levels of {channels} channels do not match a weight of {weight.shape[1]}")
    direct: list[Tensor] = []
    direct_weights: list[Tensor] = []
    apart: list[tuple[Tensor, Tensor]] = []
    for level, part in zip(levels, weight.split(channels, dim=1), strict=True):
        if _is_cheaper_apart(level, part, size):
            apart.append((level, part))
        else:
            direct.append(resize(level, size))
            direct_weights.append(part)
    total: Tensor | None = None
    if direct:
        kernel = torch.cat(direct_weights, 1) if len(direct) > 1 else direct_weights[0]
        maps = torch.cat(direct, 1) if len(direct) > 1 else direct[0]
        total = _convolve(maps, kernel, bias)
    for level, part in apart:
        total = _add_resized_convolution(total, level, part, size)
    assert total is not None, "a pyramid has at least one level"
    return total if bias is None or direct else total + bias[:, None, None]


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    size = weight.shape[-1]
    return convolve_pixels(x, weight, bias) if size == 1 else F.conv2d(x, weight, bias, padding=size // 2)


def _is_cheaper_apart(x: Tensor, weight: Tensor, size: Size) -> bool:
    """Whether multiplying before resizing needs clearly fewer multiplications; a GPU convolves faster."""
    if not x.is_cpu:
        return False
    outputs, inputs, kernel, _ = weight.shape
    (coarse_height, coarse_width), (height, width) = x.shape[-2:], size
    apart = coarse_height * coarse_width * kernel * kernel * inputs  # products, per output channel
    if kernel > 1:
        apart += coarse_height * kernel * coarse_width * kernel * width  # along the rows
        apart += height * kernel * coarse_height * width  # along the columns
    return apart < _WORTHWHILE * height * width * kernel * kernel * inputs and outputs > 1


def _add_resized_convolution(total: Tensor | None, x: Tensor, weight: Tensor, size: Size) -> Tensor:
    """``total`` plus the convolution of ``x`` resized to ``size``, multiplied at ``x``'s own resolution."""
    outputs, _, kernel, _ = weight.shape
    if kernel == 1:
        product = resize(convolve_pixels(x, weight), size)
        return product if total is None else total + product
    batch, _, height, _ = x.shape
    columns = _stretched_products(x, weight, size[1]).reshape(batch, height * kernel, size[1] * outputs)
    down = _shifted_resize_matrix(height, size[0], kernel, columns).flatten(1).expand(batch, -1, -1)
    if total is None:
        summed = torch.bmm(down, columns)
    else:
        so_far = total.permute(0, 2, 3, 1).reshape(batch, size[0], size[1] * outputs)
        summed = torch.baddbmm(so_far, down, columns)
    return summed.view(batch, *size, outputs).permute(0, 3, 1, 2)


def _stretched_products(x: Tensor, weight: Tensor, new_width: int) -> Tensor:
    """``(N, h, k, new_width, O)``: each row times each kernel row, resized along the row and summed."""
    outputs, inputs, kernel, _ = weight.shape
    batch, _, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(-1, inputs)
    across = _shifted_resize_matrix(width, new_width, kernel, x).flatten(1)
    parts = []
    for row in range(kernel):
        taps = weight[:, :, row].permute(1, 2, 0).reshape(inputs, kernel * outputs)
        product = (pixels @ taps).view(batch * height, width * kernel, outputs)
        parts.append(torch.matmul(across, product).view(batch, height, new_width, outputs))
    return torch.stack(parts, dim=2)


def _shifted_resize_matrix(coarse: int, fine: int, kernel: int, like: Tensor) -> Tensor:
    """``(fine, coarse, kernel)``: what place ``i + k - kernel // 2`` of the resized line takes, 0 outside."""
    identity = torch.eye(coarse, dtype=like.dtype, device=like.device)[None]
    matrix = F.interpolate(identity, size=fine, mode="linear", align_corners=False)[0]
    padded = F.pad(matrix, (kernel // 2, kernel // 2))  # (coarse, fine + kernel - 1)
    return padded.unfold(1, fine, 1).permute(2, 0, 1)
