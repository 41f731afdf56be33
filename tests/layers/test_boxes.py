# SPDX-License-Identifier: MIT
"""Box notations and overlaps against written-out arithmetic and torchvision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou, generalized_box_iou

from intern25.layers.boxes import (
    box_area,
    cells_inside,
    clip_boxes,
    cxcywh_to_xyxy,
    giou,
    giou_matrix,
    inverse_sigmoid,
    iou,
    iou_matrix,
    xyxy_to_cxcywh,
)

corners = st.integers(0, 50)


@st.composite
def some_boxes(draw: st.DrawFn) -> Tensor:
    rows = draw(st.lists(st.tuples(corners, corners, st.integers(1, 40), st.integers(1, 40)), max_size=6))
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in rows], dtype=torch.float64).reshape(-1, 4)


@settings(deadline=None)
@given(some_boxes(), some_boxes())
def test_overlaps_equal_torchvision(first: Tensor, second: Tensor) -> None:
    # Unions and enclosing areas of these boxes are at least 1, so the smallest ones never matter.
    torch.testing.assert_close(iou_matrix(first, second), box_iou(first, second))
    torch.testing.assert_close(giou_matrix(first, second), generalized_box_iou(first, second))


@settings(deadline=None)
@given(some_boxes())
def test_notations_and_pairs(boxes: Tensor) -> None:
    torch.testing.assert_close(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)
    torch.testing.assert_close(giou(boxes, boxes), torch.ones(len(boxes), dtype=torch.float64))
    torch.testing.assert_close(iou(boxes, boxes.flip(0)), iou_matrix(boxes, boxes.flip(0)).diagonal())


def test_giou_by_hand() -> None:
    # Two unit squares one unit apart: no overlap, union 2, enclosing 3.
    first, second = torch.tensor([0.0, 0, 1, 1]), torch.tensor([2.0, 0, 3, 1])
    assert giou(first, second).item() == pytest.approx(-1 / 3)


def test_empty_boxes_have_finite_overlap_and_gradient() -> None:
    boxes = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    value = giou(boxes, torch.zeros(2, 4, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(value.sum(), boxes)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_clip_and_area() -> None:
    boxes = torch.tensor([[-5.0, 2.0, 30.0, 40.0]])
    assert clip_boxes(boxes, (20, 10)).tolist() == [[0.0, 2.0, 10.0, 20.0]]
    assert box_area(boxes).tolist() == [35.0 * 38.0]


@given(st.floats(0.002, 0.998))
def test_inverse_sigmoid_inverts(value: float) -> None:
    x = torch.tensor(value, dtype=torch.float64)
    torch.testing.assert_close(inverse_sigmoid(x).sigmoid(), x)


def test_inverse_sigmoid_is_finite_everywhere() -> None:
    limit = inverse_sigmoid(torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64))
    # The smaller of both terms is 1e-3, the other one stays as it is.
    expected = torch.tensor([1e-3, 1e-3, 1e3, 1e3], dtype=torch.float64).log()
    torch.testing.assert_close(limit, expected)


def test_cells_inside_a_box_by_hand() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.34], [0.0, 0.0, 0.1, 0.1], [0.5, 0.5, 1.0, 1.0]])
    inside = cells_inside(boxes, (3, 4))
    assert inside.shape == (3, 3, 4)
    assert inside[0].tolist() == [[False] * 4, [False, True, True, False], [False] * 4]
    assert not inside[1].any()
    assert inside[2].all()
