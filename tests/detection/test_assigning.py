# SPDX-License-Identifier: MIT
"""Assigning and sampling against rules written out box by box."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.detection import assigning
from intern25.detection.assigning import BACKGROUND, UNUSED, MaxIoUAssigner, sample

Row = tuple[int, int, int, int]
# Whole numbers make ties likely.
rows = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 5), st.integers(1, 5))


def boxes_of(values: list[Row]) -> torch.Tensor:
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in values], dtype=torch.float64).reshape(-1, 4)


def overlap(a: Row, b: Row) -> tuple[float, float]:
    """Intersection over union, and the share of ``a`` inside ``b``."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both), both / (a[2] * a[3])


def assign_one_by_one(
    boxes: list[Row], objects: list[Row], crowds: list[Row], *, positive: float, negative: float, forced: bool
) -> list[int]:
    table = [[overlap(item, box)[0] for box in boxes] for item in objects]
    result = []
    for column, _ in enumerate(boxes):
        overlaps = [row[column] for row in table]
        best = max(overlaps, default=0.0)
        chosen = UNUSED if best >= negative else BACKGROUND
        result.append(overlaps.index(best) if overlaps and best >= positive else chosen)
    if forced:
        for number, row in enumerate(table):
            for column, value in enumerate(row):
                if value == max(row) and value >= negative:
                    result[column] = number
    for column, box in enumerate(boxes):
        in_crowd = any(overlap(box, crowd)[1] > 0.5 for crowd in crowds)
        if in_crowd and result[column] == BACKGROUND:
            result[column] = UNUSED
    return result


@settings(deadline=None, max_examples=100)
@given(
    st.lists(rows, min_size=1, max_size=8),
    st.lists(rows, max_size=4),
    st.lists(rows, max_size=2),
    st.booleans(),
    st.sampled_from([(0.7, 0.3), (0.5, 0.5)]),
)
def test_assigning_follows_the_rules(
    boxes: list[Row], objects: list[Row], crowds: list[Row], forced: bool, limits: tuple[float, float]
) -> None:
    assigner = MaxIoUAssigner(
        positive_iou=limits[0],
        negative_iou=limits[1],
        min_forced_iou=limits[1],
        forced_matches=forced,
        ignored_overlap=0.5,
    )
    expected = assign_one_by_one(
        boxes, objects, crowds, positive=limits[0], negative=limits[1], forced=forced
    )
    assert assigner(boxes_of(boxes), boxes_of(objects), boxes_of(crowds)).tolist() == expected


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from([UNUSED, BACKGROUND, 0, 1]), max_size=40),
    st.integers(0, 30),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_sampling_takes_as_many_as_there_are_and_no_unused_one(
    values: list[int], count: int, fraction: float
) -> None:
    assigned = torch.tensor(values, dtype=torch.int64)
    positives, negatives = sample(assigned, count, fraction)
    objects, background = sum(v >= 0 for v in values), values.count(BACKGROUND)
    assert len(positives) == min(objects, int(count * fraction))
    assert len(negatives) == min(background, count - len(positives))
    assert (assigned[positives] >= 0).all()
    assert (assigned[negatives] == BACKGROUND).all()
    assert len(set(positives.tolist())) == len(positives)


def test_overlaps_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = torch.rand(57, 4).double().cumsum(dim=1)
    objects = torch.rand(3, 4).double().cumsum(dim=1)
    assigner = MaxIoUAssigner(positive_iou=0.5, negative_iou=0.3, min_forced_iou=0.1)
    expected = assigner(boxes, objects)
    monkeypatch.setattr(assigning, "PAIRS_AT_ONCE", 30)
    assert torch.equal(assigner(boxes, objects), expected)


def test_sampling_is_random_among_objects_and_background() -> None:
    assigned = torch.tensor([0] * 50 + [BACKGROUND] * 50)
    torch.manual_seed(0)
    draws = [sample(assigned, 20, 0.5) for _ in range(2)]
    assert draws[0][0].tolist() != draws[1][0].tolist()
    assert draws[0][1].tolist() != draws[1][1].tolist()
