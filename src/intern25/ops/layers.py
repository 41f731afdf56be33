# SPDX-License-Identifier: MIT
"""Channels-last layers chosen by name, shared by the operator's module and the backbones."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from intern25.ops.fused.training import LayerNorm

NormName = Literal["LN", "BN"]
ActivationName = Literal["GELU", "SiLU", "ReLU"]

LAYER_NORM_EPS = 1e-6
"""Epsilon of every layer normalisation of InternImage."""


class BatchNormNHWC(nn.BatchNorm2d):
    """Batch normalisation of ``(N, H, W, C)``; parameters and buffers as in ``nn.BatchNorm2d``."""

    def forward(self, x_nhwc: Tensor) -> Tensor:
        """Normalise over batch and space; the permutes only change strides."""
        return super().forward(x_nhwc.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def build_norm(channels: int, norm: NormName) -> nn.Module:
    """Normalisation over the last axis of ``(N, H, W, channels)``: ``"LN"`` or ``"BN"``."""
    if norm == "LN":
        return LayerNorm(channels, eps=LAYER_NORM_EPS)
    if norm == "BN":
        return BatchNormNHWC(channels)
    raise ValueError(f"norm={norm!r} is unknown; use one of {', '.join(get_args(NormName))}")


def build_activation(name: ActivationName) -> nn.Module:
    """Activation by name: ``"GELU"`` (exact, with erf), ``"SiLU"`` or ``"ReLU"``."""
    if name == "GELU":
        return nn.GELU()
    if name == "SiLU":
        return nn.SiLU()
    if name == "ReLU":
        return nn.ReLU()
    raise ValueError(f"activation={name!r} is unknown; use one of {', '.join(get_args(ActivationName))}")
