# SPDX-License-Identifier: MIT
"""Losses of class maps against loops over pixels in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from intern25.segmentation.losses import semantic_dice, semantic_losses

SCORES = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor(
    [
        [[0, 0, 1, 1, 255], [0, 2, 1, 255, 255], [0, 0, 0, 1, 1], [2, 2, 0, 1, 1]],
        [[1, 1, 1, 1, 1], [255, 255, 255, 255, 255], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]],
    ]
)


def probabilities(scores: Tensor) -> list[tuple[int, list[float]]]:
    """(label, probability of each class) of each pixel."""
    pixels = []
    for n in range(scores.shape[0]):
        for y in range(scores.shape[2]):
            for x in range(scores.shape[3]):
                exponentials = [math.exp(v) for v in scores[n, :, y, x].tolist()]
                pixels.append((int(LABELS[n, y, x]), [e / sum(exponentials) for e in exponentials]))
    return pixels


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 3.0)])
def test_cross_entropy_counts_ignored_pixels_in_the_mean(weights: tuple[float, ...]) -> None:
    pixels = probabilities(SCORES)
    scale = weights or (1.0, 1.0, 1.0)
    expected = sum(-math.log(p[label]) * scale[label] for label, p in pixels if label != 255) / len(pixels)
    found = semantic_losses(SCORES, LABELS, class_weights=weights)
    assert set(found) == {"loss_ce"}
    assert found["loss_ce"].item() == pytest.approx(expected, rel=1e-12)


def test_dice() -> None:
    pixels = [(label, p) for label, p in probabilities(SCORES) if label != 255]
    terms = []
    for c in range(3):
        overlap = sum(p[c] for label, p in pixels if label == c)
        total = sum(p[c] for _, p in pixels) + sum(label == c for label, _ in pixels)
        terms.append(1 - (2 * overlap + 1) / (total + 1))
    assert semantic_dice(SCORES.softmax(1), LABELS).item() == pytest.approx(sum(terms) / 3, rel=1e-12)
    losses = semantic_losses(SCORES, LABELS, dice_weight=0.5)
    assert losses["loss_dice"].item() == pytest.approx(0.5 * sum(terms) / 3, rel=1e-12)


def test_dice_looks_at_classes_that_occur() -> None:
    two = torch.where(LABELS == 2, 255, LABELS)
    with_third = torch.cat((SCORES, torch.full_like(SCORES[:, :1], -1e3)), 1)
    torch.testing.assert_close(
        semantic_dice(with_third.softmax(1), two), semantic_dice(SCORES.softmax(1), two)
    )


def test_nothing_but_ignored_pixels() -> None:
    scores = SCORES.clone().requires_grad_()
    losses = semantic_losses(scores, torch.full_like(LABELS, 255), dice_weight=1.0)
    total = sum(losses.values())
    assert isinstance(total, Tensor)
    assert total.item() == 0.0
    total.backward()
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0


def test_scores_are_enlarged_to_the_labels() -> None:
    small = SCORES[:, :, ::2, ::2]
    enlarged = torch.nn.functional.interpolate(small, size=(4, 5), mode="bilinear", align_corners=False)
    assert torch.equal(
        semantic_losses(small, LABELS)["loss_ce"], semantic_losses(enlarged, LABELS)["loss_ce"]
    )
