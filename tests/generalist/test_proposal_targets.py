# SPDX-License-Identifier: MIT
"""Objects of a batch side by side, and masks read at points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.generalist.proposal_targets import BatchTargets, ProposalTargets
from tests.generalist.proposal_samples import random_targets


def test_pixels_become_shares() -> None:
    targets = ProposalTargets.of_pixels(torch.tensor([[0.0, 5.0, 20.0, 10.0]]), (10, 40))
    assert targets.boxes.tolist() == [[0.0, 0.5, 0.5, 1.0]]


@pytest.mark.parametrize(
    ("boxes", "masks", "message"),
    [
        (torch.zeros(3), None, r"\(K, 4\)"),
        (torch.zeros(2, 4, dtype=torch.int64), None, "floating-point"),
        (torch.tensor([[0.0, 0, 30, 20]]), None, r"of_pixels"),
        (torch.tensor([[0.5, 0.5, 0.2, 0.9]]), None, "shares"),
        (torch.tensor([[0.1, 0.1, float("nan"), 0.9]]), None, "nan"),
        (torch.zeros(2, 4), torch.zeros(1, 4, 4, dtype=torch.bool), r"bool \(2, H, W\)"),
        (torch.zeros(1, 4), torch.zeros(1, 4, 4), "float32"),
    ],
)
def test_bad_targets(boxes: torch.Tensor, masks: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProposalTargets(boxes=boxes, masks=masks)


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    counts=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    seed=st.integers(0, 1000),
)
def test_masks_at_points(sizes: list[tuple[int, int] | None], counts: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    targets = [random_targets(count, size) for count, size in zip(counts, sizes, strict=False)]
    targets = [
        t if t.masks is None else ProposalTargets(boxes=t.boxes, masks=torch.rand(t.masks.shape) < 0.5)
        for t in targets
    ]
    batch = BatchTargets.of(targets, torch.zeros(0))
    objects = batch.masks.known.nonzero()[:, 0]
    points = torch.rand(len(objects), 5, 2)
    read = batch.masks.read(objects, points)
    flat = [mask for t in targets for mask in ([None] * len(t) if t.masks is None else t.masks)]
    assert batch.masks.known.tolist() == [mask is not None for mask in flat]
    for row, index in enumerate(objects.tolist()):
        mask = flat[index]
        assert mask is not None
        height, width = mask.shape
        for point in range(5):
            x, y = points[row, point].tolist()
            assert read[row, point].item() == float(mask[int(y * height), int(x * width)])


def test_batch_keeps_boxes_apart() -> None:
    targets = [random_targets(2, None), random_targets(0, None), random_targets(3, None)]
    batch = BatchTargets.of(targets, torch.zeros(0, dtype=torch.float64))
    assert batch.boxes.dtype == torch.float64
    assert batch.present.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert batch.starts.tolist() == [0, 2, 2]
    assert torch.equal(batch.boxes[2].float(), targets[2].boxes)
