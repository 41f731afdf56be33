# SPDX-License-Identifier: MIT
"""Runs on made-up pictures: two tasks share a small generalist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from intern25.data.class_names import ClassNames
from intern25.data.labelled import LabelledImages, Splits
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Question
from intern25.data.picture_views import PictureView
from intern25.data.seeding import derive_seed
from intern25.data.stores import MemoryStore
from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.metrics import answer_accuracy
from intern25.generalist.tasks.questions import AskedPictures
from intern25.generalist.tasks.writing import WritingTask
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.generalist.run import GeneralistResult, train_generalist
from intern25.training.task_schedule import TaskSchedule
from tests.generalist.small_model import small_generalist

COLORS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def made_mixture() -> Mixture:
    tokenizer = Tokenizer.packaged()
    generator = np.random.default_rng(0)
    names = tuple(f"{color}{i}" for i in range(8) for color in COLORS)
    pixels = {
        name: np.clip(np.array(COLORS[name[:-1]]) + generator.integers(-20, 20, (32, 32, 3)), 0, 255).astype(
            np.uint8
        )
        for name in names
    }
    store = MemoryStore(pixels)
    images = LabelledImages(names, tuple(i % 2 for i in range(16)), tuple(COLORS), store)
    asked = tuple(
        (Question(text="what color", answers=(name[:-1],), language="en", kind="colour"),) for name in names
    )
    source = AskedPictures(AnnotatedPictures(names, asked, store))
    view = PictureView(size=(32, 32))
    classes = ClassNames(en=tuple(COLORS), zh=("红色", "蓝色"))
    classify = ClassificationTask("classify", Splits(images, images), classes, tokenizer, view=view)
    ask = WritingTask(
        "ask", source, source, tokenizer, view=view, metric=answer_accuracy, max_length=4,
        candidates=tuple(COLORS),
    )  # fmt: skip
    return Mixture(tuple(MixturePart(task=task, batch_size=8, share=1.0) for task in (classify, ask)))


def config(tmp_path: Path, name: str, **changes: object) -> GeneralistTrainConfig:
    start = tmp_path / "start.safetensors"
    if not start.exists():
        save_generalist(start, small_generalist())
    settings: dict[str, object] = {
        "pretrained": str(start), "output": str(tmp_path / name), "updates": 60, "base_lr": 1e-3,
        "warmup_updates": 5, "eval_updates": 60, "log_every": 5, "workers": 0, "tensorboard": False,
        "device": "cpu", **changes,
    }  # fmt: skip
    return GeneralistTrainConfig(**settings)  # type: ignore[arg-type]


def log_of(result: GeneralistResult) -> Sequence[dict[str, float]]:
    lines = (result.output / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_two_tasks_are_learnt_with_one_set_of_weights(tmp_path: Path) -> None:
    result = train_generalist(config(tmp_path, "run", ema_decay=0.0), made_mixture())
    assert result.finished
    first, last = log_of(result)[0], log_of(result)[-2]
    for name in ("classify.classification", "ask.next_token", "ask.answer"):
        assert last[name] < first[name]
    assert result.metrics["classify.top1_en"] == result.metrics["classify.top1_zh"] == 1.0
    assert result.metrics["ask.accuracy"] == 1.0
    loaded = load_generalist(result.output / "final.safetensors")
    task = made_mixture().parts[1].task
    assert task.evaluate(loaded.model)["accuracy"] == 1.0


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_generalist(config(tmp_path, "whole", updates=12, eval_updates=12), made_mixture())
    tasks: list[str | None] = []
    from intern25.training.task_balance import TaskBalancedAdamW

    original = TaskBalancedAdamW.step

    def step(self: TaskBalancedAdamW, *arguments: Any, **named: Any) -> Any:
        tasks.append(self.task)
        return original(self, *arguments, **named)

    monkeypatch.setattr(TaskBalancedAdamW, "step", step)
    cut = config(tmp_path, "cut", updates=12, eval_updates=12, max_seconds=1e-6)
    updates = []
    for _ in range(12):  # each start does one update and stops
        updates.append(train_generalist(cut, made_mixture()).updates)
    assert updates == list(range(1, 13))
    # None: torch makes the states of a resumed optimizer by a step without a rate.
    schedule = TaskSchedule(made_mixture().shares, seed=derive_seed(cut.seed, 5))
    assert [task for task in tasks if task is not None] == [schedule.task(update) for update in range(12)]
    ours, theirs = (
        load_generalist(folder / "final.safetensors").model.state_dict()
        for folder in (whole.output, tmp_path / "cut")
    )
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
