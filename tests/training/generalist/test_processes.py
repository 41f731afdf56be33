# SPDX-License-Identifier: MIT
"""Two processes, a kill, accumulated batches: the tasks stay in step and the numbers the same."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from intern25.data.seeding import derive_seed
from intern25.generalist.files import load_generalist
from intern25.generalist.tasks.batch import TaskBatch
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.loader import MixtureBatches
from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.generalist.run import MultiTaskModel, train_generalist
from intern25.training.task_schedule import TaskSchedule
from tests.small_generalist import save_small_generalist
from tests.training.conftest import finish, launch
from tests.training.generalist.run_generalist import made_mixture
from tests.training.test_resume import log_of, wait_for_update

SCRIPT = Path(__file__).with_name("run_generalist.py")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_generalist(tmp_path_factory.mktemp("start") / "start.safetensors")


@pytest.fixture
def config(start: Path, tmp_path: Path) -> GeneralistTrainConfig:
    return GeneralistTrainConfig(
        pretrained=str(start),
        output=str(tmp_path / "run"),
        updates=8,
        warmup_updates=2,
        eval_updates=100,
        log_every=1,
        save_every_minutes=0.0,
        evaluate_most=2,
        precision="bf16",
        workers=0,
        tensorboard=False,
        device="cpu",
    )


def schedule(config: GeneralistTrainConfig) -> TaskSchedule:
    return TaskSchedule(made_mixture().shares, seed=derive_seed(config.seed, 5))


def tasks_of(config: GeneralistTrainConfig, rank: int) -> list[str]:
    return Path(config.output).with_suffix(f".{rank}.tasks").read_text().split()


def test_two_processes_train_one_task_at_a_time(config: GeneralistTrainConfig) -> None:
    finish(launch(config, 2, script=SCRIPT))
    expected = [schedule(config).task(update) for update in range(8)]
    assert len(set(expected)) == 4
    assert tasks_of(config, 0) == tasks_of(config, 1) == expected
    for line, task in zip(log_of(config.output), expected, strict=True):
        assert {name.split(".")[0] for name in line if "." in name} == {task}
        parts = [value for name, value in line.items() if "." in name]
        assert line["loss"] == pytest.approx(sum(parts), rel=1e-5)
    load_generalist(Path(config.output) / "best.safetensors")


def test_a_killed_run_goes_on_as_if_nothing_had_been(config: GeneralistTrainConfig, tmp_path: Path) -> None:
    whole = replace(config, output=str(tmp_path / "whole"), save_every_minutes=60.0)
    train_generalist(whole, made_mixture())
    (process,) = launch(config, script=SCRIPT)
    wait_for_update(process, config.output, 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert train_generalist(config, made_mixture()).finished
    losses = [[line["loss"] for line in log_of(run.output)] for run in (whole, config)]
    assert len(losses[0]) == 8
    assert losses[0] == losses[1]
    tensors = [load_file(Path(run.output) / "final.safetensors") for run in (whole, config)]
    assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())


def test_the_batches_of_an_update_belong_to_one_task_and_share_its_pass() -> None:
    mixture = made_mixture()
    order = TaskSchedule(mixture.shares, seed=3)
    indices: dict[str, list[int]] = {part.task.name: [] for part in mixture.parts}

    class Seen:
        def __init__(self, name: str) -> None:
            self.name = name

        def __len__(self) -> int:
            return 8

        def batch(self, chosen: list[int], seed: int) -> str:
            indices[self.name].extend(chosen)
            return self.name

    seen = Mixture(tuple(MixturePart(task=Seen(name), batch_size=2, share=1.0) for name in indices))  # type: ignore[arg-type]
    halves = [
        MixtureBatches(seen, order, seed=0, rank=rank, processes=2, accumulation=2) for rank in range(2)
    ]
    for update in range(4 * 4):
        names = {str(half[2 * update + share]) for half in halves for share in range(2)}
        assert names == {order.task(update)}
    for chosen in indices.values():
        # Two processes, two batches each, two pictures: an update is a pass over eight pictures.
        passes = [sorted(chosen[place : place + 8]) for place in range(0, len(chosen), 8)]
        assert passes
        assert all(turn == list(range(8)) for turn in passes)


def test_an_update_of_several_batches_ends_where_it_should(config: GeneralistTrainConfig) -> None:
    result = train_generalist(replace(config, accumulation=2, updates=5), made_mixture())
    assert result.finished
    assert [line["update"] for line in log_of(config.output)] == [1, 2, 3, 4, 5]


def test_batch_scale_scales_every_task() -> None:
    mixture = made_mixture()
    assert [part.batch_size for part in mixture.scaled(2.5).parts] == [5] * 4
    assert [part.batch_size for part in mixture.scaled(0.1).parts] == [1] * 4
    assert mixture.scaled(2.5).shares == mixture.shares


def test_batch_scale_reaches_the_run(config: GeneralistTrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    forward = MultiTaskModel.forward

    def noted(self: MultiTaskModel, batch: TaskBatch) -> dict[str, Tensor]:
        sizes.append(len(batch.images))
        return forward(self, batch)

    monkeypatch.setattr(MultiTaskModel, "forward", noted)
    train_generalist(replace(config, updates=2, batch_scale=1.5), made_mixture())
    assert sizes == [3, 3]


@pytest.mark.parametrize(("batch_size", "share"), [(0, 1.0), (2, 0.0), (2, -1.0), (2, float("nan"))])
def test_parts_that_cannot_train(batch_size: int, share: float) -> None:
    with pytest.raises(ValueError, match=r"the task classify has batch_size=.*above 0"):
        MixturePart(task=made_mixture().parts[0].task, batch_size=batch_size, share=share)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "intern25_micro", "pretrained": ""}, "unknown generalist 'intern25_micro'; choose one of"),
        (
            {"model": "intern25_small", "pretrained": ""},
            "pretrained_backbone='internimage_nano_caltech101' is no image encoder of this architecture",
        ),
        ({"tasks": ("speak",)}, "the data give no task 'speak'"),
        ({"pretrained": "nothing.safetensors"}, "no such weight file"),
    ],
)
def test_runs_that_cannot_start_write_nothing(
    config: GeneralistTrainConfig, changes: dict[str, object], message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_generalist(replace(config, **changes), made_mixture())  # type: ignore[arg-type]
    assert not Path(config.output).exists()
