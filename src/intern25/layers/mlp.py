# SPDX-License-Identifier: MIT
"""Multi-layer perceptron with ReLU: box branches, mask embeddings, positions of queries."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """``layers`` linear layers with ReLU between them.

    Args:
        in_channels: Width of the input.
        hidden_channels: Width between the layers.
        out_channels: Width of the output.
        layers: Number of linear layers, at least 1.

    Raises:
        ValueError: ``layers`` is below 1.

    Example:
        >>> import torch
        >>> MLP(256, 256, 4, 3)(torch.zeros(2, 256)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int, layers: int) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers={layers} must be 1 or more")
        widths = [in_channels, *[hidden_channels] * (layers - 1), out_channels]
        self.layers = nn.ModuleList(nn.Linear(width, next_width) for width, next_width in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in_channels)`` to ``(..., out_channels)``."""
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x).relu()
        out: Tensor = last(x)
        return out
