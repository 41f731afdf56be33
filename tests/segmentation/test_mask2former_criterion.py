# SPDX-License-Identifier: MIT
"""Costs, matching and losses of Mask2Former against loops in float64."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from intern25.detection.targets import DetectionTarget
from intern25.segmentation import mask2former_criterion as criterion_module
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.mask2former_criterion import Mask2FormerCriterion
from intern25.segmentation.mask2former_decoder import QueryPredictions
from intern25.segmentation.mask2former_targets import SegmentTarget, check_segments, semantic_targets
from tests.segmentation.models import TINY_MASK2FORMER

CLASSES = TINY_MASK2FORMER.num_classes


@pytest.fixture
def criterion() -> Mask2FormerCriterion:
    return Mask2FormerCriterion(TINY_MASK2FORMER)


def entropy(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def dice(logits: list[float], targets: list[float]) -> float:
    p = [1 / (1 + math.exp(-x)) for x in logits]
    overlap = sum(a * b for a, b in zip(p, targets, strict=True))
    return 1 - (2 * overlap + 1) / (sum(p) + sum(targets) + 1)


def test_costs(criterion: Mask2FormerCriterion) -> None:
    class_logits = torch.randn(5, CLASSES + 1, dtype=torch.float64)
    found = 2 * torch.randn(5, 7, dtype=torch.float64)
    labels, wanted = torch.tensor([3, 0, 3]), torch.rand(3, 7, dtype=torch.float64)
    costs = criterion.costs(class_logits, found, labels, wanted)
    for q in range(5):
        exponentials = class_logits[q].exp()
        for k in range(3):
            x, t = found[q].tolist(), wanted[k].tolist()
            expected = -2 * float(exponentials[labels[k]] / exponentials.sum())
            expected += 5 * sum(entropy(a, b) for a, b in zip(x, t, strict=True)) / 7
            expected += 5 * dice(x, t)
            assert costs[q, k].item() == pytest.approx(expected, rel=1e-12)


def squares() -> SegmentTarget:
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, :16, :16] = True
    masks[1, 8:, 20:] = True
    return SegmentTarget(torch.tensor([2, 1]), masks)


def test_match_is_the_cheapest_of_all(
    criterion: Mask2FormerCriterion, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    original = criterion.costs
    monkeypatch.setattr(criterion, "costs", lambda *a: seen.append(original(*a)) or seen[0])
    class_logits, mask_logits = torch.randn(5, CLASSES + 1), torch.randn(5, 8, 8)
    queries, segments = criterion.match(class_logits, mask_logits, squares())
    chosen = seen[0][queries, segments].sum().item()
    best = min(sum(seen[0][q, k].item() for k, q in enumerate(pair)) for pair in permutations(range(5), 2))
    assert chosen == pytest.approx(best, rel=1e-6)


def test_right_predictions_are_matched(criterion: Mask2FormerCriterion) -> None:
    target = squares()
    masks = torch.full((4, 8, 8), -6.0)
    masks[3] = 12 * F.avg_pool2d(target.masks[0].float()[None], 4)[0] - 6
    masks[1] = 12 * F.avg_pool2d(target.masks[1].float()[None], 4)[0] - 6
    queries, segments = criterion.match(torch.zeros(4, CLASSES + 1), masks, target)
    assert dict(zip(queries.tolist(), segments.tolist(), strict=True)) == {3: 0, 1: 1}


def test_losses_of_one_layer(criterion: Mask2FormerCriterion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures, one of them empty; points at the pixels' centres, so that nothing is interpolated."""
    centres = (torch.arange(4) + 0.5).double() / 4
    points = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).view(1, 16, 2)
    monkeypatch.setattr(
        criterion_module, "uncertain_points", lambda masks, *_a, **_k: points.repeat(len(masks), 1, 1)
    )
    matches = {2: (torch.tensor([0, 3]), torch.tensor([1, 0])), 0: (torch.empty(0).long(),) * 2}
    monkeypatch.setattr(criterion, "match", lambda _c, _m, target: matches[len(target.labels)])
    class_logits = torch.randn(2, 4, CLASSES + 1, dtype=torch.float64)
    mask_logits = torch.randn(2, 4, 4, 4, dtype=torch.float64)
    masks = torch.rand(2, 4, 4) > 0.5
    targets = [SegmentTarget(torch.tensor([2, 1]), masks), SegmentTarget(torch.empty(0).long(), masks[:0])]
    losses = criterion([QueryPredictions(class_logits, mask_logits)], targets)

    labels = [[1, 4, 4, 2], [4, 4, 4, 4]]
    weights = [1.0, 1.0, 1.0, 1.0, 0.1]
    total = sum(
        -weights[label] * float(class_logits[n, q].log_softmax(0)[label])
        for n, row in enumerate(labels)
        for q, label in enumerate(row)
    )
    expected_class = 2 * total / sum(weights[label] for row in labels for label in row)
    pairs = [
        (mask_logits[0, q].flatten().tolist(), masks[k].double().flatten().tolist())
        for q, k in ((0, 1), (3, 0))
    ]
    expected_mask = 5 * sum(entropy(a, b) for x, t in pairs for a, b in zip(x, t, strict=True)) / 16 / 2
    expected_dice = 5 * sum(dice(x, t) for x, t in pairs) / 2
    assert losses["loss_class"].item() == pytest.approx(expected_class, rel=1e-12)
    assert losses["loss_mask"].item() == pytest.approx(expected_mask, rel=1e-12)
    assert losses["loss_dice"].item() == pytest.approx(expected_dice, rel=1e-12)


def test_every_layer_is_supervised(criterion: Mask2FormerCriterion) -> None:
    prediction = QueryPredictions(torch.randn(1, 8, CLASSES + 1), torch.randn(1, 8, 8, 8))
    losses = criterion([prediction] * 3, [squares()])
    names = [
        f"loss_{term}{place}" for place in ("_layer0", "_layer1", "") for term in ("class", "mask", "dice")
    ]
    assert list(losses) == names


def test_nothing_but_ignored_pixels() -> None:
    """Every query learns "no object"; every parameter still gets a gradient (distributed training)."""
    model = Mask2Former(TINY_MASK2FORMER)
    losses = model(torch.randn(2, 3, 64, 64), torch.full((2, 64, 64), 255))
    assert losses["loss_mask"].item() == losses["loss_dice"].item() == 0
    assert losses["loss_class"] > 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_more_segments_than_queries(criterion: Mask2FormerCriterion) -> None:
    prediction = QueryPredictions(torch.randn(1, 1, CLASSES + 1), torch.randn(1, 1, 8, 8))
    assert all(loss.isfinite() for loss in criterion([prediction], [squares()]).values())


def test_segments_of_a_class_map() -> None:
    labels = torch.tensor([[[0, 0, 3], [255, 3, 3]], [[255, 255, 255], [255, 255, 255]]])
    first, second = semantic_targets(labels)
    assert first.labels.tolist() == [0, 3]
    assert first.masks.int().tolist() == [[[1, 1, 0], [0, 0, 0]], [[0, 0, 1], [0, 1, 1]]]
    assert second.masks.shape == (0, 2, 3)


def test_targets_of_a_detector_are_taken() -> None:
    images = torch.zeros(1, 3, 32, 32)
    boxes, labels = torch.zeros(2, 4), torch.tensor([1, 2])
    target = DetectionTarget(boxes=boxes, labels=labels, masks=torch.ones(2, 32, 32, dtype=torch.uint8))
    (found,) = check_segments([target], images, CLASSES)
    assert found.masks.dtype == torch.bool
    assert found.masks.all()
    for bad, message in (
        (DetectionTarget(boxes=boxes, labels=labels), "target 0 has no masks"),
        (DetectionTarget(boxes=boxes, labels=labels, masks=torch.ones(2, 8, 8)), r"masks of \(2, 8, 8\)"),
        (DetectionTarget(boxes=boxes, labels=labels + 2, masks=target.masks), r"labels \[3, 4\]"),
    ):
        with pytest.raises(ValueError, match=message):
            check_segments([bad], images, CLASSES)
    with pytest.raises(ValueError, match="0 targets for 1 images"):
        check_segments([], images, CLASSES)
