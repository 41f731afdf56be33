# SPDX-License-Identifier: MIT
"""Batches of a segmentation data set, in an order that depends on the seed alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from intern25.data.loader import FixedBatches, KeySampler, SampleKey, TrainingOrder, one_thread
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.batch import SegmentationBatch, SegmentationEvaluationBatch, Size
from intern25.data.segmentation.images import SemanticImages

SegmentationItem = tuple[Tensor, Tensor, int]
"""Picture, class of each pixel, position in the data set."""


class SegmentationTrainingImages(Dataset[SegmentationItem]):
    """Augmented pictures with their masks, addressed by key."""

    def __init__(self, images: SemanticImages, augmentation: SegmentationAugmentation) -> None:
        self.images = images
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> SegmentationItem:
        image, mask = self.images.image(key.index), self.images.mask(key.index)
        return *self.augmentation(image, mask, key.seed), key.index


class SegmentationEvaluationImages(Dataset[SegmentationItem]):
    """Preprocessed pictures and the masks of their files, addressed by position."""

    def __init__(self, images: SemanticImages, preprocessing: SegmentationPreprocessing) -> None:
        self.images = images
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> SegmentationItem:
        image = self.images.image(index)
        return self.preprocessing(image), torch.from_numpy(self.images.mask(index).copy()), index


def collate_training(items: Sequence[SegmentationItem]) -> SegmentationBatch:
    """Stack crops."""
    images, masks, index = zip(*items, strict=True)
    return SegmentationBatch(torch.stack(images), torch.stack(masks), torch.tensor(index))


def collate_evaluation(items: Sequence[SegmentationItem]) -> SegmentationEvaluationBatch:
    """Stack pictures of one size; masks keep theirs."""
    images, masks, index = zip(*items, strict=True)
    return SegmentationEvaluationBatch(torch.stack(images), list(masks), torch.tensor(index))


def training_loader(
    images: SemanticImages,
    augmentation: SegmentationAugmentation,
    order: TrainingOrder,
    *,
    first_update: int,
    workers: int,
) -> DataLoader[Any]:
    """Return the batches of this process from ``first_update`` to the end of the run."""
    return DataLoader(
        SegmentationTrainingImages(images, augmentation),
        batch_sampler=KeySampler(order, first_update),
        num_workers=workers,
        collate_fn=collate_training,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator().manual_seed(order.seed),  # else a draw from the global one
    )


def evaluation_loader(
    images: SemanticImages,
    preprocessing: SegmentationPreprocessing,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader[Any]:
    """Return every ``processes``-th batch of pictures of one input size, starting at ``rank``.

    Pictures are not padded, since padding would change their outputs; ``batch.index`` says which pictures a
    batch holds.
    """
    return DataLoader(
        SegmentationEvaluationImages(images, preprocessing),
        batch_sampler=FixedBatches(equal_sizes(images, preprocessing, batch_size)[rank::processes]),
        num_workers=workers,
        collate_fn=collate_evaluation,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator(),
    )


def equal_sizes(
    images: SemanticImages, preprocessing: SegmentationPreprocessing, batch_size: int
) -> list[list[int]]:
    """Positions of all pictures in batches whose inputs have one size."""
    groups: defaultdict[Size, list[int]] = defaultdict(list)
    for index in range(len(images)):
        groups[preprocessing.input_size(images.size(index))].append(index)
    return [
        members[start : start + batch_size]
        for _, members in sorted(groups.items())
        for start in range(0, len(members), batch_size)
    ]
