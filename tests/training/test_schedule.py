"""Learning rates of detection and segmentation, by the formulas of the official updaters."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.training.downstream import length_of, peak_lr
from intern25.training.downstream_config import DownstreamConfig
from intern25.training.schedule import FactorSchedule, RateCurve


def by_mmcv(curve: RateCurve, update: int) -> float:
    """Its hook: the regular rate, times a factor while it warms up."""
    if curve.kind == "step":
        regular = math.prod(0.1 for milestone in curve.milestones if update >= milestone)
    elif curve.kind == "poly":
        regular = (1 - update / curve.num_updates) ** curve.power
    else:
        regular = (1 + math.cos(math.pi * update / curve.num_updates)) / 2
    if update >= curve.warmup_updates:
        return regular
    k = (1 - update / curve.warmup_updates) * (1 - curve.warmup_ratio)
    return regular * (1 - k)


CURVES = [
    RateCurve(kind="step", num_updates=1200, warmup_updates=500, milestones=(800, 1100)),
    RateCurve(kind="step", num_updates=100, warmup_updates=50, milestones=(20,)),
    RateCurve(kind="step", num_updates=100),
    RateCurve(kind="poly", num_updates=1600, warmup_updates=150, warmup_ratio=1e-6),
    RateCurve(kind="poly", num_updates=160, power=0.9),
    RateCurve(kind="cosine", num_updates=300, warmup_updates=30),
]


@pytest.mark.parametrize("curve", CURVES)
def test_curves_are_those_of_mmcv(curve: RateCurve) -> None:
    for update in range(curve.num_updates):
        assert curve(update) == pytest.approx(by_mmcv(curve, update), rel=1e-12)


def test_official_detection_rates() -> None:
    curve = CURVES[0]
    assert [curve(update) for update in (0, 250, 500, 799, 800, 1100)] == pytest.approx(
        [1e-3, 0.5005, 1.0, 1.0, 0.1, 0.01]
    )


def test_groups_keep_their_proportions() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.25)]
    optimizer = torch.optim.SGD(groups)
    schedule = FactorSchedule(optimizer, CURVES[3])
    # Backwards: a resumed run may ask for any update first.
    for update in (1599, 700, 0):
        schedule.set(update)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([CURVES[3](update), CURVES[3](update) / 4])


def test_length_and_peak() -> None:
    by_epochs = length_of(DownstreamConfig(epochs=12), 7)
    assert (by_epochs.num_updates, by_epochs.epochs) == (84, 12)
    by_updates = length_of(DownstreamConfig(epochs=12, updates=15), 7)
    assert (by_updates.num_updates, by_updates.epochs, by_updates.updates_per_epoch) == (15, 3, 7)
    assert peak_lr(DownstreamConfig(base_lr=1e-4), 64) == pytest.approx(4e-4)


def test_a_loaded_checkpoint_does_not_cut_the_schedule_off() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = FactorSchedule(optimizer, CURVES[3])
    optimizer.load_state_dict(optimizer.state_dict())  # makes new groups
    schedule.set(800)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2.0 * CURVES[3](800))
