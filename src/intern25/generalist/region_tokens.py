# SPDX-License-Identifier: MIT
"""Proposals as tokens of the unified decoder: what they hold, where they are, what shape they have."""

# N batch, Q proposals, K of them, C channels

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.generalist.places import PlaceEncoding
from intern25.generalist.proposals import Proposals, take_rows

MASK_SIDE = 28
"""Rows and columns to which a mask is pooled."""


class RegionTokens(nn.Module):
    r"""Tokens of regions, :math:`q_{proposal} = q_{sem} + B(q_{box}) + M(q_{mask})`.

    ``B`` is a sine encoding and a linear layer; ``M`` pools the mask to 28x28 and applies a linear layer. A
    linear layer brings ``q_sem`` to the decoder's width.

    Args:
        channels: Channels of the proposals.
        width: Channels of the tokens.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.1.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.semantic = nn.Linear(channels, width)
        self.box = PlaceEncoding(width)
        self.mask = nn.Linear(MASK_SIDE**2, width)

    def forward(self, proposals: Proposals, indices: Tensor | None = None) -> Tensor:
        """Make tokens.

        Args:
            proposals: Of a batch.
            indices: ``(N, K)`` int64 proposals, such as those of ``proposals.best(K)``; None = all.

        Returns:
            ``(N, K, width)``.
        """
        semantic, boxes = proposals.semantic, proposals.boxes
        if indices is not None:
            semantic, boxes = take_rows(semantic, indices), take_rows(boxes, indices)
        # Where an object is and which pixels it has is for the proposals' own losses to teach: a name is no
        # reason to bend a box or a mask. So no gradient goes there, and no full mask is kept for it.
        with torch.no_grad():
            masks = pool_masks(proposals.mask_logits(indices))
        place = self.box(boxes.detach(), proposals.mask_features.shape[2:])
        return cast(Tensor, self.semantic(semantic) + place + self.mask(masks.to(semantic.dtype)))


def pool_masks(mask_logits: Tensor) -> Tensor:
    """Mean probability in each of 28x28 parts of ``(N, K, h, w)`` masks, ``(N, K, 784)``."""
    return F.adaptive_avg_pool2d(mask_logits.sigmoid(), MASK_SIDE).flatten(2)
