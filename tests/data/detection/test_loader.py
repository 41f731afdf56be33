"""Batches follow from the seed alone, hold pictures of one orientation, and resume where they left off."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from intern25.data.class_names import ClassNames
from intern25.data.detection.annotations import AnnotationRows
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.batch import pad_together
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.loader import AspectOrder, evaluation_loader, is_wide, training_loader
from intern25.data.detection.sources import read_detection
from intern25.data.loader import TrainingOrder
from intern25.data.resizing import DetectionPreprocessing
from intern25.data.run_lengths import encode_mask
from intern25.data.sampling import RepeatFactorSampling
from intern25.data.stores import MemoryStore
from tests.data.made_files import coco_files, picture, write_files

SIZES = [(30, 50) if number % 3 else (50, 30) for number in range(13)]
FILES = {f"{number}.png": picture(number, size) for number, size in enumerate(SIZES)}
AUGMENTATION = DetectionAugmentation(
    kind="multi_scale", short_side=40, long_side=70, photometric=0.5, mosaic=0.3, turn=0.3
)


def annotation(size: tuple[int, int]) -> AnnotationRows:
    pixels = np.zeros(size, dtype=bool)
    pixels[5:25, 4:20] = True
    rows = AnnotationRows()
    rows.add((4, 5, 20, 25), 0, 1, mask=encode_mask(pixels))
    return rows


IMAGES = StoredDetectionImages(
    where="made",
    names=tuple(FILES),
    image_ids=tuple(range(13)),
    annotations=tuple(annotation(size).annotation(size) for size in SIZES),
    classes=ClassNames.from_lists(["a"]),
    category_ids=(1,),
    store=MemoryStore(FILES),
)
ORDER = AspectOrder(num_images=13, batch_size=2, epochs=3, seed=5, wide=is_wide(IMAGES))


def test_batches_hold_one_orientation_and_every_picture_once() -> None:
    for epoch in range(3):
        order = ORDER.permutation(epoch)
        assert sorted(order.tolist()) == list(range(13))
        wide = np.asarray(ORDER.wide)[order[:12]].reshape(-1, 2)
        assert (wide[:, 0] == wide[:, 1]).sum() >= 5  # all but the rests of both groups
    assert ORDER.permutation(0).tolist() != ORDER.permutation(1).tolist()
    batches = list(ORDER.micro_batches(0))
    assert list(ORDER.micro_batches(7)) == batches[7:]


def test_processes_share_the_batches() -> None:
    parts = [
        AspectOrder(num_images=13, batch_size=2, epochs=2, seed=5, wide=ORDER.wide, processes=2, rank=rank)
        for rank in range(2)
    ]
    keys = [[key.index for batch in part.micro_batches(0) for key in batch][:6] for part in parts]
    assert len({*keys[0], *keys[1]}) == 12


def test_the_order_of_existing_runs_stays() -> None:
    wide = tuple(number % 3 > 0 for number in range(10))
    order = AspectOrder(num_images=10, batch_size=2, epochs=2, seed=5, wide=wide)
    batches = [[key.index for key in batch] for batch in order.micro_batches(0)]
    assert batches[:5] == [[9, 6], [3, 0], [1, 2], [7, 8], [4, 5]]
    assert batches[5:] == [[8, 2], [4, 7], [0, 3], [5, 1], [9, 6]]


@pytest.mark.parametrize("processes", [1, 2])
def test_repeated_pictures_stay_in_batches_of_one_orientation(processes: int) -> None:
    factors = np.array([3.2 if number in (0, 4) else 1.0 for number in range(13)])
    parts = [
        AspectOrder(
            num_images=13,
            batch_size=2,
            epochs=2,
            seed=5,
            wide=ORDER.wide,
            processes=processes,
            rank=rank,
            sampling=RepeatFactorSampling(factors),
        )
        for rank in range(processes)
    ]
    order = parts[0].permutation(1)
    assert np.bincount(order).tolist() == [4 if number in (0, 4) else 1 for number in range(13)]
    together = 2 * processes
    wide = np.asarray(ORDER.wide)[order[: len(order) // together * together]].reshape(-1, together)
    one_kind = (wide == wide[:, :1]).all(axis=1)
    assert one_kind.sum() >= len(wide) - 2  # all but the rests of both groups
    streams = [list(part.micro_batches(3)) for part in parts]
    joined = [list(chain.from_iterable(batches)) for batches in zip(*streams, strict=True)]
    assert joined == list(replace(parts[0], batch_size=together, processes=1).micro_batches(3))


@pytest.mark.parametrize("masks", [False, True])
def test_batches_do_not_depend_on_workers_or_resuming(masks: bool) -> None:
    whole = list(training_loader(IMAGES, AUGMENTATION, ORDER, masks=masks, first_update=0, workers=0))
    resumed = list(training_loader(IMAGES, AUGMENTATION, ORDER, masks=masks, first_update=4, workers=2))
    assert len(whole) == ORDER.num_updates == 18
    for left, right in zip(whole[4:], resumed, strict=True):
        assert torch.equal(left.images, right.images)
        assert left.image_sizes == right.image_sizes
        assert left.index.tolist() == right.index.tolist()
        for a, b in zip(left.targets, right.targets, strict=True):
            assert torch.equal(a.boxes, b.boxes)
            assert (a.masks is None) is (b.masks is None) is not masks
    batch = whole[0].to(torch.device("cpu"))
    assert len(batch) == 2
    assert batch.images.shape[2] % 32 == batch.images.shape[3] % 32 == 0
    assert batch.original_sizes == [SIZES[index] for index in batch.index.tolist()]
    for image, (height, width), target in zip(batch.images, batch.image_sizes, batch.targets, strict=True):
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()
        if masks:
            assert target.masks is not None
            assert target.masks.shape[1:] == image.shape[1:]


def test_loading_leaves_the_training_generators_alone() -> None:
    before = torch.get_rng_state()
    next(iter(training_loader(IMAGES, AUGMENTATION, ORDER, masks=True, first_update=0, workers=0)))
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_shares_all_pictures_in_similar_shapes() -> None:
    seen: list[int] = []
    for rank in range(2):
        loader = evaluation_loader(
            IMAGES, DetectionPreprocessing(short_side=32, long_side=64), batch_size=3, rank=rank, processes=2
        )
        for batch in loader:
            assert batch.targets == []
            seen.extend(batch.index.tolist())
            for size, original in zip(batch.image_sizes, batch.original_sizes, strict=True):
                assert min(size) == 32
                assert size[0] / size[1] == pytest.approx(original[0] / original[1], abs=0.02)
    assert sorted(seen) == list(range(13))


def test_evaluation_inputs_are_those_of_the_preprocessing() -> None:
    preprocessing = DetectionPreprocessing(short_side=32, long_side=64)
    batch = next(iter(evaluation_loader(IMAGES, preprocessing, batch_size=3)))
    expected = preprocessing([IMAGES.image(index) for index in batch.index.tolist()])
    assert torch.equal(batch.images, expected.images)
    assert tuple(batch.image_sizes) == expected.image_sizes


def test_pictures_in_memory_are_the_same() -> None:
    for held in (IMAGES.in_memory(), IMAGES.decoded_in_memory()):
        assert held.image(3).tobytes() == IMAGES.image(3).tobytes()
        assert held.select([3]).image(0).tobytes() == IMAGES.image(3).tobytes()


def test_data_sets_travel_to_spawned_workers(tmp_path: Path) -> None:
    labels = {"classes.txt": "a", "train/0.png": FILES["0.png"], "train/0.txt": "0 0.5 0.5 1 1"}
    for images in (
        read_detection(write_files(tmp_path, coco_files(), zipped=True)),
        read_detection(write_files(tmp_path, labels, zipped=True, name="yolo")),
    ):
        images.image(0)  # opens the archive, whose handle must stay behind
        copy = pickle.loads(pickle.dumps(images))
        assert copy.image(0).tobytes() == images.image(0).tobytes()
        np.testing.assert_array_equal(copy.annotation(0).boxes, images.annotation(0).boxes)


def test_padding_is_right_and_below() -> None:
    padded = pad_together([torch.ones(3, 5, 40), torch.ones(3, 33, 2)])
    assert padded.shape == (2, 3, 64, 64)
    assert padded.sum().item() == 3 * (5 * 40 + 33 * 2)


def test_orders_need_sizes_only_where_they_are_given() -> None:
    assert {key.image_size for batch in ORDER.micro_batches(0) for key in batch} == {0}
    with pytest.raises(ValueError, match="2 image sizes for 3 epochs"):
        TrainingOrder(num_images=4, batch_size=2, epochs=3, seed=0, sizes=(32, 48))
    assert len(set(chain.from_iterable(ORDER.permutation(e).tolist() for e in range(3)))) == 13
