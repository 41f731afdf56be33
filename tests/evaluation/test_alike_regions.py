"""Layers with any weights that decide alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from intern25.evaluation.alike_regions import make_regions_alike

CHANNELS, CLASSES = 8, 80


def decisions(seed: int, size: tuple[int, int], scale: float) -> tuple[Tensor, ...]:
    """What four last layers with weights of their own make of their input."""
    torch.manual_seed(seed)
    objectness, anchor_codes = nn.Conv2d(CHANNELS, 3, 1), nn.Conv2d(CHANNELS, 12, 1)
    classes, region_codes = nn.Linear(CHANNELS, CLASSES + 1), nn.Linear(CHANNELS, 4 * CLASSES)
    make_regions_alike(
        objectness=objectness, anchor_codes=anchor_codes, classes=classes, region_codes=region_codes
    )
    level, regions = scale * torch.randn(1, CHANNELS, *size), scale * torch.randn(500, CHANNELS)
    return objectness(level), anchor_codes(level), classes(regions), region_codes(regions)


def test_weights_decide_nothing() -> None:
    mine, theirs = decisions(0, (20, 30), 1.0), decisions(1, (20, 30), 300.0)
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert not mine[1].any()
    assert not mine[3].any()


def test_every_region_shows_one_object_wherever_the_background_is() -> None:
    scores = decisions(0, (2, 2), 1.0)[2].softmax(dim=1)
    rows, labels = torch.nonzero(scores > 0.05, as_tuple=True)
    assert rows.tolist() == list(range(500))
    assert labels.min() > 0
    assert labels.max() < CLASSES
    assert scores.amax(dim=1).unique().numel() > 450  # hardly a tie


def test_levels_are_proposed_alike() -> None:
    fine, coarse = (decisions(0, size, 1.0)[0].flatten() for size in ((100, 160), (13, 20)))
    assert torch.equal(fine.topk(200).values, coarse.topk(200).values)
