# SPDX-License-Identifier: MIT
"""Plain text of a user."""

from __future__ import annotations

from intern25.data.holding_out import hold_out
from intern25.data.multimodal.texts import StoredTexts, read_texts
from intern25.data.trees import SplitMissingError
from intern25.generalist.tasks.language import LanguageTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.own.settings import OwnSettings


def language(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Text to go on with."""
    train, val = text_splits(path, settings)
    task = LanguageTask(name, train, val, settings.tokenizer, evaluate_most=settings.evaluate_most)
    return MixturePart(task=task, batch_size=32, share=1.0)


def text_splits(path: str, settings: OwnSettings) -> tuple[StoredTexts, StoredTexts]:
    """Training and validation texts; the latter held out by the seed where there is no split for them.

    Raises:
        ValueError: There is no text, only one line, or bad ones.
    """
    train = _told(read_texts(path, skip_bad=settings.skip_bad), settings)
    for split in ("val", "test"):
        try:
            return train, _told(read_texts(path, split=split, skip_bad=settings.skip_bad), settings)
        except SplitMissingError:
            continue
    if len(train) < 2:
        raise ValueError(
            f"{path} has one line of text, which cannot be held out too; give more, or a val.txt"
        )
    kept, held_out = hold_out(len(train), settings.validation_fraction, settings.seed)
    return train.select(kept), train.select(held_out)


def _told(texts: StoredTexts, settings: OwnSettings) -> StoredTexts:
    settings.tell(texts.defects)
    return texts
