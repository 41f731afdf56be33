# SPDX-License-Identifier: MIT
"""Denoising queries: how far the noise goes, who sees whom, what is padding; and the sampled classes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.detection.dino_criterion import (
    Objects,
    assign,
    denoising_assignment,
    federated_class_mask,
    matching_cost,
)
from intern25.layers.boxes import cxcywh_to_xyxy
from intern25.layers.denoising import PADDING, Denoising, blocked_attention, denoising_queries

counts = st.lists(st.integers(0, 5), min_size=1, max_size=4)


def some_objects(numbers: list[int], seed: int) -> list[Objects]:
    """Objects away from the border, so that no noisy corner is clipped."""
    generator = torch.Generator().manual_seed(seed)
    objects = []
    for number in numbers:
        sides = torch.rand(number, 2, generator=generator, dtype=torch.float64) * 0.1 + 0.05
        centres = torch.rand(number, 2, generator=generator, dtype=torch.float64) * 0.4 + 0.3
        labels = torch.randint(0, 7, (number,), generator=generator)
        scale = torch.tensor([100.0, 80.0, 100.0, 80.0], dtype=torch.float64)
        objects.append(Objects(boxes=torch.cat((centres, sides), dim=-1), labels=labels, scale=scale))
    return objects


def noisy(
    objects: list[Objects], seed: int, *, label_noise: float = 0.5, box_noise: float = 1.0
) -> Denoising:
    return denoising_queries(
        [item.boxes for item in objects],
        [item.labels for item in objects],
        num_classes=7,
        num_denoising=12,
        label_noise=label_noise,
        box_noise=box_noise,
        generator=torch.Generator().manual_seed(seed),
    )


@settings(deadline=None, max_examples=40)
@given(counts, st.integers(0, 1000))
def test_noise_of_positives_and_negatives(numbers: list[int], seed: int) -> None:
    objects = some_objects(numbers, seed)
    found = noisy(objects, seed)
    most = max(numbers)
    groups = 12 // max(most, 1)
    assert found.groups == groups
    assert found.count == 2 * groups * most
    boxes = found.references.sigmoid().unflatten(1, (groups, 2, most))
    labels = found.labels.unflatten(1, (groups, 2, most))
    for index, item in enumerate(objects):
        number = len(item.labels)
        assert (labels[index, :, :, number:] == PADDING).all()
        assert ((labels[index, :, :, :number] >= 0) & (labels[index, :, :, :number] < 7)).all()
        half = item.boxes[:, [2, 3, 2, 3]] / 2
        shift = (cxcywh_to_xyxy(boxes[index, :, :, :number]) - cxcywh_to_xyxy(item.boxes)).abs() / half
        # Negative copies may turn inside out; their sides are then cut at zero and tell nothing.
        assert (shift[:, 0] <= 1 + 1e-6).all()
        upright = (boxes[index, :, 1, :number, 2:] > 0.002).all(dim=-1)
        assert (shift[:, 1][upright] >= 1 - 1e-6).all()


def test_without_noise_the_objects_come_back() -> None:
    objects = some_objects([3, 1], 0)
    found = noisy(objects, 0, label_noise=0.0, box_noise=0.0)
    assert found.labels[0, :3].tolist() == objects[0].labels.tolist()
    torch.testing.assert_close(found.references[0, :3].sigmoid(), objects[0].boxes)


def test_a_quarter_of_the_labels_changes() -> None:
    labels = torch.zeros(2000, dtype=torch.int64)
    boxes = torch.full((2000, 4), 0.5)
    found = denoising_queries(
        [boxes], [labels], num_classes=1000, num_denoising=2000, label_noise=0.5, box_noise=1.0
    )
    # 4000 draws at 0.25: three standard deviations are 0.02.
    assert (found.labels != 0).double().mean().item() == pytest.approx(0.25, abs=0.03)


@settings(deadline=None, max_examples=30)
@given(counts, st.integers(0, 20), st.integers(0, 100))
def test_who_sees_whom(numbers: list[int], queries: int, seed: int) -> None:
    found = noisy(some_objects(numbers, seed), seed)
    blocked = blocked_attention(found, queries)
    size = found.count + queries
    assert blocked.shape == (size, size)
    width = 2 * found.objects
    for row in range(size):
        for column in range(size):
            if column >= found.count:
                expected = False
            else:
                expected = row >= found.count or row // width != column // width
            assert bool(blocked[row, column]) == expected
    assert not blocked.all(dim=1).any(), "every query sees at least itself"


@settings(deadline=None, max_examples=30)
@given(counts, st.integers(0, 100))
def test_positives_answer_for_their_own_object(numbers: list[int], seed: int) -> None:
    objects = some_objects(numbers, seed)
    found = noisy(objects, seed, label_noise=0.0, box_noise=0.0)
    assignment = denoising_assignment(found, objects)
    assert len(assignment.queries) == found.groups * sum(numbers)
    for picture, query, index in zip(
        assignment.pictures.tolist(), assignment.queries.tolist(), assignment.objects.tolist(), strict=True
    ):
        assert found.labels[picture, query] == objects[picture].labels[index]
        box = found.references[picture, query].sigmoid()
        torch.testing.assert_close(box, objects[picture].boxes[index])


def test_matching_finds_perfect_predictions() -> None:
    objects = some_objects([3, 0, 2], 1)
    logits = torch.full((3, 6, 7), -4.0, dtype=torch.float64)
    boxes = torch.full((3, 6, 4), 0.5, dtype=torch.float64)
    for index, item in enumerate(objects):
        for position, (box, label) in enumerate(zip(item.boxes, item.labels, strict=True)):
            boxes[index, 5 - position] = box
            logits[index, 5 - position, label] = 4.0
    found = assign(logits, boxes, objects)
    triples = torch.stack((found.pictures, found.queries, found.objects), dim=1).tolist()
    assert sorted(triples) == [[0, 3, 2], [0, 4, 1], [0, 5, 0], [2, 4, 1], [2, 5, 0]]


def test_matching_cost_by_hand() -> None:
    (item,) = some_objects([1], 2)
    logit = torch.zeros(1, 7, dtype=torch.float64)
    # p = 0.5: 0.25 * 0.25 * ln 2 for, 0.75 * 0.25 * ln 2 against; the box is right.
    expected = 2 * (0.0625 - 0.1875) * torch.tensor(2.0, dtype=torch.float64).log() - 2.0
    torch.testing.assert_close(matching_cost(logit, item.boxes, item)[0, 0], expected)


@settings(deadline=None, max_examples=30)
@given(counts, st.integers(1, 7), st.integers(0, 100))
def test_sampled_classes_hold_those_present(numbers: list[int], count: int, seed: int) -> None:
    objects = some_objects(numbers, seed)
    generator = torch.Generator().manual_seed(seed)
    mask = federated_class_mask(objects, 7, count, generator=generator)
    present: Tensor = torch.cat([item.labels for item in objects]).unique()
    assert mask[present].all()
    assert mask.sum().item() == max(count, len(present))
