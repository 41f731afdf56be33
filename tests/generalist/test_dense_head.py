# SPDX-License-Identifier: MIT
"""Scores of names at pixels, and their losses."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from intern25.generalist.dense_head import DenseHead, dense_head_losses, dense_logits, pick_labels


def test_scores_are_scaled_cosines() -> None:
    pixels, names = torch.randn(2, 6, 3, 4, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    found = dense_logits(pixels, names, torch.tensor(7.0, dtype=torch.float64))
    for n in range(2):
        for k in range(5):
            for y in range(3):
                for x in range(4):
                    pixel = pixels[n, :, y, x]
                    cosine = float(pixel @ names[k]) / float(pixel.norm()) / float(names[k].norm())
                    assert found[n, k, y, x].item() == pytest.approx(7 * cosine, rel=1e-9)


def test_gradients_of_scores() -> None:
    pixels = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    names = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dense_logits, (pixels, names, scale))


def test_a_pixel_of_zeros_is_like_no_name() -> None:
    pixels = torch.zeros(1, 3, 1, 1, requires_grad=True)
    logits = dense_logits(pixels, torch.randn(2, 3), 10.0)
    logits.sum().backward()
    assert logits.abs().max() == 0
    assert pixels.grad is not None
    assert pixels.grad.isfinite().all()


def test_head_learns_to_tell_two_names() -> None:
    head, names = DenseHead(32, 8), F.normalize(torch.randn(2, 8), dim=1)
    features, labels = torch.randn(1, 32, 8, 8), torch.randint(0, 2, (1, 8, 8))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        terms = dense_head_losses(dense_logits(head(features), names, 10.0), labels, dice_weight=1.0)
        loss = terms["loss_ce"] + terms["loss_dice"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert all(p.grad is not None for p in head.parameters())


def test_labels_at_the_centres_of_cells() -> None:
    labels = torch.arange(48).view(1, 6, 8)
    assert pick_labels(labels, (3, 2)).tolist() == [[[10, 14], [26, 30], [42, 46]]]
    assert torch.equal(pick_labels(labels, (6, 8)), labels)


def test_coarse_losses_compare_at_the_scores_size() -> None:
    logits, labels = torch.randn(1, 3, 2, 3), torch.randint(0, 3, (1, 8, 12))
    labels[0, 2, 2] = 255  # centre of the first cell
    found = dense_head_losses(logits, labels, coarse=True)["loss_ce"]
    expected = 0.0
    for y in range(2):
        for x in range(3):
            label = int(labels[0, 4 * y + 2, 4 * x + 2])
            expected -= 0.0 if label == 255 else logits[0, :, y, x].log_softmax(0)[label].item()
    assert found.item() == pytest.approx(expected / 6, rel=1e-5)
    assert dense_head_losses(logits, labels)["loss_ce"].item() != pytest.approx(found.item())
