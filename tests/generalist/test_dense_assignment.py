# SPDX-License-Identifier: MIT
"""Assignment of cells by hand and by loops, and its losses by loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.generalist.dense_assignment import AlignmentRule, assign_cells, dense_losses
from intern25.generalist.dense_proposals import DenseOutput, picture_cells

LEVELS = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 4, 4)]


def overlap_of(first: list[float], second: list[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / max(sum(areas) - both, 1e-9)


def enclosing_of(first: list[float], second: list[float]) -> float:
    width = max(first[2], second[2]) - min(first[0], second[0])
    return width * (max(first[3], second[3]) - min(first[1], second[1]))


def output_of(logits: Tensor, boxes: Tensor) -> DenseOutput:
    centres, cells = picture_cells([level.to(logits.dtype) for level in LEVELS])
    return DenseOutput(logits=logits, boxes=boxes, centres=centres, cells=cells)


def test_by_hand() -> None:
    """An object on the left half: four cells at 4x4 whose boxes overlap more and more, and two at 2x2."""
    boxes = torch.zeros(1, 20, 4)
    boxes[0, 0] = torch.tensor([0.0, 0.0, 0.5, 0.5])  # cell at 2x2, left top: IoU 0.5
    boxes[0, 2] = torch.tensor([0.0, 0.0, 0.5, 0.9])  # cell at 2x2, left bottom: IoU 0.9
    boxes[0, 1] = torch.tensor([0.0, 0.0, 0.5, 1.0])  # right of the object: perfect, but not inside
    boxes[0, 4] = torch.tensor([0.0, 0.0, 0.5, 0.8])  # cell at 4x4, first: IoU 0.8, scored higher
    logits = torch.full((1, 20), -2.0)
    logits[0, 4] = 3.0
    wanted, present = torch.tensor([[[0.0, 0.0, 0.5, 1.0]]]), torch.tensor([[True]])
    # alignments: 0.345 * 0.5^6 = 0.005, 0.345 * 0.9^6 = 0.183, 0.976 * 0.8^6 = 0.256
    for cells, expected in ((1, [4]), (2, [2, 4]), (3, [0, 2, 4])):
        found = assign_cells(output_of(logits, boxes), wanted, present, AlignmentRule(cells=cells))
        assert found.positive[0].nonzero()[:, 0].tolist() == expected


def test_an_object_smaller_than_a_cell_is_learnt() -> None:
    logits = torch.zeros(1, 20)
    centres, _ = picture_cells(LEVELS)
    boxes = torch.cat((centres - 0.05, centres + 0.05), dim=1)[None]
    wanted = torch.tensor([[[0.30, 0.30, 0.32, 0.33]]])
    positive = assign_cells(output_of(logits, boxes), wanted, torch.tensor([[True]])).positive[0]
    assert positive.nonzero()[:, 0].tolist() == [0, 4 + 5]  # the cell around it on each level


def test_a_contested_cell_learns_from_the_object_it_overlaps_most() -> None:
    logits, boxes = torch.zeros(1, 20), torch.zeros(1, 20, 4)
    boxes[0, :] = torch.tensor([0.0, 0.0, 0.6, 0.6])
    wanted = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]])
    found = assign_cells(
        output_of(logits, boxes), wanted, torch.ones(1, 2, dtype=torch.bool), AlignmentRule(cells=20)
    )
    assert found.positive.all()
    for cell, (x, y) in enumerate(output_of(logits, boxes).centres.tolist()):
        assert found.objects[0, cell] == int(x < 0.5 and y < 0.5)  # IoU 0.69 beats 0.36


@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=3), seed=st.integers(0, 1000))
def test_losses_by_loops(counts: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    batch, most, rule = len(counts), max(counts), AlignmentRule(cells=3)
    logits = torch.randn(batch, 20, dtype=torch.float64)
    centres, cells = picture_cells([level.double() for level in LEVELS])
    # Every box covers its own cell, so that none is assigned without overlap, where order would decide.
    low, high = (0.5 + torch.rand(2, batch, 20, 2, dtype=torch.float64)) * cells
    boxes = torch.cat((centres - low, centres + high), dim=-1)
    corner = torch.rand(batch, most, 2, dtype=torch.float64) * 0.6
    wanted = torch.cat((corner, corner + 0.05 + torch.rand_like(corner) * 0.3), dim=-1)
    present = torch.arange(most)[None] < torch.tensor(counts)[:, None]
    output = output_of(logits, boxes)
    focal = giou = positives = 0.0
    for n in range(batch):
        claims: dict[int, list[tuple[float, int]]] = {}
        for k in range(counts[n]):
            target = wanted[n, k].tolist()
            ranked = []
            for cell in range(20):
                centre, side = output.centres[cell].tolist(), output.cells[cell].tolist()
                inside = all(
                    abs(centre[axis] - (target[axis] + target[axis + 2]) / 2)
                    <= max(target[axis + 2] - target[axis], side[axis]) / 2
                    for axis in (0, 1)
                )
                if inside:
                    overlap = overlap_of(boxes[n, cell].tolist(), target)
                    score = 1 / (1 + math.exp(-logits[n, cell].item()))
                    ranked.append((score**0.5 * overlap**6, overlap, cell))
            for _, overlap, cell in sorted(ranked, reverse=True)[:3]:
                claims.setdefault(cell, []).append((overlap, k))
        for cell in range(20):
            quality = 0.0
            if cell in claims:
                quality, k = max(claims[cell])
                box, target = boxes[n, cell].tolist(), wanted[n, k].tolist()
                areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, target))
                union, around = areas / (1 + quality), enclosing_of(box, target)
                giou += 1 - (quality - (around - union) / around)
                positives += 1
            p = 1 / (1 + math.exp(-logits[n, cell].item()))
            focal += abs(quality - p) ** 2 * -(quality * math.log(p) + (1 - quality) * math.log(1 - p))
    losses = dense_losses(output, wanted, present, rule)
    count = max(positives, 1)
    assert losses["loss_objectness"].item() == pytest.approx(focal / count, rel=1e-9)
    assert losses["loss_giou"].item() == pytest.approx(giou / count, rel=1e-9, abs=1e-12)


def test_pictures_without_objects_teach_silence() -> None:
    logits = torch.zeros(2, 20, requires_grad=True)
    boxes = torch.rand(2, 20, 4, requires_grad=True)
    losses = dense_losses(output_of(logits, boxes), torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.bool))
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert losses["loss_objectness"].item() == pytest.approx(40 * 0.25 * math.log(2))
    assert losses["loss_giou"] == 0
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_scores_have_no_say_in_boxes_and_targets_have_no_gradient() -> None:
    logits = torch.zeros(1, 20, requires_grad=True)
    low = torch.rand(1, 20, 2) * 0.3
    boxes = torch.cat((low, low + 0.5), dim=-1).requires_grad_()
    losses = dense_losses(
        output_of(logits, boxes), torch.tensor([[[0.1, 0.1, 0.8, 0.7]]]), torch.tensor([[True]])
    )
    assert (
        torch.autograd.grad(losses["loss_objectness"], boxes, allow_unused=True, retain_graph=True)[0] is None
    )
    (grad,) = torch.autograd.grad(losses["loss_giou"], boxes)
    assert 0 < int((grad.abs().sum(-1) > 0).sum()) <= 10
