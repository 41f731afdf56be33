# SPDX-License-Identifier: MIT
"""Boxes of cells against loops, and the selection of cells that do not repeat each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.generalist.dense_proposals import (
    MAX_LOG_DISTANCE,
    DenseOutput,
    DenseProposals,
    picture_cells,
    select_cells,
)
from intern25.layers.boxes import iou_matrix


def test_boxes_by_loops() -> None:
    head = DenseProposals(32, levels=2).double()
    with torch.no_grad():
        head.scales.copy_(torch.tensor([0.5, 1.5]))
        for conv in (head.objectness, head.distances):
            conv.weight.normal_(std=0.03)
        levels = [
            torch.randn(2, 32, 2, 3, dtype=torch.float64),
            torch.randn(2, 32, 4, 6, dtype=torch.float64),
        ]
        output = head(levels)
        cell = 0
        for level, scale in zip(levels, (0.5, 1.5), strict=True):
            x = head.tower(level)
            logits, raw = head.objectness(x), head.distances(x)
            height, width = level.shape[2:]
            for row in range(height):
                for column in range(width):
                    cx, cy = (column + 0.5) / width, (row + 0.5) / height
                    for n in range(2):
                        left, top, right, bottom = (
                            math.exp(scale * d) for d in raw[n, :, row, column].tolist()
                        )
                        expected = [
                            cx - left / width,
                            cy - top / height,
                            cx + right / width,
                            cy + bottom / height,
                        ]
                        assert output.boxes[n, cell].tolist() == pytest.approx(expected, rel=1e-12)
                        assert output.logits[n, cell] == logits[n, 0, row, column]
                    assert output.centres[cell].tolist() == pytest.approx([cx, cy])
                    assert output.cells[cell].tolist() == pytest.approx([1 / width, 1 / height])
                    cell += 1
    assert cell == output.logits.shape[1]


def test_initial_boxes_are_four_cells_wide_and_unlikely() -> None:
    output = DenseProposals(32, levels=1)([torch.randn(1, 32, 6, 9)])
    sides = (output.boxes[..., 2:] - output.boxes[..., :2]) / output.cells
    assert (sides - 4).abs().max() < 1.5
    assert (output.logits.sigmoid() - 0.01).abs().max() < 0.01


def test_distances_do_not_overflow() -> None:
    head = DenseProposals(32, levels=1)
    with torch.no_grad():
        assert head.distances.bias is not None
        head.distances.bias.fill_(500.0)
    boxes = head([torch.randn(1, 32, 2, 2)]).boxes
    assert boxes.isfinite().all()
    assert boxes.max().item() == pytest.approx(math.exp(MAX_LOG_DISTANCE) / 2, rel=1e-2)


def output_of(logits: torch.Tensor, boxes: torch.Tensor) -> DenseOutput:
    places = torch.zeros(logits.shape[1], 2)
    return DenseOutput(logits=logits, boxes=boxes, centres=places, cells=places)


def test_repetitions_come_last() -> None:
    one, other = [0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]
    boxes = torch.tensor([[one, one, other, one], [one, other, one, other]])
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    chosen = select_cells(output_of(logits, boxes), 3, nms_iou=0.8)
    assert chosen.tolist() == [[0, 2, 1], [3, 2, 1]]


def test_fewer_cells_than_queries() -> None:
    logits = torch.randn(2, 5)
    chosen = select_cells(output_of(logits, torch.rand(2, 5, 4).sort(-1).values), 9, nms_iou=0.8)
    assert chosen.sort(dim=1).values.tolist() == [[0, 1, 2, 3, 4]] * 2


@settings(deadline=None, max_examples=25)
@given(batch=st.integers(1, 3), count=st.integers(1, 12), seed=st.integers(0, 1000))
def test_selection_is_greedy_suppression(batch: int, count: int, seed: int) -> None:
    """By loops: walk the best cells, keep those that repeat none kept before, then the rest in order."""
    torch.manual_seed(seed)
    low = torch.rand(batch, 60, 2) * 0.5
    boxes, logits = (
        torch.cat((low, low + 0.2 + 0.3 * torch.rand(batch, 60, 2)), dim=-1),
        torch.randn(batch, 60),
    )
    chosen = select_cells(output_of(logits, boxes), count, nms_iou=0.6)
    for n in range(batch):
        overlap = iou_matrix(boxes[n].clamp(0, 1), boxes[n].clamp(0, 1))
        kept: list[int] = []
        rest: list[int] = []
        for cell in logits[n].argsort(descending=True)[: 4 * count].tolist():
            repeats = any(overlap[cell, other] > 0.6 for other in kept)
            (rest if repeats else kept).append(cell)
        assert chosen[n].tolist() == (kept + rest)[:count]


def test_cells_tile_the_picture() -> None:
    centres, cells = picture_cells([torch.zeros(1, 1, 3, 5)])
    assert cells.prod(dim=1).sum() == pytest.approx(1.0)
    assert centres.mean(dim=0).tolist() == pytest.approx([0.5, 0.5])
