# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.loader import MixtureBatches, passing_index
from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.run_config import RunConfig
from intern25.training.task_schedule import TaskSchedule


@dataclass
class Recorder:
    """A task that gives back what it was asked for."""

    name: str
    number: int

    def __len__(self) -> int:
        return self.number

    def batch(self, indices: list[int], seed: int) -> tuple[str, list[int], int]:
        return self.name, indices, seed


def mixture(**numbers: int) -> Mixture:
    parts = (MixturePart(task=Recorder(k, n), batch_size=4, share=1.0) for k, n in numbers.items())
    return Mixture(tuple(parts))  # type: ignore[arg-type]


def test_every_pass_shows_each_picture_once_in_another_order() -> None:
    passes = [[passing_index(11, 11 * turn + place, 5) for place in range(11)] for turn in range(3)]
    assert all(sorted(seen) == list(range(11)) for seen in passes)
    assert len({tuple(seen) for seen in passes}) == 3


def test_batches_follow_from_the_update_alone_and_processes_share_a_pass() -> None:
    both = mixture(a=8, b=12)
    schedule = TaskSchedule(both.shares, seed=1)
    alone = MixtureBatches(both, schedule, seed=7)
    assert alone[13] == MixtureBatches(both, TaskSchedule(both.shares, seed=1), seed=7)[13]
    halves = [MixtureBatches(both, schedule, seed=7, rank=rank, processes=2) for rank in (0, 1)]
    seen: Counter[int] = Counter()
    for update in range(200):
        batches = [half[update] for half in halves]
        assert batches[0][0] == batches[1][0], "one task an update"
        assert batches[0][2] != batches[1][2], "other draws in each process"
        if batches[0][0] == "a" and schedule.position(update).before == 0:
            seen.update([*batches[0][1], *batches[1][1]])
    assert seen == Counter(range(8)), "two processes of four pictures are one pass over eight"


def test_shares_and_selection() -> None:
    three = mixture(detect_a=3, detect_b=3, read=3)
    assert sum(three.shares.values()) == pytest.approx(1)
    assert [part.task.name for part in three.select(("detect",)).parts] == ["detect_a", "detect_b"]
    assert three.select(()) is three
    with pytest.raises(ValueError, match="no task 'speak'; they give detect_a, detect_b, read"):
        three.select(("speak",))


def test_mixtures_that_cannot_train() -> None:
    part = mixture(a=3).parts[0]
    for parts, message in (((), "there is no task to train"), ((part, part), "two tasks are called a")):
        with pytest.raises(ValueError, match=message):
            Mixture(parts)
    with pytest.raises(ValueError, match="the task b has no pictures"):
        mixture(b=0)


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ({"epochs": 5}, "epochs=5 changes nothing in this kind of training: its length is updates"),
        ({"batch_size": 8}, "batch_scale"),
        ({"layer_decay": 0.9}, "backbone_lr_mul"),
        ({"drop_path": 0.1}, "stochastic depth"),
        ({"eval_every": 2}, "eval_updates"),
        ({"sync_batch_norm": False}, "no batch norm"),
    ],
)
def test_settings_that_would_change_nothing_are_refused(change: dict[str, object], instead: str) -> None:
    with pytest.raises(ValueError, match="changes nothing") as caught:
        GeneralistTrainConfig(**change)  # type: ignore[arg-type]
    assert instead in str(caught.value)
    assert set(change) <= GeneralistTrainConfig.UNUSED.keys()
    RunConfig(**change)  # type: ignore[arg-type] # other kinds of training have a use for it


def test_settings_survive_json_and_bad_ones_are_refused() -> None:
    config = GeneralistTrainConfig(data="packs", tasks=("detect", "read"))
    assert GeneralistTrainConfig.from_json(config.to_json()) == config
    for change, message in (({"updates": 0}, "updates=0"), ({"batch_scale": 0.0}, "batch_scale=0.0")):
        with pytest.raises(ValueError, match=message):
            GeneralistTrainConfig(**change)  # type: ignore[arg-type]
