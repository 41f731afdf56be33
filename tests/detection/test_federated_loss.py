# SPDX-License-Identifier: MIT
"""The federated loss: which classes it looks at, what it adds up, and that it leaves all others alone."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.detection.dino_criterion import Assignment, Objects, federated_class_mask, set_losses

CLASSES = 9


def objects_with(*labels: list[int]) -> list[Objects]:
    """One picture a list of labels; boxes do not matter here."""
    scale = torch.tensor([100.0, 80.0, 100.0, 80.0], dtype=torch.float64)
    boxes = torch.tensor([0.5, 0.5, 0.2, 0.3], dtype=torch.float64)
    return [
        Objects(boxes=boxes.repeat(len(row), 1), labels=torch.tensor(row, dtype=torch.int64), scale=scale)
        for row in labels
    ]


def scalar_focal(logit: float, wanted: bool) -> float:
    probability = 1 / (1 + math.exp(-logit))
    if wanted:
        return -0.25 * (1 - probability) ** 2 * math.log(probability)
    return -0.75 * probability**2 * math.log(1 - probability)


def test_the_loss_adds_up_the_sampled_classes_alone() -> None:
    torch.manual_seed(1)
    objects = objects_with([2, 5], [5])
    logits = torch.randn(2, 4, CLASSES, dtype=torch.float64, requires_grad=True)
    boxes = torch.rand(2, 4, 4, dtype=torch.float64) * 0.2 + 0.4
    pairs = Assignment(
        pictures=torch.tensor([0, 0, 1]), queries=torch.tensor([3, 0, 2]), objects=torch.tensor([0, 1, 0])
    )
    mask = federated_class_mask(objects, CLASSES, 4, generator=torch.Generator().manual_seed(0))
    loss = set_losses(logits, boxes, objects, pairs, mask)["loss_class"]
    wanted = {(0, 3): 2, (0, 0): 5, (1, 2): 5}
    expected = 0.0
    for picture in range(2):
        for query in range(4):
            for label in range(CLASSES):
                if mask[label]:
                    logit = float(logits.detach()[picture, query, label])
                    expected += scalar_focal(logit, wanted.get((picture, query)) == label)
    assert loss.item() == pytest.approx(expected / 3, rel=1e-10)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[..., ~mask] == 0).all()
    assert (gradient[..., mask] != 0).all()
    # The other losses know no classes.
    whole = set_losses(logits, boxes, objects, pairs)
    sampled = set_losses(logits, boxes, objects, pairs, mask)
    assert all(torch.equal(whole[name], sampled[name]) for name in ("loss_box", "loss_giou"))


def test_absent_classes_are_drawn_by_the_root_of_their_frequency() -> None:
    objects = objects_with([0, 0, 8])
    frequencies = torch.tensor([500.0, 1, 4, 9, 16, 0, 25, 36, 7])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.zeros(CLASSES)
    rounds = 1000
    for _ in range(rounds):
        mask = federated_class_mask(objects, CLASSES, 3, frequencies, generator)
        assert mask.sum() == 3
        assert mask[[0, 8]].all()
        drawn += mask
    roots = [1, 2, 3, 4, 0, 5, 6]
    for label, root in enumerate(roots, start=1):
        chance = root / sum(roots)
        deviation = math.sqrt(rounds * chance * (1 - chance))
        assert abs(float(drawn[label]) - rounds * chance) <= 4 * deviation


def test_more_present_classes_than_asked_for_all_count() -> None:
    mask = federated_class_mask(objects_with([1, 2, 3], [4]), CLASSES, 2, torch.ones(CLASSES))
    assert mask.nonzero().flatten().tolist() == [1, 2, 3, 4]
