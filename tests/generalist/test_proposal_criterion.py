# SPDX-License-Identifier: MIT
"""Costs and losses of proposals against loops in float64, and batches that are hard to answer."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor

from intern25.generalist import proposal_criterion as module
from intern25.generalist.dense_proposals import DenseOutput, picture_cells
from intern25.generalist.proposal_criterion import ProposalCriterion, ProposalWeights
from intern25.generalist.proposal_targets import BatchTargets, ProposalTargets
from intern25.generalist.proposals import LayerPredictions, Proposals
from tests.generalist.proposal_samples import random_maps, random_targets, small_network

WEIGHTS = ProposalWeights(points=16)
CENTRES = (torch.arange(4).double() + 0.5) / 4
GRID = torch.stack(torch.meshgrid(CENTRES, CENTRES, indexing="xy"), -1).view(1, 16, 2)
"""Centres of the pixels of a map of 4x4, so that nothing is interpolated."""


@pytest.fixture
def criterion() -> ProposalCriterion:
    return ProposalCriterion(WEIGHTS)


def some_proposals(layers: int, batch: int, queries: int, *, channels: int = 3) -> Proposals:
    generator = torch.Generator().manual_seed(layers + 10 * batch + 100 * queries)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    levels = [torch.zeros(1, 1, 2, 2, dtype=torch.float64)]
    centres, cells = picture_cells(levels)
    boxes = torch.cat(
        (
            0.3 + 0.4 * draw(layers, batch, queries, 2).sigmoid(),
            0.3 * draw(layers, batch, queries, 2).sigmoid(),
        ),
        -1,
    )
    return Proposals(
        semantic=draw(batch, queries, channels),
        layers=LayerPredictions(
            objectness=draw(layers, batch, queries),
            boxes=boxes,
            mask_embeddings=draw(layers, batch, queries, channels),
        ),
        mask_features=draw(batch, channels, 4, 4),
        dense=DenseOutput(
            logits=draw(batch, 4), boxes=torch.cat((centres - 0.3, centres + 0.3), -1).expand(batch, 4, 4),
            centres=centres, cells=cells,
        ),
    )  # fmt: skip


def batch_of(targets: list[ProposalTargets]) -> BatchTargets:
    return BatchTargets.of(targets, torch.zeros(0, dtype=torch.float64))


def corners(box: list[float]) -> list[float]:
    x, y, w, h = box
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def overlaps(first: list[float], second: list[float]) -> tuple[float, float]:
    """IoU and generalised IoU."""
    both = math.prod(max(min(first[a + 2], second[a + 2]) - max(first[a], second[a]), 0) for a in (0, 1))
    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)) - both
    around = math.prod(max(first[a + 2], second[a + 2]) - min(first[a], second[a]) for a in (0, 1))
    return both / union, both / union - (around - union) / around


def distance(box: list[float], target: list[float]) -> float:
    centre = [(target[0] + target[2]) / 2, (target[1] + target[3]) / 2]
    wanted = [*centre, target[2] - target[0], target[3] - target[1]]
    return sum(abs(a - b) for a, b in zip(box, wanted, strict=True))


def entropy(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def mask_terms(logits: list[float], wanted: list[float]) -> tuple[float, float]:
    """Mean cross entropy and dice loss."""
    p = [1 / (1 + math.exp(-x)) for x in logits]
    both = sum(a * b for a, b in zip(p, wanted, strict=True))
    dice = 1 - (2 * both + 1) / (sum(p) + sum(wanted) + 1)
    return sum(entropy(a, b) for a, b in zip(logits, wanted, strict=True)) / len(p), dice


@pytest.fixture
def on_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points at the pixels' centres."""
    monkeypatch.setattr(module, "uncertain_points", lambda masks, *_a, **_k: GRID.repeat(len(masks), 1, 1))


def test_costs(criterion: ProposalCriterion) -> None:
    """Three pictures: with masks, without masks, empty."""
    proposals = some_proposals(2, 3, 4)
    targets = [random_targets(3, (4, 4), dtype=torch.float64), random_targets(2, None), random_targets(0)]
    costs = criterion.costs(proposals.layers, batch_of(targets))
    assert costs.shape == (2, 3, 4, 3)
    for layer in range(2):
        for n, target in enumerate(targets):
            for q in range(4):
                for k in range(len(target)):
                    p = proposals.layers.objectness[layer, n, q].sigmoid().item()
                    box, wanted = proposals.layers.boxes[layer, n, q].tolist(), target.boxes[k].tolist()
                    positive, negative = 0.25 * (1 - p) ** 2 * -math.log(p), 0.75 * p**2 * -math.log(1 - p)
                    expected = 2 * (positive - negative) + 5 * distance(box, wanted)
                    expected -= 2 * overlaps(corners(box), wanted)[1]
                    assert costs[layer, n, q, k].item() == pytest.approx(expected, rel=1e-6)


def test_match_is_the_cheapest_of_all(criterion: ProposalCriterion) -> None:
    proposals, batch = some_proposals(2, 2, 4), batch_of([random_targets(2, None), random_targets(3, None)])
    pairs = criterion.match(proposals.layers, batch)
    costs = criterion.costs(proposals.layers, batch)
    for layer in range(2):
        for n, count in enumerate(batch.counts):
            own = (pairs.layers == layer) & (pairs.pictures == n)
            chosen = costs[layer, n, pairs.queries[own], pairs.objects[own]].sum().item()
            assert sorted(pairs.objects[own].tolist()) == list(range(count))
            best = min(
                sum(costs[layer, n, q, k].item() for k, q in enumerate(order))
                for order in permutations(range(4), count)
            )
            assert chosen == pytest.approx(best)


@pytest.mark.usefixtures("on_the_grid")
def test_losses(criterion: ProposalCriterion) -> None:
    proposals = some_proposals(2, 3, 4)
    targets = [random_targets(3, (4, 4), dtype=torch.float64), random_targets(2, None), random_targets(0)]
    pairs = criterion.match(proposals.layers, batch_of(targets))
    found = criterion(proposals, targets)
    expected = dict.fromkeys(("loss_objectness", "loss_box", "loss_giou", "loss_mask", "loss_dice"), 0.0)
    columns = (pairs.layers, pairs.pictures, pairs.queries, pairs.objects)
    matched = {(layer, n, q): k for layer, n, q, k in zip(*(c.tolist() for c in columns), strict=True)}
    assert len(matched) == 2 * 5
    for layer in range(2):
        for n, target in enumerate(targets):
            for q in range(4):
                logit = proposals.layers.objectness[layer, n, q].item()
                if (layer, n, q) not in matched:
                    expected["loss_objectness"] += 2 * (1 / (1 + math.exp(-logit))) ** 2 * entropy(logit, 0)
                    continue
                k = matched[layer, n, q]
                box, wanted = proposals.layers.boxes[layer, n, q].tolist(), target.boxes[k].tolist()
                iou, giou = overlaps(corners(box), wanted)
                expected["loss_objectness"] += 2 * entropy(logit, iou)
                expected["loss_box"] += 5 * distance(box, wanted)
                expected["loss_giou"] += 2 * (1 - giou)
                if target.masks is not None:
                    embedding = proposals.layers.mask_embeddings[layer, n, q]
                    logits = (
                        torch.einsum("c,chw->hw", embedding, proposals.mask_features[n]).flatten().tolist()
                    )
                    cross, dice = mask_terms(logits, target.masks[k].double().flatten().tolist())
                    expected["loss_mask"] += 5 * cross
                    expected["loss_dice"] += 5 * dice
    for name, value in expected.items():
        assert found.terms[name].item() == pytest.approx(value / 5, rel=1e-6), name
    matches = found.matches
    last = {(n, q): k for (layer, n, q), k in matched.items() if layer == 1}
    columns = (matches.pictures, matches.queries, matches.objects)
    assert {(n, q): k for n, q, k in zip(*(c.tolist() for c in columns), strict=True)} == last
    for n, q, k, overlap in zip(*(c.tolist() for c in (*columns, matches.overlaps)), strict=True):
        box = corners(proposals.boxes[n, q].tolist())
        assert overlap == pytest.approx(overlaps(box, targets[n].boxes[k].tolist())[0], rel=1e-6)


def test_masks_are_compared_inside_their_boxes(criterion: ProposalCriterion) -> None:
    """What a mask says outside the box of its object costs nothing; inside, the right mask costs little."""
    proposals = some_proposals(1, 1, 1, channels=1)
    box = torch.tensor([[0.25, 0.25, 0.75, 0.5]], dtype=torch.float64)
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 16:32, 16:32] = True  # the left half of the box
    x = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    right = (20.0 * torch.sign(0.5 - x)).expand(1, 1, 64, 64)
    ones = LayerPredictions(
        objectness=proposals.layers.objectness,
        boxes=proposals.layers.boxes,
        mask_embeddings=torch.ones_like(proposals.layers.mask_embeddings),
    )

    def losses(features: Tensor) -> tuple[float, float]:
        found = criterion(
            replace(proposals, layers=ones, mask_features=features), [ProposalTargets(boxes=box, masks=mask)]
        )
        return found.terms["loss_mask"].item(), found.terms["loss_dice"].item()

    # Above, below and to the left of the box these features are wrong.
    assert sum(losses(right)) < 0.5
    assert min(losses(-right)) > 3.0


def test_denoising_losses(criterion: ProposalCriterion) -> None:
    """Copies without noise are perfect: only their scores and their twins' have something to learn."""
    network, targets = small_network().train(), [random_targets(2, None), random_targets(1, None)]
    proposals = network(random_maps(2), targets)
    denoising = proposals.denoising
    assert denoising is not None
    pictures, queries, objects = denoising.queries.pairs()
    boxes = torch.full_like(denoising.boxes, 0.5)
    low, high = batch_of(targets).boxes.float().split(2, dim=-1)
    centred = torch.cat(((low + high) / 2, high - low), -1)
    boxes[:, pictures, queries] = centred[pictures, objects]
    logits = torch.full_like(denoising.objectness, -9.0)
    logits[:, pictures, queries] = 9.0
    perfect = replace(proposals, denoising=replace(denoising, boxes=boxes, objectness=logits))
    terms = criterion(perfect, targets).terms
    for name in ("loss_box", "loss_giou", "loss_objectness"):
        assert terms[f"denoising.{name}"].item() == pytest.approx(0, abs=1e-2), name
        assert criterion(proposals, targets).terms[f"denoising.{name}"].item() > 0.1


def test_order_of_the_objects_does_not_matter(criterion: ProposalCriterion) -> None:
    proposals, targets = some_proposals(2, 2, 6), [random_targets(4), random_targets(3)]
    orders = [torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])]
    shuffled = [
        ProposalTargets(boxes=t.boxes[o], masks=None if t.masks is None else t.masks[o])
        for t, o in zip(targets, orders, strict=True)
    ]
    results = []
    for wanted in (targets, shuffled):
        torch.manual_seed(3)
        results.append(criterion(proposals, wanted))
    for name, loss in results[0].terms.items():
        assert loss.item() == pytest.approx(results[1].terms[name].item(), rel=1e-9), name
    first, second = (result.matches for result in results)
    assert torch.equal(first.queries, second.queries)
    for n, order in enumerate(orders):
        assert (
            first.objects[first.pictures == n].tolist()
            == order[second.objects[second.pictures == n]].tolist()
        )


def test_pictures_without_objects(criterion: ProposalCriterion) -> None:
    found = criterion(some_proposals(2, 2, 4), [random_targets(0), random_targets(0, None)])
    assert len(found.matches.queries) == 0
    assert all(loss.isfinite() for loss in found.terms.values())
    assert found.terms["loss_objectness"] > 0
    for name in ("loss_box", "loss_giou", "loss_mask", "loss_dice", "dense.loss_giou"):
        assert found.terms[name] == 0


def test_more_objects_than_queries(criterion: ProposalCriterion) -> None:
    network, targets = small_network().train(), [random_targets(2000, (16, 24)), random_targets(1, (16, 24))]
    found = criterion(network(random_maps(2), targets), targets)
    assert (found.matches.pictures == 0).sum() == 12
    assert all(loss.isfinite() for loss in found.terms.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["objectness", "boxes", "mask_embeddings", "mask_features", "dense"])
def test_numbers_that_are_not_finite_are_refused(
    criterion: ProposalCriterion, part: str, value: float
) -> None:
    """Also where no picture has an object whose cost would show them."""
    proposals = some_proposals(2, 1, 4)
    where = {"mask_features": proposals.mask_features, "dense": proposals.dense.logits}
    tensor = where[part] if part in where else getattr(proposals.layers, part)
    tensor.view(-1)[1] = value
    with pytest.raises(ValueError, match="not finite"):
        criterion(proposals, [random_targets(0)])


def test_one_target_a_picture(criterion: ProposalCriterion) -> None:
    with pytest.raises(ValueError, match="2 targets for 1 pictures"):
        criterion(some_proposals(1, 1, 4), [random_targets(1)] * 2)
