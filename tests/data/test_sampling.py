"""Epochs with rare classes shown more often: as the formulas say, the same after resuming and in parts."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.data.loader import TrainingOrder, times_before
from intern25.data.sampling import (
    ClassAwareSampling,
    RepeatFactorSampling,
    Sampling,
    image_counts,
    repeat_factors,
)

Labels = list[np.ndarray]
CLASSES = 6


@st.composite
def labelled(draw: st.DrawFn) -> Labels:
    """Some images, each with a set of classes; at least one has one."""
    sets = draw(st.lists(st.sets(st.integers(0, CLASSES - 1)), min_size=1, max_size=20))
    sets[0] = sets[0] or {0}
    return [np.array(sorted(present), dtype=np.int64) for present in sets]


def long_tail(images: int = 97) -> Labels:
    """Class c is in about every third as many images as the one before; class 0 in all."""
    return [np.array([c for c in range(CLASSES) if i % 3**c == 0], dtype=np.int64) for i in range(images)]


def scalar_factor(labels: Labels, image: int, threshold: float) -> float:
    factor = 1.0
    for label in labels[image].tolist():
        share = sum(label in present.tolist() for present in labels) / len(labels)
        factor = max(factor, math.sqrt(threshold / share))
    return factor


@given(labelled(), st.floats(0, 1))
def test_repeat_factors_by_hand(labels: Labels, threshold: float) -> None:
    expected = [scalar_factor(labels, image, threshold) for image in range(len(labels))]
    np.testing.assert_allclose(repeat_factors(labels, CLASSES, threshold), expected, rtol=1e-12)


def test_images_of_each_class_are_counted() -> None:
    labels = [np.array([0, 2]), np.array([2]), np.array([], dtype=np.int64)]
    assert image_counts(labels, 4).tolist() == [1, 0, 2, 0]


@given(labelled(), st.integers(0, 100))
def test_each_image_comes_as_often_as_its_factor_rounded_up(labels: Labels, seed: int) -> None:
    sampling = RepeatFactorSampling(repeat_factors(labels, CLASSES, 0.5))
    drawn = sampling.draw(np.random.default_rng(seed))
    expected = [math.ceil(scalar_factor(labels, image, 0.5)) for image in range(len(labels))]
    assert np.bincount(drawn, minlength=len(labels)).tolist() == expected
    assert len(drawn) == len(sampling)


def test_nothing_is_repeated_where_no_class_is_rare() -> None:
    labels = long_tail()
    assert (repeat_factors(labels, CLASSES, 0.0) == 1).all()
    assert len(RepeatFactorSampling(repeat_factors(labels, CLASSES, 1e-3))) == len(labels)


@given(labelled(), st.integers(0, 100))
def test_classes_take_turns(labels: Labels, seed: int) -> None:
    sampling = ClassAwareSampling(labels)
    assert [group.tolist() for group in sampling.images_of_class] == [
        [image for image, present in enumerate(labels) if label in present]
        for label in range(CLASSES)
        if any(label in present for present in labels)
    ]
    drawn = sampling.draw(np.random.default_rng(seed))
    assert len(drawn) == len(sampling) == len(labels)
    # Only an image with a class can be drawn.
    assert all(len(labels[image]) for image in drawn)


def test_every_class_is_drawn_equally_often() -> None:
    # One class an image: what is drawn says for which class.
    labels = [np.array([0])] * 80 + [np.array([1])] * 15 + [np.array([2])] * 5
    drawn = ClassAwareSampling(labels).draw(np.random.default_rng(3))
    groups = [drawn[drawn < 80], drawn[(drawn >= 80) & (drawn < 95)], drawn[drawn >= 95]]
    assert sorted(map(len, groups)) == [33, 33, 34]
    # Images of a class come equally often, or once more.
    assert np.bincount(groups[0], minlength=80).max() == 1
    for group, start, number in ((groups[1], 80, 15), (groups[2], 95, 5)):
        times = np.bincount(group - start, minlength=number)
        assert times.max() - times.min() <= 1


SAMPLINGS = {
    "repeat_factor": RepeatFactorSampling(repeat_factors(long_tail(), CLASSES, 0.5)),
    "class_aware": ClassAwareSampling(long_tail()),
}


def order_of(sampling: Sampling, **settings: int) -> TrainingOrder:
    base = TrainingOrder(num_images=97, batch_size=4, epochs=3, seed=11, sampling=sampling)
    return replace(base, **settings)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_a_resumed_order_is_the_rest_of_it(sampling: Sampling) -> None:
    order = order_of(sampling)
    assert order.updates_per_epoch == len(sampling) // 4
    batches = list(order.micro_batches(0))
    assert len(batches) == order.num_updates
    first = order.updates_per_epoch + 5  # in the middle of the second epoch
    assert list(order.micro_batches(first)) == batches[first:]
    assert list(order_of(sampling, seed=12).micro_batches(0)) != batches


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_two_processes_share_the_batches(sampling: Sampling) -> None:
    whole = list(order_of(sampling, batch_size=8).micro_batches(2))
    parts = [list(order_of(sampling, processes=2, rank=rank).micro_batches(2)) for rank in range(2)]
    assert [list(chain(*both)) for both in zip(*parts, strict=True)] == whole


def test_each_repeat_of_an_image_has_its_own_augmentation() -> None:
    order = order_of(SAMPLINGS["repeat_factor"])
    keys = [key for batch in list(order.micro_batches(0))[: order.updates_per_epoch] for key in batch]
    assert len(keys) > len({key.index for key in keys})
    assert len({key.seed for key in keys}) == len(keys)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_times_before_by_hand(order: list[int]) -> None:
    expected = [order[:place].count(value) for place, value in enumerate(order)]
    assert times_before(np.array(order, dtype=np.int64)).tolist() == expected
