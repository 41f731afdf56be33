"""Batches follow from the seed alone and resume where they left off."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from intern25.data.class_names import ClassNames
from intern25.data.loader import TrainingOrder
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.images import StoredSemanticImages, identity_lookup
from intern25.data.segmentation.loader import evaluation_loader, training_loader
from intern25.data.stores import MemoryStore
from tests.data.made_files import picture, png

SIZES = [(30, 50) if number % 3 else (50, 30) for number in range(7)]
MASKS = [
    np.random.default_rng(number).integers(0, 3, size, dtype=np.uint8) for number, size in enumerate(SIZES)
]
FILES = {f"{number}.png": picture(number, size) for number, size in enumerate(SIZES)} | {
    f"m{number}.png": png(mask) for number, mask in enumerate(MASKS)
}
IMAGES = StoredSemanticImages(
    where="made",
    names=tuple(f"{number}.png" for number in range(7)),
    mask_names=tuple(f"m{number}.png" for number in range(7)),
    classes=ClassNames.from_lists(["a", "b", "c"]),
    lookup=identity_lookup(3),
    store=MemoryStore(FILES),
)
AUGMENTATION = SegmentationAugmentation(crop=(32, 48), long_side=80, short_side=40)
ORDER = TrainingOrder(num_images=7, batch_size=2, epochs=2, seed=3)


def test_batches_do_not_depend_on_workers_or_resuming() -> None:
    whole = list(training_loader(IMAGES, AUGMENTATION, ORDER, first_update=0, workers=0))
    resumed = list(training_loader(IMAGES, AUGMENTATION, ORDER, first_update=2, workers=2))
    assert len(whole) == ORDER.num_updates == 6
    for left, right in zip(whole[2:], resumed, strict=True):
        assert torch.equal(left.images, right.images)
        assert torch.equal(left.masks, right.masks)
        assert left.index.tolist() == right.index.tolist()
    batch = whole[0].to(torch.device("cpu"))
    assert len(batch) == 2
    assert batch.images.shape == (2, 3, 32, 48)
    assert batch.masks.shape == (2, 32, 48)
    assert batch.masks.dtype == torch.int64


@pytest.mark.parametrize("processes", [1, 2])
def test_evaluation_batches_are_of_one_size(processes: int) -> None:
    preprocessing = SegmentationPreprocessing(long_side=64, short_side=32)
    seen: list[int] = []
    for rank in range(processes):
        loader = evaluation_loader(IMAGES, preprocessing, batch_size=2, rank=rank, processes=processes)
        for batch in loader:
            for image, mask, size, index in zip(
                batch.images, batch.masks, batch.original_sizes, batch.index.tolist(), strict=True
            ):
                assert torch.equal(image, preprocessing(IMAGES.image(index)))
                np.testing.assert_array_equal(mask.numpy(), MASKS[index])
                assert size == SIZES[index]
            seen.extend(batch.to(torch.device("cpu")).index.tolist())
    assert sorted(seen) == list(range(7))


def test_pictures_in_memory_are_the_same() -> None:
    for held in (IMAGES.in_memory(), IMAGES.decoded_in_memory()):
        assert held.image(3).tobytes() == IMAGES.image(3).tobytes()
        np.testing.assert_array_equal(held.select([3]).mask(0), MASKS[3])
        assert held.size(0) == SIZES[0]
