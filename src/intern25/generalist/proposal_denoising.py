# SPDX-License-Identifier: MIT
"""Noised boxes as extra queries of the proposal network, which its decoder must repair or refuse."""

# N batch, P denoising queries, K objects of a picture

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.generalist.proposal_targets import ProposalTargets
from intern25.layers.boxes import xyxy_to_cxcywh
from intern25.layers.denoising import Denoising, denoising_queries

BOX_NOISE = 1.0
"""Largest shift of a corner of a positive copy, in halves of its sides."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoisedProposals:
    """Denoising queries of a batch, and what they were made from."""

    noised: Denoising
    """Labels (0, or padding) and boxes of the queries."""
    chosen: list[Tensor]
    """Of every picture the ``(K,)`` int64 objects that were copied, in the order of the copies."""

    def pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, queries and objects ``(M,)`` of the positive copies; all other copies are background."""
        device = self.noised.labels.device
        starts = torch.arange(self.noised.groups, device=device)[:, None] * (2 * self.noised.objects)
        pictures, queries, objects = [], [], []
        for picture, chosen in enumerate(self.chosen):
            own = starts + torch.arange(len(chosen), device=device)
            queries.append(own.flatten())
            objects.append(chosen.expand_as(own).flatten())
            pictures.append(torch.full_like(queries[-1], picture))
        return torch.cat(pictures), torch.cat(queries), torch.cat(objects)


def noise_proposals(
    targets: Sequence[ProposalTargets],
    like: Tensor,
    *,
    num_denoising: int,
    generator: torch.Generator | None = None,
) -> NoisedProposals:
    """Make the noised queries of a batch.

    Args:
        targets: Objects of every picture; of more than ``num_denoising`` a random choice is copied.
        like: Gives type and place.
        num_denoising: Positive copies of a picture; each has a negative twin.
        generator: Source of randomness in the place of ``like``; None = the global one.

    Source:
        DINO, arXiv:2203.03605, section 3.3; Mask DINO, arXiv:2206.02777, section 3.3.
    """
    chosen = []
    for target in targets:
        objects = torch.arange(len(target), device=like.device)
        if len(target) > num_denoising:
            objects = torch.randperm(len(target), device=like.device, generator=generator)[:num_denoising]
        chosen.append(objects)
    boxes = [xyxy_to_cxcywh(target.boxes.to(like))[own] for target, own in zip(targets, chosen, strict=True)]
    noised = denoising_queries(
        boxes,
        [torch.zeros_like(own) for own in chosen],
        num_classes=1,
        num_denoising=num_denoising,
        label_noise=0.0,
        box_noise=BOX_NOISE,
        generator=generator,
    )
    return NoisedProposals(noised=noised, chosen=chosen)
