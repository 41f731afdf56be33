# SPDX-License-Identifier: MIT
"""The network learns four pictures by heart: every object is found, with its mask and an honest score."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from intern25.backbones.internimage import InternImage
from intern25.generalist.config import ProposalConfig
from intern25.generalist.proposal_criterion import ProposalCriterion, ProposalWeights
from intern25.generalist.proposals import ProposalNetwork
from intern25.layers.boxes import cxcywh_to_xyxy, iou_matrix
from tests.generalist.proposal_samples import BACKBONE, SIDE, shapes_picture

STEPS = 140


def test_four_pictures_are_learnt() -> None:
    generator = torch.Generator().manual_seed(1)
    images, targets = zip(*(shapes_picture(generator) for _ in range(4)), strict=True)
    batch = torch.stack(images)
    backbone = InternImage(BACKBONE)
    config = ProposalConfig(
        channels=64,
        heads=4,
        points=4,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=128,
        num_queries=30,
        denoising=25,
    )
    network = ProposalNetwork(config, backbone.config.stage_channels)
    model, criterion = nn.ModuleList([backbone, network]), ProposalCriterion(ProposalWeights(points=256))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        terms = criterion(network(backbone(batch), targets), targets).terms
        cast(torch.Tensor, sum(terms.values())).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    model.eval()
    with torch.no_grad():
        proposals = network(backbone(batch))
        masks = F.interpolate(proposals.mask_logits(), size=(SIDE, SIDE), mode="bilinear") > 0
    scores = proposals.objectness.sigmoid()
    for n, target in enumerate(targets):
        overlap = iou_matrix(target.boxes, cxcywh_to_xyxy(proposals.boxes[n, :20]))
        assert (overlap.max(dim=1).values >= 0.5).all()
        assert target.masks is not None
        found = masks[n, overlap.argmax(dim=1)]
        mask_iou = (found & target.masks).flatten(1).sum(1) / (found | target.masks).flatten(1).sum(1)
        assert mask_iou.min() > 0.7
        # The four objects score highest, near the IoU of their boxes; the rest scores far lower.
        best = overlap[:, :4].max(dim=0).values
        assert (best >= 0.5).all()
        assert (scores[n, :4] - best).abs().max() < 0.25
        assert scores[n, 4:].max() < scores[n, :4].min()
