# SPDX-License-Identifier: MIT
"""A user's own data of every kind as tasks, held-out pictures, and what is refused."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.language import LanguageBatch, LanguageTask
from intern25.generalist.tasks.pretraining import CaptionedPairs, LabelledPictures, PretrainTask
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.writing import WritingTask
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.own.settings import OwnSettings
from intern25.training.generalist.own_data import KINDS, names_kinds, own_mixture, paths_of_kinds
from tests.generalist.small_model import small_generalist
from tests.training.generalist import own_files

SETTINGS = OwnSettings(tokenizer=Tokenizer.packaged(), image_size=64)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "classify": own_files.classes,
    "detect": own_files.boxes,
    "segment": own_files.masks,
    "retrieval": own_files.captions,
    "caption": own_files.captions,
    "vqa": own_files.questions,
    "read": own_files.words,
    "reason": own_files.statements,
    "language": own_files.texts,
    "pretrain": own_files.classes,
}


def test_there_is_a_test_for_every_kind() -> None:
    assert MAKERS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_learns_from_a_folder_and_from_a_zip(kind: str, tmp_path: Path) -> None:
    folder = MAKERS[kind](tmp_path / "my")
    (part,) = own_mixture(str(folder), (kind,), SETTINGS).parts
    assert part.task.name == kind
    assert len(part.task) == (8 if kind in ("classify", "pretrain") else 9)  # one of ten, of each class
    model = small_generalist().train()
    losses = part.task.losses(model, part.task.batch([0, 1, 2, 3], seed=1))
    torch.stack([loss.float() for loss in losses.values()]).sum().backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    reached = model.text_core.parameters() if kind == "language" else model.backbone.parameters()
    assert any(bool(p.grad.any()) for p in reached if p.grad is not None)
    figures = part.task.evaluate(small_generalist())
    assert all(isinstance(value, float) for value in figures.values())

    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    (zipped,) = own_mixture(str(tmp_path / "packed.zip"), (kind,), SETTINGS).parts
    again, first = zipped.task.batch([0, 1, 2, 3], seed=1), part.task.batch([0, 1, 2, 3], seed=1)
    assert torch.equal(again.images, first.images)
    if isinstance(again, LanguageBatch) and isinstance(first, LanguageBatch):
        assert torch.equal(again.targets, first.targets)


def names_of(source: Any) -> set[str]:
    return set(source.pictures.names)


def test_what_is_held_out_does_not_train_and_follows_the_seed(tmp_path: Path) -> None:
    folder = own_files.questions(tmp_path / "my", 20)

    def split(**changes: Any) -> tuple[set[str], set[str]]:
        settings = dataclasses.replace(SETTINGS, **changes)
        task = own_mixture(str(folder), ("vqa",), settings).parts[0].task
        assert isinstance(task, WritingTask)
        return names_of(task.train), names_of(task.val)

    train, val = split()
    assert not train & val
    assert len(train) == 18
    assert len(val) == 2
    assert split() == (train, val)
    assert split(seed=1)[1] != val
    assert len(split(validation_fraction=0.5)[1]) == 10


def test_a_validation_split_of_the_data_is_taken(tmp_path: Path) -> None:
    root = tmp_path / "my"
    own_files.captions(root / "train", 6)
    own_files.captions(root / "val", 4)
    (root / "train" / "captions.json").rename(root / "captions_train.json")
    (root / "val" / "captions.json").rename(root / "captions_val.json")
    task = own_mixture(str(root), ("retrieval",), SETTINGS).parts[0].task
    assert isinstance(task, RetrievalTask)
    assert len(task.train) == 6
    assert len(task.val) == 4


def test_texts_are_held_out_or_have_a_split_of_their_own(tmp_path: Path) -> None:
    folder = own_files.texts(tmp_path / "my", 20)
    task = own_mixture(str(folder), ("language",), SETTINGS).parts[0].task
    assert isinstance(task, LanguageTask)
    train, val = ({s[i].text for i in range(len(s))} for s in (task.train, task.val))
    assert (len(train), len(val)) == (18, 2)
    assert not train & val
    (folder / "texts_valid.txt").write_text("one more\n")
    task = own_mixture(str(folder), ("language",), SETTINGS).parts[0].task
    assert isinstance(task, LanguageTask)
    assert (len(task.train), [task.val[0].text]) == (20, ["one more"])
    (folder / "texts_valid.txt").unlink()
    (folder / "texts.txt").write_text("only one\n")
    with pytest.raises(ValueError, match="one line of text"):
        own_mixture(str(folder), ("language",), SETTINGS)


def test_one_folder_for_several_tasks_or_one_a_task(tmp_path: Path) -> None:
    both = own_files.captions(tmp_path / "both")
    for make in (own_files.questions, own_files.statements, own_files.words):
        make(both)
    mixture = own_mixture(str(both), ("vqa", "retrieval", "reason", "read"), SETTINGS)
    assert [part.task.name for part in mixture.parts] == ["vqa", "retrieval", "reason", "read"]
    assert mixture.shares == dict.fromkeys(("vqa", "retrieval", "reason", "read"), 0.25)
    asked, more = own_files.questions(tmp_path / "asked"), own_files.questions(tmp_path / "more")
    data = f"vqa={asked},retrieval={both}, vqa={more}"
    mixture = own_mixture(data, (), SETTINGS)
    assert [part.task.name for part in mixture.parts] == ["vqa", "retrieval", "vqa_2"]
    (part,) = own_mixture(data, ("retrieval",), SETTINGS).parts
    assert part.task.name == "retrieval"


def test_a_path_with_an_equals_sign_is_a_path() -> None:
    assert not names_kinds("runs/lr=3/data")
    assert names_kinds("vqa=a/")
    assert paths_of_kinds("x=1/data", ("vqa", "vqa")) == [("vqa", "x=1/data")]


def test_pre_training_takes_captions_where_there_are_some(tmp_path: Path) -> None:
    labelled = own_mixture(str(own_files.classes(tmp_path / "a")), ("pretrain",), SETTINGS).parts[0].task
    captioned = own_mixture(str(own_files.captions(tmp_path / "b")), ("pretrain",), SETTINGS).parts[0].task
    assert isinstance(labelled, PretrainTask)
    assert isinstance(captioned, PretrainTask)
    assert isinstance(labelled.pictures, LabelledPictures)
    assert isinstance(labelled.judge, ClassificationTask)
    assert isinstance(captioned.pictures, CaptionedPairs)
    assert isinstance(captioned.judge, RetrievalTask)


def damaged(folder: Path) -> None:
    """Bytes that are no picture, a row that is no object, and a picture that is not there."""
    (folder / "images" / "3.png").write_bytes(b"no picture")
    (folder / "images" / "5.png").unlink()
    with (folder / "questions.jsonl").open("a") as file:
        file.write("\n[1, 2]")


def test_bad_rows_are_shown_before_training(tmp_path: Path) -> None:
    folder = own_files.questions(tmp_path / "my", 12)
    damaged(folder)
    with pytest.raises(ValueError, match=r"2 defects.*--skip-bad") as caught:
        own_mixture(str(folder), ("vqa",), SETTINGS)
    assert "questions.jsonl, annotation 6: its picture 5.png is missing" in str(caught.value)
    assert "annotation 13: it is no JSON object: [1, 2]" in str(caught.value)
    told: list[str] = []
    settings = dataclasses.replace(SETTINGS, skip_bad=True, report=told.append)
    task = own_mixture(str(folder), ("vqa",), settings).parts[0].task
    assert isinstance(task, WritingTask)
    assert len(task.train) + len(task.val) == 10
    assert not {"images/3.png", "images/5.png"} & (names_of(task.train) | names_of(task.val))
    assert len(told) == 3
    assert any("3.png: it cannot be read" in row for row in told)


def test_unreadable_pictures_alone_are_refused_too(tmp_path: Path) -> None:
    for kind in ("classify", "caption", "detect", "segment"):
        folder = MAKERS[kind](tmp_path / kind)
        bad = next(path for path in sorted(folder.rglob("2.png")) if "masks" not in path.parts)
        bad.write_bytes(b"no picture")
        with pytest.raises(ValueError, match=r"2\.png.*|--skip-bad") as caught:
            own_mixture(str(folder), (kind,), SETTINGS)
        assert "--skip-bad" in str(caught.value)
        told: list[str] = []
        good = dataclasses.replace(SETTINGS, skip_bad=True, report=told.append)
        (part,) = own_mixture(str(folder), (kind,), good).parts
        assert len(told) == 1, kind
        assert len(part.task) < 10


def test_what_cannot_be_understood(tmp_path: Path) -> None:
    folder = own_files.captions(tmp_path / "my")
    with pytest.raises(ValueError, match=r"no kind of task 'paint'; the kinds are classify, detect"):
        own_mixture(str(folder), ("paint",), SETTINGS)
    with pytest.raises(ValueError, match=r"say what .*my is for with --tasks: classify"):
        own_mixture(str(folder), (), SETTINGS)
    with pytest.raises(ValueError, match="has no path for retrieval"):
        own_mixture(f"vqa={folder}", ("retrieval",), SETTINGS)
    with pytest.raises(ValueError, match="paint=x is no task with its path; write kind=path"):
        own_mixture(f"vqa={folder},paint=x", (), SETTINGS)
    with pytest.raises(ValueError, match="no questions in"):
        own_mixture(str(folder), ("vqa",), SETTINGS)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="has neither captions nor classes to pre-train on"):
        own_mixture(str(empty), ("pretrain",), SETTINGS)
