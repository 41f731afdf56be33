# SPDX-License-Identifier: MIT
"""Labelled pictures: objects, traffic signs, traffic lights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intern25.data.class_names import Language
from intern25.data.decoding import decoded_in_memory
from intern25.data.labelled import Splits, split_by_seed
from intern25.data.multimodal.crops import read_named_splits
from intern25.data.multimodal.templates import CLASS_TEMPLATES
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.data.trees import split_of
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    HOLD_OUT,
    Builder,
    PackSettings,
)


def classify(
    name: str,
    pack: str,
    size: int,
    batch: int,
    share: float,
    *,
    mix: float = 0.0,
    templates: Mapping[Language, Sequence[str]] = CLASS_TEMPLATES,
    **view: Any,
) -> Builder:
    """Return a builder of a classification task."""

    def build(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
        path = packs.path(pack)
        if path is None:
            return None
        named = read_named_splits(path, seed=settings.seed)
        chosen = without_test_pictures(named.splits, settings)
        splits = Splits(decoded_in_memory(chosen.train), decoded_in_memory(chosen.val))
        task = ClassificationTask(
            name,
            splits,
            named.names,
            settings.tokenizer,
            view=PictureView(size=(size, size), **view),
            mix=mix,
            templates=templates,
            evaluate_most=settings.evaluate_most,
        )
        return MixturePart(task=task, batch_size=batch, share=share)

    return build


def without_test_pictures(splits: Splits, settings: PackSettings) -> Splits:
    """Hold training pictures out where what a data set has beside them is for the test, at the end."""
    if split_of(splits.val.names[0]) != "test":
        return splits
    rest = split_by_seed(splits.train, HOLD_OUT, settings.seed)
    return Splits(rest.train, splits.val) if settings.held_out == "test" else rest
