# SPDX-License-Identifier: MIT
"""Instances and panoptic segments of queries made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from intern25.segmentation import panoptic as module
from intern25.segmentation.panoptic import boxes_of_masks, instances, panoptic

SIZE = (8, 12)
CLASSES = 3  # 0 sky (stuff), 1 car, 2 dog; 3 is "no object"


def logits_of(rows: list[tuple[int, float]]) -> Tensor:
    """Class logits ``(1, Q, 4)`` in which each query's class has the given probability."""
    probability = torch.full((1, len(rows), CLASSES + 1), 0.0)
    for query, (label, value) in enumerate(rows):
        probability[0, query] = (1 - value) / CLASSES
        probability[0, query, label] = value
    return probability.log()


def masks_of(*areas: tuple[slice, slice], inside: float = 4.0, outside: float = -4.0) -> Tensor:
    masks = torch.full((1, len(areas), *SIZE), outside)
    for query, area in enumerate(areas):
        masks[0, query][area] = inside
    return masks


LEFT, RIGHT = (slice(0, 8), slice(0, 6)), (slice(0, 8), slice(6, 12))
CAR, SMALL = (slice(2, 5), slice(1, 4)), (slice(0, 1), slice(0, 1))


def test_panoptic_rules() -> None:
    classes = logits_of([(0, 0.9), (0, 0.95), (1, 0.99), (1, 0.85), (3, 0.99), (2, 0.7)])
    whole = (slice(0, 8), slice(0, 12))
    masks = masks_of(LEFT, RIGHT, CAR, (slice(5, 8), slice(9, 12)), whole, SMALL)
    (found,) = panoptic(classes, masks, things={1, 2}, input_size=SIZE)
    # Both skies are one segment; "no object" and the unsure dog take nothing.
    assert found.labels.tolist() == [0, 1]
    assert found.is_thing.tolist() == [False, True]
    # The second car scores less than the sky over it: all of its mask is lost.
    assert found.scores.tolist() == pytest.approx([0.9, 0.99])
    expected = torch.ones(SIZE, dtype=torch.int32)
    expected[CAR] = 2
    assert torch.equal(found.ids, expected)


def test_things_of_one_class_stay_apart() -> None:
    (found,) = panoptic(logits_of([(1, 0.9), (1, 0.95)]), masks_of(LEFT, RIGHT), things=[1], input_size=SIZE)
    assert found.labels.tolist() == [1, 1]
    assert (found.ids[LEFT] == 1).all()
    assert (found.ids[RIGHT] == 2).all()


def test_a_segment_needs_most_of_its_mask() -> None:
    wide = (slice(0, 8), slice(0, 8))
    classes = logits_of([(1, 0.9), (2, 0.95)])
    masks = masks_of(wide, (slice(0, 8), slice(4, 12)))
    (found,) = panoptic(classes, masks, things=[1, 2], input_size=SIZE)  # the first keeps half of its mask
    assert found.labels.tolist() == [2]
    assert (found.ids == 0)[LEFT][:, :4].all()
    (found,) = panoptic(classes, masks, things=[1, 2], input_size=SIZE, min_share=0.4)
    assert found.labels.tolist() == [1, 2]


def test_nothing_found() -> None:
    (found,) = panoptic(logits_of([(3, 0.99)]), masks_of(LEFT), things=[1], input_size=SIZE)
    assert found.labels.shape == found.is_thing.shape == found.scores.shape == (0,)
    assert not found.ids.any()
    assert found.ids.shape == SIZE


def test_instances() -> None:
    classes, masks = logits_of([(1, 0.6), (2, 0.9), (3, 0.99)]), masks_of(CAR, RIGHT, LEFT)
    (found,) = instances(classes, masks, input_size=SIZE, max_instances=2)
    confidence = 1 / (1 + np.exp(-4.0))  # the same inside the whole mask
    assert found.labels.tolist() == [2, 1]
    np.testing.assert_allclose(found.scores, [0.9 * confidence, 0.6 * confidence], rtol=1e-5)
    assert found.boxes.tolist() == [[6, 0, 12, 8], [1, 2, 4, 5]]
    assert found.masks is not None
    assert found.masks[1].sum() == 9


def test_one_query_may_be_of_two_classes_and_stuff_is_left_out() -> None:
    classes = torch.tensor([[[0.3, 0.4, 0.25, 0.05]]]).log()
    (found,) = instances(classes, masks_of(CAR), input_size=SIZE)
    assert found.labels.tolist() == [1, 0, 2]
    (found,) = instances(classes, masks_of(CAR), input_size=SIZE, things={1, 2})
    assert found.labels.tolist() == [1, 2]


def test_empty_masks_are_left_out() -> None:
    (found,) = instances(logits_of([(1, 0.9)]), masks_of(CAR, inside=-1.0), input_size=SIZE)
    assert len(found) == 0
    assert found.masks is not None
    assert found.masks.shape == (0, *SIZE)


def test_masks_are_enlarged_to_the_original_picture() -> None:
    (found,) = instances(
        logits_of([(1, 0.9)]),
        masks_of(RIGHT),
        input_size=(16, 24),
        original_sizes=[(32, 36)],
        max_instances=1,
    )
    assert found.size == (32, 36)
    np.testing.assert_allclose(found.boxes, [[18, 0, 36, 32]], atol=1)


def test_boxes_of_masks() -> None:
    masks = torch.rand(20, 7, 9) > 0.9
    masks[3] = False
    boxes = boxes_of_masks(masks)
    for mask, box in zip(masks, boxes.tolist(), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        if len(rows):
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        else:
            assert box == [0, 0, 0, 0]


def merged_pixel_by_pixel(
    classes: np.ndarray, masks: np.ndarray, things: set[int], min_score: float, min_share: float
) -> tuple[list[list[int]], list[tuple[int, float]]]:
    """The rules in plain loops: ids of the pixels, and (class, score) of each segment."""
    kept = [q for q, row in enumerate(classes) if row.argmax() < len(row) - 1 and row.max() > min_score]
    height, width = masks.shape[1:]
    owner = [[-1] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            for q in kept:
                current = owner[y][x]
                value = classes[q].max() * masks[q, y, x]
                if current < 0 or value > classes[current].max() * masks[current, y, x]:
                    owner[y][x] = q
    ids, segments, stuff = [[0] * width for _ in range(height)], [], {}
    for q in kept:
        pixels = [(y, x) for y in range(height) for x in range(width)]
        own = [place for place in pixels if owner[place[0]][place[1]] == q]
        whole = [(y, x) for y, x in pixels if masks[q, y, x] >= 0.5]
        seen = set(own) & set(whole)
        if not seen or len(own) / len(whole) < min_share:
            continue
        label = int(classes[q].argmax())
        if label in stuff:
            number = stuff[label]
        else:
            segments.append((label, float(classes[q].max())))
            number = len(segments)
            if label not in things:
                stuff[label] = number
        for y, x in seen:
            ids[y][x] = number
    return ids, segments


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("chunk", [1, 3 * SIZE[0] * SIZE[1], 1 << 22])
def test_panoptic_is_what_plain_loops_give(seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    generator = torch.Generator().manual_seed(seed)
    classes = 3 * torch.randn(1, 9, CLASSES + 1, generator=generator)
    # Smooth masks, so that some keep most of theirs.
    coarse = 4 * torch.randn(1, 9, 2, 3, generator=generator) - 1
    masks = torch.nn.functional.interpolate(coarse, size=SIZE, mode="bilinear")
    (found,) = panoptic(classes, masks, things={1}, input_size=SIZE, min_score=0.4, min_share=0.3)
    ids, segments = merged_pixel_by_pixel(
        classes[0].softmax(-1).numpy(), masks[0].sigmoid().numpy(), {1}, 0.4, 0.3
    )
    assert found.ids.tolist() == ids
    assert found.labels.tolist() == [label for label, _ in segments]
    assert found.scores.tolist() == pytest.approx([score for _, score in segments])
    assert found.is_thing.tolist() == [label == 1 for label, _ in segments]


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_a_smallest_score_leaves_out_just_what_is_below(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    classes, masks = torch.randn(2, 9, CLASSES + 1, generator=generator), torch.randn(2, 9, *SIZE)
    everything = instances(classes, masks, input_size=SIZE)
    limited = instances(classes, masks, input_size=SIZE, min_score=0.3)
    for one, few in zip(everything, limited, strict=True):
        stays = one.select(one.scores >= 0.3)
        assert 0 < len(stays) < len(one)
        assert np.array_equal(stays.scores, few.scores)
        assert np.array_equal(stays.masks, few.masks)
        assert np.array_equal(stays.boxes, few.boxes)
