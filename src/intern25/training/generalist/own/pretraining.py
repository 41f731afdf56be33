# SPDX-License-Identifier: MIT
"""Pre-training on a user's pictures."""

from __future__ import annotations

from intern25.data.placed_views import PlacedViews
from intern25.generalist.m3i import M3IConfig
from intern25.generalist.tasks.pretraining import (
    CaptionedPairs,
    Judge,
    LabelledPictures,
    PretrainPictures,
    PretrainTask,
)
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.own.labelled import classification, named_pictures
from intern25.training.generalist.own.settings import OwnSettings
from intern25.training.generalist.own.texts import caption_splits, retrieval_task


def pretrain(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Mixed pairs of pictures with captions where there are some, else with classes."""
    pictures: PretrainPictures
    judge: Judge
    try:
        train, val = caption_splits(path, settings)
    except ValueError as no_captions:
        try:
            named = named_pictures(path, settings)
        except ValueError as no_classes:
            raise ValueError(
                f"{path} has neither captions nor classes to pre-train on: {no_captions}; {no_classes}"
            ) from no_classes
        pictures = LabelledPictures(named.splits.train, named.names, settings.tokenizer)
        judge = classification(name, named, settings)
    else:
        pictures = CaptionedPairs(train, settings.tokenizer)
        judge = retrieval_task(name, train, val, settings)
    task = PretrainTask(
        name,
        pictures,
        judge,
        views=PlacedViews(size=settings.square(128)),
        config=M3IConfig(dense=settings.dense),
    )
    return MixturePart(task=task, batch_size=64, share=1.0)
