# SPDX-License-Identifier: MIT
"""Things of scenes by their full names, and a model that learns them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from intern25.data.class_names import ClassNames
from intern25.data.picture_views import PictureView
from intern25.data.scenes.dataset import StreetScenes
from intern25.data.scenes.naming import FULL_NAMES
from intern25.generalist.tasks.naming import NamingTask
from intern25.generalist.tasks.street_scenes import SceneThings
from tests.generalist.small_model import small_generalist
from tests.generalist.tasks.made_tasks import COLOURS, TOKENIZER, Squares

VIEW = PictureView(size=(32, 32))
SCENES = StreetScenes(120, seed=7)


class SquareParts:
    """Both squares of each picture, none of every third."""

    def __init__(self, count: int, *, bare: bool = False) -> None:
        self.squares, self.bare = Squares(count), bare

    @property
    def classes(self) -> ClassNames:
        return COLOURS

    def __len__(self) -> int:
        return len(self.squares)

    def parts(self, index: int, seed: int) -> Sequence[tuple[NDArray[np.uint8], int]]:
        pixels = self.squares.pixels(index)
        found = zip(self.squares.boxes(index), self.squares.colours(index), strict=True)
        parts = [(pixels[y0:y1, x0:x1], colour) for (x0, y0, x1, y1), colour in found]
        return [] if self.bare or index % 3 == 2 else parts


def naming(train: SquareParts, val: SquareParts) -> NamingTask:
    return NamingTask("name", train, val, TOKENIZER, view=VIEW)


def test_a_batch_has_all_windows_of_its_pictures() -> None:
    batch = naming(SquareParts(6), SquareParts(3)).batch([0, 1, 2], seed=1)
    assert batch.targets.tolist() == [0, 1, 1, 2]
    middle = batch.images[:, :, 16, 16]
    assert middle.argmax(dim=1).tolist() == [0, 1, 1, 2]


def test_pictures_without_windows_are_passed_over() -> None:
    task = naming(SquareParts(6), SquareParts(3))
    assert task.batch([2, 5], seed=1).targets.tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="no picture of the task name has a part with a name"):
        naming(SquareParts(3, bare=True), SquareParts(3)).batch([0], seed=1)


def test_pictures_without_windows_score_nothing() -> None:
    task = naming(SquareParts(6), SquareParts(2, bare=True))
    assert task.evaluate(small_generalist().eval()) == {"top1_en": 0.0, "top1_zh": 0.0}
    assert task.trivial() == {"top1_en": 0.0, "top1_zh": 0.0}


def test_names_of_squares_are_learnt() -> None:
    torch.manual_seed(0)
    task, model = naming(SquareParts(12), SquareParts(6)), small_generalist().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for update in range(25):
        loss = task.losses(
            model, task.batch([update % 12, (update + 4) % 12, (update + 7) % 12], seed=update)
        )
        loss["classification"].backward()
        optimizer.step()
        optimizer.zero_grad()
    figures = task.evaluate(model.eval())
    assert figures["top1_en"] > task.trivial()["top1_en"] + 0.2
    # Of the 8 windows of training pictures 0 and 1 modulo 3, as many of those held out, half show colour 1.
    assert task.trivial() == {"top1_en": 0.5, "top1_zh": 0.5}


def test_windows_of_scenes_hold_the_thing_they_are_named_after() -> None:
    things = SceneThings(SCENES, count=4)
    red, green, checked = FULL_NAMES.en.index("red light"), FULL_NAMES.en.index("green light"), 0
    for index in range(len(SCENES)):
        parts = things.parts(index, seed=3)
        assert len(parts) <= 4
        kinds = ["light" in FULL_NAMES.en[label] or "sign" in FULL_NAMES.en[label] for _, label in parts]
        assert kinds == sorted(kinds, reverse=True)
        for pixels, label in parts:
            assert pixels.shape[0] == pixels.shape[1] >= 48
            if label in (red, green):
                bright = pixels.astype(int)
                redder, greener = bright[..., 0] - bright[..., 1], bright[..., 1] - bright[..., 0]
                shown = redder if label == red else greener
                assert shown.max() > 60
                checked += 1
    assert checked > 3


def test_every_full_name_is_another() -> None:
    assert len(set(FULL_NAMES.en)) == len(set(FULL_NAMES.zh)) == len(FULL_NAMES)
    pairs = dict(zip(FULL_NAMES.en, FULL_NAMES.zh, strict=True))
    assert pairs["speed limit 60 sign"] == "限速60标志"
    assert pairs["red left arrow light"] == "左转红灯"
    assert pairs["person in white"] == "穿白色衣服的人"
