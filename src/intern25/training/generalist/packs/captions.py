# SPDX-License-Identifier: MIT
"""Captions: to write them, and to find pictures by them."""

from __future__ import annotations

from intern25.data.multimodal.captions import read_captions
from intern25.data.multimodal.crops import read_named_splits
from intern25.data.multimodal.joined import JoinedPictures
from intern25.data.multimodal.kinds import pictures_of_kinds
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Sentence
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.generalist.tasks.kinds import KindSearchTask
from intern25.generalist.tasks.metrics import caption_scores
from intern25.generalist.tasks.questions import (
    CaptionedPictures,
    JoinedSources,
)
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.pictures import without_test_pictures
from intern25.training.generalist.packs.settings import (
    PackSettings,
)


def _captions(packs: PackFolder, split: str) -> list[AnnotatedPictures[Sentence]]:
    found = []
    for name in ("flickr8k_1k", "coco_mini491"):
        path = packs.path(name)
        if path is not None:
            found.append(read_captions(path, split=split).decoded_in_memory())
    return found


def caption(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Captions of photographs: Flickr8k and COCO."""
    train, val = _captions(packs, "train"), _captions(packs, "val")
    if not train:
        return None
    task = WritingTask(
        "caption",
        JoinedSources(tuple(CaptionedPictures(pictures) for pictures in train)),
        CaptionedPictures(val[0]),
        settings.tokenizer,
        view=PictureView(size=(128, 128), min_scale=0.6, jitter=0.3, flip=0.5),
        metric=caption_scores,
        max_length=24,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=32, share=0.3)


def retrieval(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Photographs and their captions: Flickr8k and COCO."""
    train, val = _captions(packs, "train"), _captions(packs, "val")
    if not train:
        return None
    task = RetrievalTask(
        "retrieval",
        JoinedPictures(tuple(train)),
        val[0],
        settings.tokenizer,
        view=PictureView(size=(128, 128), min_scale=0.5, jitter=0.3, flip=0.5),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=64, share=0.3)


def kinds(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """What things of Caltech-101 and CIFAR-10 have in common."""
    found = [
        read_named_splits(path, seed=settings.seed)
        for path in (packs.path("caltech101_128"), packs.path("cifar10_12k"))
        if path is not None
    ]
    if not found:
        return None
    splits = [without_test_pictures(named.splits, settings) for named in found]
    train, val = (
        JoinedPictures(
            tuple(
                pictures_of_kinds(images.in_memory(), named.names)
                for images, named in zip(part, found, strict=True)
            )
        )
        for part in ([one.train for one in splits], [one.val for one in splits])
    )
    task = KindSearchTask(
        "search_kinds",
        train,
        val,
        settings.tokenizer,
        view=PictureView(size=(128, 128), min_scale=0.4, jitter=0.3, flip=0.5, turn=8),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=32, share=0.8)
