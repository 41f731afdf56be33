# SPDX-License-Identifier: MIT
"""What is scored never trains: pictures of the packs, and rendered scenes and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intern25.data.decoding import decode
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.stores import MemoryStore
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.kinds import KindSearchTask
from intern25.generalist.tasks.street_scenes import SceneThings
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.packs.settings import (
    TEST_SEED,
    VAL_SEED,
    HeldOut,
    PackSettings,
    held_out_part,
)
from intern25.training.generalist.packs.tiny import BUILDERS, tiny_mixture

RENDERED = ("read_rendered", "drive_scenes", "name_scenes", "caption_scenes", "retrieval_scenes",
            "detect_scenes", "segment_scenes", "refer_scenes")  # fmt: skip


def settings(held_out: HeldOut = "test", scenes: int = 6) -> PackSettings:
    return PackSettings(
        tokenizer=Tokenizer.packaged(),
        held_out=held_out,
        scenes=scenes,
        evaluate_most=6 if scenes < 100 else 0,
    )


def hashes(pictures: Any) -> list[str]:
    """Of the pixels of all pictures."""
    read: Callable[[int], Any]
    if hasattr(pictures, "labels"):
        read = partial(decode, pictures)
    else:
        read = pictures.pixels if isinstance(pictures, SceneThings) else pictures.image
    found = (np.asarray(read(index)) for index in range(len(pictures)))
    return [hashlib.sha1(picture.tobytes()).hexdigest() for picture in found]


def both_parts(folder: Path, name: str, held_out: HeldOut) -> Iterator[tuple[Any, Any]]:
    for part in tiny_mixture(folder, settings(held_out), tasks=(name,)).parts:
        task: Any = part.task.retrieval if isinstance(part.task, KindSearchTask) else part.task
        if isinstance(task, ClassificationTask):
            yield task.splits.train, task.splits.val
        elif hasattr(task.train, "sample"):
            yield task.train.scenes, task.val.scenes
        else:
            yield task.train, task.val


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in (*RENDERED, "reasoning")])
def test_pictures_that_are_scored_do_not_train(name: str, held_out: HeldOut, shared_root: Path) -> None:
    for train, val in both_parts(shared_root / "data", name, held_out):
        scored = hashes(val)
        assert scored
        assert not set(scored) & set(hashes(train))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("held_out", ["val", "test"])
def test_statements_that_are_scored_do_not_train(held_out: HeldOut, shared_root: Path) -> None:
    # There are so few ways to put three towers that some pictures come twice, under other statements.
    ((train, val),) = both_parts(shared_root / "data", "reasoning", held_out)
    said = [
        {(picture, part.questions(index, 0)[0].text) for index, picture in enumerate(hashes(part))}
        for part in (train, val)
    ]
    assert len(said[1]) > (200 if held_out == "val" else 5000)
    assert not said[0] & said[1]


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_pictures_that_are_scored_do_not_train(name: str, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    seen: list[set[str]] = []
    parts: tuple[HeldOut, ...] = ("val", "test")
    for held_out in parts:
        ((train, val),) = both_parts(tmp_path, name, held_out)
        if name == "refer_scenes":
            seen += [{str(part.scene(index)) for index in range(6)} for part in (train, val)]
        else:
            seen += [set(hashes(part)) for part in (train, val)]
    train, val, same, test = seen
    assert train == same
    assert len(val) == len(test) == 6
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize("seed", [VAL_SEED - 1, VAL_SEED, TEST_SEED])
def test_the_seeds_of_what_is_scored_do_not_train(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed={seed} is kept for what is scored"):
        PackSettings(tokenizer=Tokenizer.packaged(), seed=seed)


def numbered(count: int) -> AnnotatedPictures[int]:
    names = tuple(f"{index:03d}.png" for index in range(count))
    return AnnotatedPictures(names, tuple((index,) for index in range(count)), MemoryStore({}))


def test_a_held_out_part_and_the_rest_are_all_pictures_once() -> None:
    train, val = held_out_part(numbered(101), 4, 0.1)
    assert len(val) == 10
    assert sorted((*train.names, *val.names)) == sorted(numbered(101).names)
    assert held_out_part(numbered(101), 4, 0.1)[1].names == val.names
    assert held_out_part(numbered(101), 5, 0.1)[1].names != val.names
    assert [row[0] for row in val.records] == [int(name[:3]) for name in val.names]
    assert len(held_out_part(numbered(3), 0)[1]) == 1


def test_pictures_that_belong_together_are_held_out_together() -> None:
    train, val = held_out_part(numbered(60), 0, 0.2, group=lambda name: name[:2])
    assert len(val) == 10  # one of six tens
    assert len({name[:2] for name in val.names}) == 1
    assert not {name[:2] for name in train.names} & {name[:2] for name in val.names}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["classify_lights", "classify_signs_de"])
def test_test_pictures_are_for_the_end(name: str, shared_root: Path) -> None:
    ((train, val),) = both_parts(shared_root / "data", name, "val")
    ((same, test),) = both_parts(shared_root / "data", name, "test")
    assert train.names == same.names
    assert not set(val.names) & set(test.names)
    assert all("test/" in picture for picture in test.names)
    assert not any("test/" in picture for picture in val.names)
    assert len(val) == pytest.approx(0.05 * (len(train) + len(val)), rel=0.2)
