# SPDX-License-Identifier: MIT
"""Feature pyramid: backbone maps become maps of equal channels, each knowing what the coarser ones saw."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FPN(nn.Module):
    r"""Feature pyramid network, :math:`P_i = \mathrm{conv}_{3 \times 3}(L_i + \mathrm{up}(M_{i+1}))`.

    Convention: no normalisation and no activation; the top-down path repeats the nearest value. One more
    level of twice the stride takes every second value of the coarsest output.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        channels: Channels of every output.

    Example:
        >>> import torch
        >>> pyramid = FPN([16, 32], channels=8)
        >>> [tuple(level.shape) for level in pyramid([torch.zeros(1, 16, 8, 8), torch.zeros(1, 32, 4, 4)])]
        [(1, 8, 8, 8), (1, 8, 4, 4), (1, 8, 2, 2)]

    Source:
        Feature Pyramid Networks, arXiv:1612.03144, section 3.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        for conv in (*self.laterals, *self.outputs):
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return one ``(N, channels, h, w)`` map per backbone map, then the extra level.

        Raises:
            ValueError: The number of maps is not the one the pyramid was built for.
        """
        if len(features) != len(self.laterals):
            raise ValueError(f"the pyramid takes {len(self.laterals)} maps, got {len(features)}")
        merged = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        for level in range(len(merged) - 1, 0, -1):
            size = merged[level - 1].shape[-2:]
            merged[level - 1] = merged[level - 1] + F.interpolate(merged[level], size=size, mode="nearest")
        outputs = [conv(level) for conv, level in zip(self.outputs, merged, strict=True)]
        return [*outputs, outputs[-1][..., ::2, ::2]]
