# SPDX-License-Identifier: MIT
"""The order of tasks keeps to the shares at all times, and is the same for whoever asks, whenever."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.training.task_schedule import TaskSchedule, normalised_shares, shares_from_time

SHARES = {"detect": 0.4, "caption": 0.3, "ask": 0.2, "read": 0.08, "reason": 0.02}
many_shares = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12).map(
    lambda values: {f"task{i}": value for i, value in enumerate(values)}
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(many_shares, st.integers(0, 2**40))
def test_counts_never_leave_the_shares(shares: dict[str, float], seed: int) -> None:
    schedule = TaskSchedule(shares, seed=seed)
    done = dict.fromkeys(shares, 0)
    for update in range(700):
        done[schedule.task(update)] += 1
        for name, share in schedule.shares.items():
            bound = 1 + share * max(len(shares) - 2, 0)
            assert abs(done[name] - share * (update + 1)) < bound + 1e-9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(many_shares, st.integers(0, 2**40))
def test_a_task_waits_for_about_its_interval(shares: dict[str, float], seed: int) -> None:
    schedule = TaskSchedule(shares, seed=seed)
    for name, share in schedule.shares.items():
        places = [update for update in range(900) if schedule.task(update) == name]
        gaps = [after - before for before, after in pairwise(places)]
        # Two intervals of time, and updates run ahead of or behind time by fewer than one a task.
        assert max(gaps, default=0) <= 2 / share + 2 * len(shares)


def test_the_order_is_random_within_the_shares() -> None:
    schedule = TaskSchedule({"a": 1, "b": 1}, seed=3)
    order = "".join(schedule.task(update) for update in range(4000))
    # Strict alternation would be neither: every pair of neighbours occurs, unequal ones more often.
    pairs = {pair: sum(order[i : i + 2] == pair for i in range(3999)) for pair in ("aa", "ab", "ba", "bb")}
    assert min(pairs.values()) > 300
    assert pairs["ab"] + pairs["ba"] > 2200


def test_positions_count_the_earlier_updates_of_a_task() -> None:
    schedule = TaskSchedule(SHARES, seed=11)
    done = dict.fromkeys(SHARES, 0)
    for update in range(3000):
        task, before = schedule.position(update)
        assert before == done[task]
        done[task] += 1
    assert schedule.counts(3000) == done
    assert schedule.counts(0) == dict.fromkeys(sorted(SHARES), 0)


def test_any_update_can_be_asked_first() -> None:
    forward = TaskSchedule(SHARES, seed=5)
    expected = [forward.position(update) for update in range(5000)]
    for start in (4999, 1023, 1024, 2500):
        resumed = TaskSchedule(dict(reversed(SHARES.items())), seed=5)
        assert [resumed.position(update) for update in range(start, 5000)] == expected[start:]
        assert resumed.position(0) == expected[0]


def test_other_seeds_give_other_orders() -> None:
    orders = {
        tuple(TaskSchedule(SHARES, seed=seed).task(update) for update in range(50)) for seed in range(20)
    }
    assert len(orders) == 20
    assert len({order[0] for order in orders}) > 2


def test_one_task_has_every_update() -> None:
    assert TaskSchedule({"detect": 2.0, "off": 0.0}, seed=0).counts(77) == {"detect": 77}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(many_shares, st.data())
def test_time_goes_to_the_tasks_as_asked(times: dict[str, float], data: st.DataObject) -> None:
    seconds = {task: data.draw(st.floats(0.01, 10.0)) for task in times}
    shares = shares_from_time(times, seconds)
    assert math.fsum(shares.values()) == pytest.approx(1.0)
    spent = {task: shares[task] * seconds[task] for task in times}
    for task, time in times.items():
        assert spent[task] / sum(spent.values()) == pytest.approx(time / sum(times.values()))


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"a": -0.1, "b": 1.1}, "task 'a' is -0.1"),
        ({"a": 1.0, "b": math.nan}, "task 'b' is nan"),
        ({"a": math.inf}, "task 'a' is inf"),
        ({"a": 0.0, "b": 0.0}, "have the sum 0.0"),
        ({}, "have the sum 0"),
    ],
)
def test_bad_shares_are_refused(shares: dict[str, float], message: str) -> None:
    for function in (normalised_shares, lambda s: TaskSchedule(s, seed=0), lambda s: shares_from_time(s, s)):
        with pytest.raises(ValueError, match=message):
            function(shares)  # type: ignore[operator]


@pytest.mark.parametrize("seconds", [{}, {"a": 0.0}, {"a": -1.0}, {"a": math.nan}, {"a": math.inf}])
def test_durations_are_needed(seconds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="an update of task 'a' takes"):
        shares_from_time({"a": 1.0}, seconds)


def test_negative_updates_are_refused() -> None:
    with pytest.raises(ValueError, match="update=-1"):
        TaskSchedule({"a": 1}, seed=0).position(-1)
