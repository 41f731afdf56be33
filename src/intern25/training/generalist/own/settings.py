# SPDX-License-Identifier: MIT
"""What the builders of all kinds share: settings, splits, and the check of every row and picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from intern25.data.holding_out import hold_out
from intern25.data.multimodal.checking import without_defects
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.trees import SplitMissingError
from intern25.generalist.m3i import Dense
from intern25.generalist.tokenizer import Tokenizer

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OwnSettings:
    """What all tasks of a user's data share."""

    tokenizer: Tokenizer
    """Turns text into tokens."""
    seed: int = 0
    """Seed of what is held out."""
    evaluate_most: int = 0
    """Most held-out pictures of a task; 0 = all."""
    validation_fraction: float = 0.1
    """Share held out where the data have no validation split."""
    image_size: int = 0
    """Side of the pictures, a multiple of 32; 0 = each task's own. Lines to read keep their own size."""
    skip_bad: bool = False
    """Leave bad rows and pictures out instead of raising."""
    dense: Dense = "infonce"
    """Loss of features in pre-training."""
    report: Callable[[str], None] = lambda _: None
    """Is told what was left out."""

    def tell(self, rows: Sequence[object]) -> None:
        """Report what was left out, row by row."""
        for row in rows:
            self.report(f"left out: {row}")

    def side(self, own: int) -> int:
        """Side of the pictures of a task whose own is ``own``."""
        return self.image_size or own

    def square(self, own: int) -> tuple[int, int]:
        """(height, width) of a task whose own side is ``own``."""
        return (self.side(own), self.side(own))


def splits_of(
    read: Callable[[str], AnnotatedPictures[T]], settings: OwnSettings
) -> tuple[AnnotatedPictures[T], AnnotatedPictures[T]]:
    """Training and validation pictures; the latter held out by the seed where there is no split for them.

    Args:
        read: From the name of a split to its pictures.
        settings: What all tasks share.

    Raises:
        ValueError: There are no training pictures, or bad ones.
    """
    train = read("train")
    for split in ("val", "test"):
        try:
            val = read(split)
        except SplitMissingError:
            continue
        # A file that names no split is read for each of them.
        if not set(val.names) & set(train.names):
            return _usable(train, settings), _usable(val, settings)
    good = _usable(train, settings)
    kept, held_out = hold_out(len(good), settings.validation_fraction, settings.seed)
    return good.select(kept), good.select(held_out)


def _usable(pictures: AnnotatedPictures[T], settings: OwnSettings) -> AnnotatedPictures[T]:
    good, defects = without_defects(pictures, skip_bad=settings.skip_bad)
    settings.tell(defects)
    return good
