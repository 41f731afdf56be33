# SPDX-License-Identifier: MIT
"""CB-InternImage: two backbones in a row, the lead fed at every stage by all higher stages of the assisting.

CBNetV2's dense higher-level composition: before its stage i the lead adds
``gamma_i * sum_j resize(connection_ij(assisting stage i + j))``.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.backbones.internimage import InternImage, InternImageConfig


class CompositeInternImage(nn.Module):
    """An assisting and a lead InternImage of one architecture.

    The lead has no stem: it starts from the assisting backbone's. Its factors ``gamma`` are rounded to
    half precision before use, as in the official code, so that published weights give the same numbers.

    Args:
        config: Architecture of both backbones.
        out_indices: Stages whose maps are returned.

    Example:
        >>> from intern25.backbones.internimage import INTERNIMAGE_NANO
        >>> model = CompositeInternImage(INTERNIMAGE_NANO)
        >>> [tuple(x.shape) for x in model(torch.zeros(1, 3, 64, 64))]
        [(1, 64, 8, 8), (1, 128, 4, 4), (1, 256, 2, 2)]

    Source:
        CBNetV2, arXiv:2107.00420, section 3.2.
    """

    def __init__(self, config: InternImageConfig, *, out_indices: tuple[int, ...] = (1, 2, 3)) -> None:
        super().__init__()
        self.config = config
        self.assisting = InternImage(config, out_indices=out_indices)
        self.lead = InternImage(config, out_indices=out_indices)
        del self.lead.stem
        widths = config.stage_channels
        self.gammas = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths)
        self.connections = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(higher, width, 1) for higher in widths[stage + 1 :])
            for stage, width in enumerate(widths)
        )
        self.out_indices = self.assisting.out_indices
        self.feature_info: FeatureInfo = self.assisting.feature_info

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.assisting.set_grad_checkpointing(enable)
        self.lead.set_grad_checkpointing(enable)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of the lead backbone, see :meth:`InternImage.forward`."""
        return self.forward_branches(x)[1]

    def forward_branches(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of both backbones, the assisting's first.

        Raises:
            ValueError: ``x`` is not ``(N, 3, H, W)``.
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(x.shape)}")
        start = self.assisting.stem(x)
        assisting = _run(self.assisting, start, None)
        lead = _run(self.lead, start, self._additions(assisting))
        return [assisting[index] for index in self.out_indices], [lead[index] for index in self.out_indices]

    def _additions(self, maps: list[Tensor]) -> list[Tensor]:
        """What the lead adds before each stage, ``(N, H, W, C)``."""
        additions = []
        for stage, connections in enumerate(self.connections):
            total = maps[stage]
            for connection, higher in zip(cast(nn.ModuleList, connections), maps[stage + 1 :], strict=True):
                total = total + F.interpolate(connection(higher), size=total.shape[2:], mode="nearest")
            gamma = self.gammas[stage].half().to(total.dtype)
            additions.append(gamma * total.permute(0, 2, 3, 1))
        return additions


def _run(backbone: InternImage, x: Tensor, additions: list[Tensor] | None) -> list[Tensor]:
    """NCHW maps of all stages of a backbone from the output ``(N, H, W, C)`` of a stem."""
    maps = []
    for index, stage in enumerate(backbone.stages):
        x = stage(x if additions is None else x + additions[index])
        maps.append(x.permute(0, 3, 1, 2))
        if index < len(backbone.downsamples):
            x = backbone.downsamples[index](x)
    return maps
