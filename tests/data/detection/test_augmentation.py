"""Boxes and masks move together, whatever the draws, and the draws follow from the seed."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.data.detection.augmentation import DetectionAugmentation, DetectionAugmentationName
from intern25.data.detection.masks import mask_box
from intern25.data.detection.sample import (
    DetectionSample,
    crop,
    flip_horizontal,
    flip_vertical,
    mosaic,
    resize,
    sample_of,
    turn_left,
)
from intern25.data.preprocessing import Preprocessing
from intern25.data.run_lengths import encode_mask

Boxes = list[tuple[int, int, int, int]]


def annotation_of(boxes: Boxes, size: tuple[int, int]) -> Annotation:
    """Objects that fill their boxes."""
    rows = AnnotationRows()
    for number, (left, top, right, bottom) in enumerate(boxes):
        pixels = np.zeros(size, dtype=bool)
        pixels[top:bottom, left:right] = True
        rows.add((left, top, right, bottom), number % 3, number, mask=encode_mask(pixels))
    return rows.annotation(size)


def made_sample(boxes: Boxes, size: tuple[int, int], seed: int = 0) -> DetectionSample:
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    return sample_of(Image.fromarray(noise), annotation_of(boxes, size), masks=True)


@st.composite
def samples(draw: st.DrawFn) -> DetectionSample:
    height, width = draw(st.integers(24, 90)), draw(st.integers(24, 90))
    boxes = []
    for _ in range(draw(st.integers(1, 4))):
        left, top = draw(st.integers(0, width - 8)), draw(st.integers(0, height - 8))
        boxes.append((left, top, draw(st.integers(left + 4, width)), draw(st.integers(top + 4, height))))
    return made_sample(boxes, (height, width))


@given(
    samples(),
    st.sampled_from(["single_scale", "multi_scale", "scale_range", "large_scale_jitter", "none"]),
    st.integers(0, 2**40),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_boxes_are_those_of_their_masks(
    sample: DetectionSample, kind: DetectionAugmentationName, seed: int, with_mosaic: bool
) -> None:
    augmentation = DetectionAugmentation(
        kind=kind, short_side=64, long_side=100, vertical_flip=0.5, turn=0.5, mosaic=float(with_mosaic)
    )
    image, target = augmentation(sample, seed, lambda _draw: sample)
    assert target.masks is not None
    assert target.masks.shape == (len(target.boxes), *image.shape[1:])
    found = torch.tensor([mask_box(mask.numpy().astype(bool)) for mask in target.masks]).reshape(-1, 4)
    if len(found):
        assert float((found - target.boxes).abs().max()) <= 1.0
    sides = target.boxes[:, 2:] - target.boxes[:, :2]
    assert (sides >= 1).all()
    assert (target.boxes >= 0).all()
    assert (target.boxes[:, 2] <= image.shape[2]).all()
    assert (target.boxes[:, 3] <= image.shape[1]).all()


@given(samples(), st.integers(10, 150), st.integers(10, 150))
@settings(max_examples=60, deadline=None)
def test_resized_boxes_are_those_of_their_masks(sample: DetectionSample, height: int, width: int) -> None:
    resized = resize(sample, (height, width))
    assert resized.masks is not None
    for box, mask in zip(resized.boxes, resized.masks, strict=True):
        if mask.any():
            assert float((torch.tensor(mask_box(mask.numpy().astype(bool))) - box).abs().max()) <= 1.0


@given(samples(), st.data())
@settings(max_examples=60, deadline=None)
def test_turns_and_flips_come_back(sample: DetectionSample, data: st.DataObject) -> None:
    for operation, times in ((flip_horizontal, 2), (flip_vertical, 2), (turn_left, 4)):
        moved = sample
        for step in range(times):
            moved = operation(moved)
            assert moved.masks is not None
            found = torch.tensor([mask_box(mask.numpy().astype(bool)) for mask in moved.masks])
            assert torch.equal(found, moved.boxes), (operation, step)
        assert torch.equal(moved.image, sample.image)
        assert torch.equal(moved.boxes, sample.boxes)
    height, width = (data.draw(st.integers(4, side)) for side in sample.size)
    top, left = (
        data.draw(st.integers(0, whole - part))
        for whole, part in zip(sample.size, (height, width), strict=True)
    )
    cut = crop(sample, top, left, height, width)
    assert cut.masks is not None
    assert torch.equal(
        torch.tensor([mask_box(m.numpy().astype(bool)) for m in cut.masks]).reshape(-1, 4), cut.boxes
    )
    assert torch.equal(cut.image, sample.image[:, top : top + height, left : left + width])


def test_a_cut_object_gets_the_box_of_what_is_left() -> None:
    pixels = np.zeros((20, 20), dtype=bool)
    pixels[2:4, 2:18] = True  # an L: a bar along the top and one down the left side
    pixels[2:18, 2:4] = True
    rows = AnnotationRows()
    rows.add((2, 2, 18, 18), 0, 1, mask=encode_mask(pixels))
    image = Image.new("RGB", (20, 20))
    with_mask = crop(sample_of(image, rows.annotation((20, 20)), masks=True), 10, 0, 10, 20)
    assert with_mask.boxes.tolist() == [[2, 0, 4, 8]]
    without = crop(sample_of(image, rows.annotation((20, 20)), masks=False), 10, 0, 10, 20)
    assert without.boxes.tolist() == [[2, 0, 18, 8]]
    gone = crop(sample_of(image, rows.annotation((20, 20)), masks=True), 10, 10, 10, 10)
    assert len(gone.boxes) == 0  # the box reaches in, the object does not


def test_crowds_and_difficult_objects_become_ignored_regions() -> None:
    rows = AnnotationRows()
    rows.add((1, 1, 9, 9), 0, 1)
    rows.add((2, 2, 8, 8), 1, 2, crowd=True)
    rows.add((10, 4, 20, 8), 2, 3, difficult=True)
    sample = sample_of(Image.new("RGB", (20, 10)), rows.annotation((10, 20)), masks=False)
    image, target = DetectionAugmentation(kind="none", short_side=20, long_side=40)(sample, 0)
    assert image.shape == (3, 20, 40)
    assert target.labels.tolist() == [0]
    assert target.masks is None
    assert target.ignored is not None
    assert target.ignored.tolist() == [[4, 4, 16, 16], [20, 8, 40, 16]]


def test_mosaic_puts_four_pictures_together() -> None:
    parts = [
        replace(
            made_sample([(0, 0, 30, 20)], (20, 30)), image=torch.full((3, 20, 30), value, dtype=torch.uint8)
        )
        for value in (10, 20, 30, 40)
    ]
    whole = mosaic(parts, (40, 50), (15, 20), [0.0, 0.3, 0.5, 1.0])
    assert [int(whole.image[0, y, x]) for y, x in ((0, 0), (0, 49), (39, 0), (39, 49))] == [10, 20, 30, 40]
    assert whole.boxes.tolist() == [[0, 0, 20, 15], [20, 0, 50, 15], [0, 15, 20, 40], [20, 15, 50, 40]]
    assert whole.masks is not None
    assert whole.masks.sum(dim=0).unique().tolist() == [1]


def test_without_chance_it_is_resize_and_normalise() -> None:
    sample = made_sample([(0, 0, 30, 20)], (32, 32))
    image, target = DetectionAugmentation(kind="single_scale", short_side=32, long_side=64, flip=0.0)(
        sample, 5
    )
    expected = Preprocessing(32)(Image.fromarray(sample.image.permute(1, 2, 0).numpy()))
    torch.testing.assert_close(image, expected)
    assert target.boxes.tolist() == [[0, 0, 30, 20]]


def test_sizes_are_those_of_the_official_recipe() -> None:
    sample = made_sample([(0, 0, 640, 480)], (480, 640))
    augmentation = DetectionAugmentation(kind="multi_scale")
    sizes = {tuple(augmentation(sample, seed)[0].shape[1:]) for seed in range(60)}
    assert {min(size) for size in sizes} <= set(range(480, 801, 32))
    whole = {size for size in sizes if abs(size[1] / size[0] - 4 / 3) < 0.01}
    assert (800, 1067) in whole or (480, 640) in whole
    assert len(sizes) > len(whole) > 3  # cropped pictures have other shapes
    assert max(max(size) for size in sizes) <= 1333


def test_draws_follow_from_the_seed() -> None:
    sample = made_sample([(3, 3, 30, 20), (8, 8, 40, 40)], (48, 64))
    augmentation = DetectionAugmentation(
        kind="multi_scale",
        short_side=64,
        long_side=96,
        photometric=0.5,
        turn=0.5,
        vertical_flip=0.5,
        mosaic=0.5,
    )
    others = [made_sample([(2, 2, 20, 20)], (40, 40), seed) for seed in range(5)]

    def other(draw: random.Random) -> DetectionSample:
        return others[draw.randrange(5)]

    before = torch.get_rng_state(), random.getstate()
    runs = [[augmentation(sample, seed, other) for seed in range(12)] for _ in range(2)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    for (left, a), (right, b) in zip(*runs, strict=True):
        assert torch.equal(left, right)
        assert torch.equal(a.boxes, b.boxes)
    assert len({tuple(image.shape) for image, _ in runs[0]}) > 3


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"kind": "mosaic"}, "must be one of single_scale"),
        ({"short_side": 0}, "short_side=0 must be 1 or more"),
        ({"short_side": 2000}, "at most long_side=1333"),
        ({"flip": 1.5}, "flip=1.5 is a probability"),
        ({"min_scale": 0.0}, r"min_scale=0.0 must lie in \(0, 1\]"),
        ({"jitter": (2.0, 1.0)}, "two scales above 0, the smaller first"),
    ],
)
def test_wrong_settings_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectionAugmentation(**settings_)  # type: ignore[arg-type]


def test_scale_range_draws_every_short_side_and_never_crops() -> None:
    sample = made_sample([(2, 2, 30, 20)], (40, 60))
    augmentation = DetectionAugmentation(
        kind="scale_range", short_side=48, min_scale=0.75, long_side=90, flip=0.0
    )
    found = [augmentation(sample, seed) for seed in range(200)]
    assert {min(image.shape[1:]) for image, _ in found} == set(range(36, 49))
    for image, target in found:
        scale = torch.tensor([image.shape[2] / 60, image.shape[1] / 40]).repeat(2)
        torch.testing.assert_close(target.boxes[0] / scale, torch.tensor([2.0, 2.0, 30.0, 20.0]))
