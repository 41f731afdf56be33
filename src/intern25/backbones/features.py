# SPDX-License-Identifier: MIT
"""What a backbone says of its feature maps, in timm's words so that decoders written for timm work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """Channels and strides of the maps of a backbone.

    Args:
        all_channels: Channels of every stage.
        all_reductions: Stride of every stage over the image.
        out_indices: Stages that are returned, in this order.
    """

    all_channels: Sequence[int]
    all_reductions: Sequence[int]
    out_indices: tuple[int, ...]

    def channels(self) -> list[int]:
        """Channels of the returned maps."""
        return [self.all_channels[index] for index in self.out_indices]

    def reduction(self) -> list[int]:
        """Strides of the returned maps over the image."""
        return [self.all_reductions[index] for index in self.out_indices]

    def get_dicts(self) -> list[dict[str, int | str]]:
        """One dict per returned map with timm's keys ``num_chs``, ``reduction`` and ``module``."""
        return [
            {
                "num_chs": self.all_channels[index],
                "reduction": self.all_reductions[index],
                "module": f"stages.{index}",
                "index": index,
            }
            for index in self.out_indices
        ]

    def __getitem__(self, position: int) -> dict[str, int | str]:
        return self.get_dicts()[position]

    def __len__(self) -> int:
        return len(self.out_indices)
