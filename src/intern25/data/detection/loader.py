# SPDX-License-Identifier: MIT
"""Batches of a detection data set, in an order that depends on the seed alone.

Pictures of a batch are all wide or all tall, so little of it is padding.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from intern25.data.detection.annotations import DetectionImages, Size
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.batch import DetectionBatch, pad_together
from intern25.data.detection.sample import DetectionSample, sample_of
from intern25.data.loader import FixedBatches, KeySampler, SampleKey, TrainingOrder, one_thread
from intern25.data.resizing import DetectionPreprocessing
from intern25.data.seeding import derive_seed
from intern25.detection.targets import DetectionTarget

DetectionItem = tuple[Tensor, DetectionTarget | None, Size, int]
"""Picture, objects (none in evaluation), (height, width) of the file, position in the data set."""


@dataclass(frozen=True, kw_only=True)
class AspectOrder(TrainingOrder):
    """A training order whose batches hold pictures of one orientation."""

    wide: tuple[bool, ...]
    """Whether each picture is wider than tall."""

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """Positions of one epoch: batches of one orientation in random order, mixed rests last."""
        order = super().permutation(epoch)
        wide = np.asarray(self.wide)[order]
        batches, rest = [], []
        # The processes share a batch: its pictures do not depend on their number.
        together = self.batch_size * self.processes
        for group in (order[wide], order[~wide]):
            whole = len(group) - len(group) % together
            batches.extend(group[:whole].reshape(-1, together))
            rest.append(group[whole:])
        np.random.default_rng(derive_seed(self.seed, epoch, 2)).shuffle(batches)
        return np.concatenate([*batches, *rest])


def is_wide(images: DetectionImages) -> tuple[bool, ...]:
    """Whether each picture is wider than tall, for :class:`AspectOrder`."""
    sizes = (images.annotation(index).size for index in range(len(images)))
    return tuple(width > height for height, width in sizes)


class DetectionTrainingImages(Dataset[DetectionItem]):
    """Augmented pictures with their targets, addressed by key."""

    def __init__(self, images: DetectionImages, augmentation: DetectionAugmentation, *, masks: bool) -> None:
        self.images = images
        self.augmentation = augmentation
        self.masks = masks

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> DetectionItem:
        annotation = self.images.annotation(key.index)
        other = self._other if self.augmentation.mosaic else None
        image, target = self.augmentation(self._sample(key.index), key.seed, other)
        return image, target, annotation.size, key.index

    def _sample(self, index: int) -> DetectionSample:
        return sample_of(self.images.image(index), self.images.annotation(index), masks=self.masks)

    def _other(self, draw: random.Random) -> DetectionSample:
        return self._sample(draw.randrange(len(self.images)))


class DetectionEvaluationImages(Dataset[DetectionItem]):
    """Preprocessed pictures, addressed by position."""

    def __init__(self, images: DetectionImages, preprocessing: DetectionPreprocessing) -> None:
        self.images = images
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> DetectionItem:
        image = self.images.image(index)
        return self.preprocessing.resize(image), None, (image.height, image.width), index


def collate_detection(items: Sequence[DetectionItem]) -> DetectionBatch:
    """Pad pictures and masks to one size."""
    images, targets, sizes, index = zip(*items, strict=True)
    padded = pad_together(images)
    return DetectionBatch(
        images=padded,
        image_sizes=[(image.shape[1], image.shape[2]) for image in images],
        original_sizes=list(sizes),
        index=torch.tensor(index),
        targets=[
            _padded(target, padded.shape[2], padded.shape[3]) for target in targets if target is not None
        ],
    )


def _padded(target: DetectionTarget, height: int, width: int) -> DetectionTarget:
    """The target with masks of the size of the batch."""
    masks = target.masks
    if masks is None:
        return target
    masks = F.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1]))
    return DetectionTarget(boxes=target.boxes, labels=target.labels, masks=masks, ignored=target.ignored)


def training_loader(
    images: DetectionImages,
    augmentation: DetectionAugmentation,
    order: TrainingOrder,
    *,
    masks: bool,
    first_update: int,
    workers: int,
) -> DataLoader[Any]:
    """Return the batches of this process from ``first_update`` to the end of the run.

    Args:
        images: Pictures that each have an object, and masks where these are asked for
            (``StoredDetectionImages.with_objects``).
        augmentation: How they are disturbed.
        order: An :class:`AspectOrder`, or a plain order where the pictures are of one shape.
        masks: Whether targets have masks.
        first_update: Where to start, counted in optimizer steps.
        workers: Loader processes.
    """
    return DataLoader(
        DetectionTrainingImages(images, augmentation, masks=masks),
        batch_sampler=KeySampler(order, first_update),
        num_workers=workers,
        collate_fn=collate_detection,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator().manual_seed(order.seed),  # else a draw from the global one
    )


def evaluation_loader(
    images: DetectionImages,
    preprocessing: DetectionPreprocessing,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader[Any]:
    """Return every ``processes``-th batch of pictures of similar shape, starting at ``rank``.

    The order is that of the shapes; ``batch.index`` says which pictures a batch holds.
    """
    return DataLoader(
        DetectionEvaluationImages(images, preprocessing),
        batch_sampler=FixedBatches(similar_shapes(images, batch_size)[rank::processes]),
        num_workers=workers,
        collate_fn=collate_detection,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator(),
    )


def similar_shapes(images: DetectionImages, batch_size: int) -> list[list[int]]:
    """Positions of all pictures in batches of similar height over width."""
    sizes = [images.annotation(index).size for index in range(len(images))]
    order = sorted(range(len(images)), key=lambda index: (sizes[index][0] / sizes[index][1], index))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
