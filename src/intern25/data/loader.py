# SPDX-License-Identifier: MIT
"""Batches of images in an order that depends on the seed alone.

The order is a stream of micro-batches over all epochs. A position in it is a number, so a resumed run skips
to its place; keys carry epoch and image size to the workers, which therefore live as long as the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from intern25.data.augmentation import Augmentation, Transform
from intern25.data.decoding import decode
from intern25.data.labelled import LabelledImages
from intern25.data.preprocessing import Preprocessing
from intern25.data.sampling import Sampling
from intern25.data.seeding import derive_seed

Sample = tuple[Tensor, int, int, int]
"""Image, class, position in the data set, view."""


@dataclass(frozen=True, slots=True)
class SampleKey:
    """What a worker needs to make one training sample."""

    index: int
    seed: int
    image_size: int
    view: int = 0


def view_seed(seed: int, view: int, index: int) -> int:
    """Seed of the augmentation of image ``index`` in ``view``; a view is an epoch unless views repeat."""
    return derive_seed(seed, view, index, 1)


@dataclass(slots=True)
class ImageBatch:
    """A batch of a classification data set."""

    images: Tensor
    """Normalised images, ``(N, 3, H, W)`` float32."""
    targets: Tensor
    """Class indices, ``(N,)`` int64."""
    index: Tensor
    """Position of each image in its data set, ``(N,)`` int64; looks up stored targets."""
    view: Tensor
    """Augmented view of each image, ``(N,)`` int64."""

    def to(self, device: torch.device) -> ImageBatch:
        """Move all tensors."""
        return ImageBatch(*(t.to(device, non_blocking=True) for t in self._tensors()))

    def pin_memory(self) -> ImageBatch:
        """Pin all tensors; the loader calls this."""
        return ImageBatch(*(t.pin_memory() for t in self._tensors()))

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.images, self.targets, self.index, self.view

    def __len__(self) -> int:
        return len(self.targets)


class TrainingImages(Dataset[Sample]):
    """Augmented images, addressed by :class:`SampleKey`."""

    def __init__(self, images: LabelledImages, augmentation: Augmentation) -> None:
        self.images = images
        self.augmentation = augmentation
        self._transforms: dict[int, Transform] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> Sample:
        transform = self._transforms.get(key.image_size)
        if transform is None:
            transform = self._transforms[key.image_size] = self.augmentation.build(key.image_size)
        image = decode(self.images, key.index, minimum_side=self.augmentation.minimum_side(key.image_size))
        return transform(image, key.seed), self.images.labels[key.index], key.index, key.view

    def __getstate__(self) -> dict[str, Any]:
        return {"images": self.images, "augmentation": self.augmentation, "_transforms": {}}


class EvaluationImages(Dataset[Sample]):
    """Preprocessed images, addressed by position."""

    def __init__(self, images: LabelledImages, preprocessing: Preprocessing) -> None:
        self.images = images
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return self.preprocessing(decode(self.images, index)), self.images.labels[index], index, 0


@dataclass(frozen=True)
class TrainingOrder:
    """Which images form which micro-batch, for every process and epoch.

    Each epoch is a permutation of the data cut into updates of ``batch_size * processes * accumulation``
    images; a rest that fills no update waits for another epoch. Data smaller than one update repeat. Where a
    sampling shows an image several times an epoch, each time has its own augmentation.
    """

    num_images: int
    batch_size: int
    epochs: int
    seed: int
    sizes: tuple[int, ...] = ()
    """Image size of each epoch; empty where the augmentation alone decides it."""
    accumulation: int = 1
    rank: int = 0
    processes: int = 1
    views: int = 0
    """Different augmentations of an image: epoch ``e`` draws those of ``e % views``; 0 for ever new ones."""
    sampling: Sampling | None = None
    """Which images an epoch shows; None for each once."""

    def __post_init__(self) -> None:
        if self.num_images < 1 or self.batch_size < 1 or self.accumulation < 1 or self.epochs < 1:
            raise ValueError(
                f"num_images={self.num_images}, batch_size={self.batch_size}, epochs={self.epochs} and "
                f"accumulation={self.accumulation} must all be at least 1"
            )
        if self.sizes and len(self.sizes) != self.epochs:
            raise ValueError(f"{len(self.sizes)} image sizes for {self.epochs} epochs")

    @property
    def images_per_update(self) -> int:
        """Images of all processes and micro-batches of one update."""
        return self.batch_size * self.processes * self.accumulation

    @cached_property
    def images_per_epoch(self) -> int:
        """Images that an epoch shows, those of the rest included."""
        return self.num_images if self.sampling is None else len(self.sampling)

    @cached_property
    def updates_per_epoch(self) -> int:
        """Optimizer steps in one epoch, at least 1."""
        return max(1, self.images_per_epoch // self.images_per_update)

    @property
    def num_updates(self) -> int:
        """Optimizer steps of the whole run."""
        return self.epochs * self.updates_per_epoch

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """Image positions of one epoch, in order, repeated up to one update where there are too few."""
        generator = np.random.default_rng(derive_seed(self.seed, epoch))
        if self.sampling is None:
            order = generator.permutation(self.num_images)
        else:
            order = self.sampling.draw(generator)
        return np.resize(order, max(self.images_per_epoch, self.images_per_update))

    def micro_batches(self, first_update: int) -> Iterator[list[SampleKey]]:
        """Keys of this process's micro-batches from ``first_update`` to the end of the run.

        The processes share each micro-batch, so statistics over all of them do not depend on their number.
        """
        permuted = -1
        for update in range(first_update, self.num_updates):
            epoch, position = divmod(update, self.updates_per_epoch)
            if epoch != permuted:
                order, permuted = self.permutation(epoch), epoch
                # Data that repeat to fill one update have always repeated their augmentation as well.
                turns = np.zeros_like(order) if self.sampling is None else times_before(order)
            for micro in range(self.accumulation):
                first = (position * self.accumulation + micro) * self.processes + self.rank
                mine = slice(first * self.batch_size, (first + 1) * self.batch_size)
                yield [
                    self._key(int(index), epoch, int(turn))
                    for index, turn in zip(order[mine], turns[mine], strict=True)
                ]

    def _key(self, index: int, epoch: int, turn: int) -> SampleKey:
        view = epoch % self.views if self.views else epoch
        seed = view_seed(self.seed, view, index)
        if turn:
            seed = derive_seed(seed, turn)
        return SampleKey(index, seed, self.sizes[epoch] if self.sizes else 0, view)


def times_before(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each entry stands further in front.

    Example:
        >>> times_before(np.array([4, 7, 4, 4])).tolist()
        [0, 0, 1, 2]
    """
    by_value = np.argsort(order, kind="stable")
    values = order[by_value]
    times = np.empty_like(order)
    times[by_value] = np.arange(len(order)) - np.searchsorted(values, values)
    return times


class KeySampler(Sampler[list[SampleKey]]):
    """The keys of an order from one update on, a micro-batch at a time."""

    def __init__(self, order: TrainingOrder, first_update: int) -> None:
        self.order = order
        self.first_update = first_update

    def __iter__(self) -> Iterator[list[SampleKey]]:
        return self.order.micro_batches(self.first_update)

    def __len__(self) -> int:
        return (self.order.num_updates - self.first_update) * self.order.accumulation


class FixedBatches(Sampler[list[int]]):
    """Batches known beforehand."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def collate(samples: Sequence[Sample]) -> ImageBatch:
    """Stack samples."""
    images, targets, index, view = zip(*samples, strict=True)
    return ImageBatch(torch.stack(images), torch.tensor(targets), torch.tensor(index), torch.tensor(view))


def training_loader(
    images: LabelledImages,
    augmentation: Augmentation,
    order: TrainingOrder,
    *,
    first_update: int,
    workers: int,
) -> DataLoader[Any]:
    """Return the batches of this process from ``first_update`` to the end of the run."""
    return DataLoader(
        TrainingImages(images, augmentation),
        batch_sampler=KeySampler(order, first_update),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator().manual_seed(order.seed),  # else a draw from the global one
    )


def evaluation_loader(
    images: LabelledImages,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader[Any]:
    """Return the batches of every ``processes``-th image, starting at ``rank``."""
    return DataLoader(
        EvaluationImages(images, preprocessing),
        batch_size=batch_size,
        sampler=range(rank, len(images), processes),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator(),
    )


def one_thread(_worker: int) -> None:
    """Keep torch in a worker from taking the cores of the training process."""
    torch.set_num_threads(1)
