# SPDX-License-Identifier: MIT
"""Which data are packs and which are a user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist import choice
from intern25.training.generalist.choice import PACKS, choose_mixture, packs_of
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture
from tests.training.generalist import own_files


def chosen(data: object, *tasks: str) -> Mixture:
    config = GeneralistTrainConfig(data=str(data), tasks=tasks, image_size=64, evaluate_most=4)
    return choose_mixture(config, Tokenizer.packaged(), lambda _: None)


def names(mixture: Mixture) -> list[str]:
    return [part.task.name for part in mixture.parts]


def test_every_pack_that_a_builder_asks_for_is_known() -> None:
    folder = Path(choice.__file__).parent / "packs"
    text = "\n".join(path.read_text() for path in folder.glob("*.py"))
    asked = set(re.findall(r'packs\.path\("(\w+)"\)', text))
    asked |= set(re.findall(r'"classify_\w+",\s+"(\w+)",\s+\d', text))
    (listed,) = re.findall(r"for name in \(([^)]*)\):", text)
    asked |= set(re.findall(r'"(\w+)"', listed))
    assert len(asked) > 10
    assert asked <= PACKS


def test_kinds_of_own_data(tmp_path: Path) -> None:
    mine = own_files.captions(tmp_path / "my")
    assert packs_of(str(mine)) is None
    assert names(chosen(mine, "caption", "retrieval")) == ["caption", "retrieval"]
    assert names(chosen(f"caption={mine}")) == ["caption"]


def test_packs_keep_their_tasks(tmp_path: Path) -> None:
    own_files.classes(tmp_path / "packs" / "gtsrb32")
    assert names(chosen(tmp_path / "packs", "classify")) == ["classify_signs_de"]
    assert packs_of(str(tmp_path / "packs")) is not None
    # What data are for can always be said.
    assert names(chosen(f"classify={tmp_path / 'packs' / 'gtsrb32'}")) == ["classify"]


def test_pre_training_on_packs(tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    own_files.classes(packs / "caltech101_128")
    own_files.captions(packs / "flickr8k_1k")
    assert names(chosen(packs, "pretrain")) == ["pretrain", "pretrain_2"]
    assert names(chosen(packs, "pretrain", "classify")) == ["pretrain", "pretrain_2", "classify_objects"]
    other = tmp_path / "other"
    own_files.classes(other / "gtsrb32")
    with pytest.raises(ValueError, match="has no pack to pre-train on: caltech101_128"):
        chosen(other, "pretrain")


def test_neither_packs_nor_kinds(tmp_path: Path) -> None:
    mine = own_files.captions(tmp_path / "my")
    with pytest.raises(ValueError, match="there is no task 'paint'"):
        chosen(mine, "paint")
    with pytest.raises(ValueError, match="is not a folder"):
        chosen(tmp_path / "none")
