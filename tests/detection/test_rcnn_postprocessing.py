# SPDX-License-Identifier: MIT
"""Suppression, choice of detections, pasting of masks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.detection import pasting, postprocessing
from intern25.detection.pasting import paste_masks
from intern25.detection.postprocessing import grouped_nms, select_detections
from intern25.layers.boxes import iou

rows = st.tuples(
    st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2)
)


def suppress_one_by_one(boxes: torch.Tensor, order: list[int], groups: list[int], limit: float) -> list[int]:
    kept: list[int] = []
    for candidate in order:
        same = [k for k in kept if groups[k] == groups[candidate]]
        if all(float(iou(boxes[k], boxes[candidate])) <= limit for k in same):
            kept.append(candidate)
    return kept


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, min_size=1, max_size=12), st.randoms(use_true_random=False), st.booleans())
def test_suppression_is_greedy_inside_each_group(
    values: list[tuple[int, ...]], random, separate: bool
) -> None:
    boxes = torch.tensor([(x, y, x + w, y + h) for x, y, w, h, _ in values], dtype=torch.float64)
    groups = [value[4] for value in values]
    order = list(range(len(values)))
    random.shuffle(order)
    scores = torch.empty(len(values), dtype=torch.float64)
    scores[order] = torch.linspace(1, 0.1, len(values), dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        if separate:
            patch.setattr(postprocessing, "SEPARATE_NMS_BOXES", 1)
        # Not a ratio of small whole numbers: no overlap is equal to it.
        kept = grouped_nms(boxes, scores, torch.tensor(groups), 0.4142)
    assert kept.tolist() == suppress_one_by_one(boxes, order, groups, 0.4142)


def test_suppression_of_nothing() -> None:
    assert len(grouped_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5)) == 0


@pytest.mark.parametrize("shared", [False, True])
def test_detections_are_the_best_of_all_classes(shared: bool) -> None:
    # Region 0 is two objects, region 1 a duplicate of its first, region 2 background.
    probabilities = torch.tensor([[0.5, 0.4, 0.1], [0.45, 0.02, 0.53], [0.04, 0.05, 0.91]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [30.0, 30, 40, 40]])[:, None]
    if not shared:
        boxes = torch.stack((boxes[:, 0], boxes[:, 0] + 100), dim=1)
    found, scores, labels = select_detections(
        boxes, probabilities, score_threshold=0.05, nms_iou=0.5, max_detections=10
    )
    assert labels.tolist() == [0, 1]
    torch.testing.assert_close(scores, torch.tensor([0.5, 0.4]))
    assert found[1].tolist() == ([0, 0, 10, 10] if shared else [100, 100, 110, 110])
    few = select_detections(boxes, probabilities, score_threshold=0.05, nms_iou=0.5, max_detections=1)
    assert [len(part) for part in few] == [1, 1, 1]


def test_a_full_mask_fills_the_pixels_whose_centres_are_in_its_box() -> None:
    masks = paste_masks(torch.ones(1, 4, 4), torch.tensor([[2.6, 1.0, 6.4, 5.0]]), (8, 9))
    expected = torch.zeros(8, 9, dtype=torch.bool)
    expected[1:5, 3:6] = True
    assert torch.equal(masks[0], expected)


def test_pasting_samples_bilinearly(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = torch.rand(5, 7, 7).double()
    low = torch.rand(5, 2).double() * torch.tensor([30, 20])
    boxes = torch.cat((low, low + torch.rand(5, 2).double() * 30 + 1), dim=1)
    x, y = torch.arange(50).double() + 0.5, torch.arange(40).double() + 0.5
    expected = torch.zeros(5, 40, 50, dtype=torch.bool)
    for number, (left, top, right, bottom) in enumerate(boxes.tolist()):
        columns, rows = (x - left) / (right - left) * 2 - 1, (y - top) / (bottom - top) * 2 - 1
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
        values = F.grid_sample(probabilities[number, None, None], grid[None], align_corners=False)
        expected[number] = values[0, 0] >= 0.5
    assert torch.equal(paste_masks(probabilities, boxes, (40, 50)), expected)
    # The way of an accelerator: whole pictures, several at once.
    monkeypatch.setattr(pasting, "_one_by_one", lambda boxes: False)
    monkeypatch.setattr(pasting, "CHUNK_BYTES", 2 * 40 * 50 * 20)
    assert torch.equal(paste_masks(probabilities, boxes, (40, 50)), expected)


def test_pasting_of_nothing_and_of_a_box_without_extent() -> None:
    assert paste_masks(torch.zeros(0, 4, 4), torch.zeros(0, 4), (3, 5)).shape == (0, 3, 5)
    assert paste_masks(torch.zeros(1, 4, 4), torch.tensor([[2.0, 2.0, 2.0, 2.0]]), (3, 5)).sum() == 0
