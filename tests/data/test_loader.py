"""Order and augmentation follow from the seed alone: not from workers, processes or where a run resumes."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.augmentation import Augmentation, random_crop_box
from intern25.data.labelled import LabelledImages
from intern25.data.loader import TrainingOrder, evaluation_loader, training_loader
from intern25.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from intern25.data.seeding import derive_seed, seeded_cpu
from intern25.data.stores import MemoryStore
from tests.data.test_sources import jpeg

ORDER = TrainingOrder(num_images=10, batch_size=2, epochs=3, seed=5, sizes=(32, 32, 48))
FILES = {str(number): jpeg(number, (60, 50)) for number in range(10)}
IMAGES = LabelledImages(tuple(FILES), tuple(n % 2 for n in range(10)), ("a", "b"), MemoryStore(FILES))


def indices(order: TrainingOrder, first_update: int = 0) -> list[list[int]]:
    return [[key.index for key in batch] for batch in order.micro_batches(first_update)]


def test_every_epoch_is_another_permutation() -> None:
    batches = indices(ORDER)
    assert len(batches) == ORDER.num_updates == 15
    epochs = [list(chain.from_iterable(batches[start : start + 5])) for start in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert {key.image_size for batch in ORDER.micro_batches(10) for key in batch} == {48}
    assert indices(replace(ORDER, seed=6)) != batches


def test_the_order_of_existing_runs_stays() -> None:
    order = TrainingOrder(num_images=10, batch_size=4, epochs=2, seed=5)
    second = next(iter(order.micro_batches(1)))
    assert [key.index for key in second] == [6, 2, 3, 7]
    assert [key.seed for key in second] == [
        *(6163002565564489062, 4649520377793554396, 2239789084779217411, 8268126090645672406),
    ]


@pytest.mark.parametrize("first", [0, 3, 5, 14, 15])
def test_resumed_order_is_the_rest(first: int) -> None:
    assert list(ORDER.micro_batches(first)) == list(ORDER.micro_batches(0))[first:]


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 2), (2, 2), (5, 1)])
def test_processes_share_each_micro_batch(processes: int, accumulation: int) -> None:
    whole = replace(ORDER, batch_size=2 * processes, accumulation=accumulation, num_images=43)
    parts = [replace(whole, batch_size=2, processes=processes, rank=rank) for rank in range(processes)]
    assert {part.num_updates for part in parts} == {whole.num_updates}
    streams = [list(part.micro_batches(1)) for part in parts]
    joined = [list(chain.from_iterable(batches)) for batches in zip(*streams, strict=True)]
    assert joined == list(whole.micro_batches(1))


def test_few_images_fill_an_update() -> None:
    order = replace(ORDER, batch_size=24)
    assert order.updates_per_epoch == 1
    batches = indices(order)
    assert [len(batch) for batch in batches] == [24, 24, 24]
    assert np.bincount(batches[0]).tolist().count(3) == 4


def test_views_repeat() -> None:
    order = replace(ORDER, views=2, sizes=(32, 32, 32))
    seeds = [
        {key.index: key.seed for batch in list(order.micro_batches(0))[s : s + 5] for key in batch}
        for s in (0, 5, 10)
    ]
    assert seeds[0] == seeds[2] != seeds[1]


@pytest.mark.parametrize("kind", ["light", "official", "none"])
def test_batches_do_not_depend_on_workers(kind: str) -> None:
    augmentation = Augmentation(kind=kind)
    order = replace(ORDER, epochs=1, sizes=(32,))
    runs = []
    for workers in (0, 2):
        torch.manual_seed(workers)
        random.seed(workers)
        loader = training_loader(IMAGES, augmentation, order, first_update=1, workers=workers)
        runs.append(list(loader))
    for left, right in zip(*runs, strict=True):
        assert torch.equal(left.images, right.images)
        assert left.index.tolist() == right.index.tolist()
        assert left.targets.tolist() == [IMAGES.labels[i] for i in right.index.tolist()]


def test_loading_leaves_the_training_generators_alone() -> None:
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(1), random.random()
    torch.manual_seed(3)
    random.seed(3)
    order = replace(ORDER, epochs=1, sizes=(32,))
    next(iter(training_loader(IMAGES, Augmentation(kind="official"), order, first_update=0, workers=0)))
    assert (torch.rand(1), random.random()) == expected


def test_evaluation_shares_all_images() -> None:
    seen: list[int] = []
    for rank in range(3):
        for batch in evaluation_loader(IMAGES, Preprocessing(32), batch_size=2, rank=rank, processes=3):
            seen.extend(batch.index.tolist())
    assert sorted(seen) == list(range(10))


def test_light_transform_without_jitter_is_resize_and_normalise() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))
    plain = Augmentation(kind="light", min_scale=1.0, color_jitter=0.0, erase=0.0, flip=0.0)
    # A full-area crop only fits where the drawn aspect is 1, so the whole image is taken.
    actual = plain.build(24)(image, 0)
    expected = Preprocessing(24, crop="squash")(image)
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=1e-5)


def test_light_colour_map_is_brightness_contrast_saturation() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(60, 190, (32, 32, 3), dtype=np.uint8))
    jitter = Augmentation(kind="light", min_scale=1.0, color_jitter=0.4, erase=0.0, flip=0.0).build(32)
    draw = random.Random(11)
    random_crop_box(image.size, 1.0, draw)
    draw.random()  # the flip
    brightness, contrast, saturation = (1 + draw.uniform(-0.4, 0.4) for _ in range(3))
    pixels = np.asarray(image, dtype=np.float64) / 255
    luma = np.array((0.299, 0.587, 0.114))
    grey = pixels @ luma
    expected = brightness * (saturation * pixels + (1 - saturation) * grey[..., None])
    expected = contrast * expected + (1 - contrast) * (expected @ luma).mean()
    expected = (expected - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(jitter(image, 11).permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_random_crops_stay_inside_and_vary() -> None:
    boxes = [random_crop_box((90, 40), 0.2, random.Random(seed)) for seed in range(200)]
    areas = np.array([(right - left) * (bottom - top) for left, top, right, bottom in boxes]) / (90 * 40)
    assert all(left >= 0 and top >= 0 and right <= 90 and bottom <= 40 for left, top, right, bottom in boxes)
    assert areas.min() < 0.3
    assert areas.max() > 0.5
    assert areas.min() >= 0.2 - 1e-9


def test_erasing_and_flipping_happen_as_often_as_asked() -> None:
    image = Image.new("RGB", (64, 64), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 32, 64))
    settings = Augmentation(kind="light", min_scale=1.0, color_jitter=0.0, erase=0.0, flip=0.5)
    flipped = [bool(settings.build(32)(image, seed)[0, 0, 0] > 0) for seed in range(400)]
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.1)
    erased = replace(settings, erase=0.25, flip=0.0).build(32)
    plain = replace(settings, flip=0.0).build(32)(image, 0)
    changed = [not torch.allclose(erased(image, seed), plain) for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.08)


def test_official_transform_survives_every_magnitude() -> None:
    transform = Augmentation(kind="official").build(32)
    image = Image.open(io.BytesIO(jpeg(1, (64, 48))))
    outputs = [transform(image, seed) for seed in range(300)]  # 300 draws hit magnitude 10 of posterize
    assert all(output.shape == (3, 32, 32) and output.isfinite().all() for output in outputs)


def test_seeds_differ_in_every_part() -> None:
    seeds = {derive_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000
    with seeded_cpu(1):
        first = torch.rand(3)
    with seeded_cpu(1):
        assert torch.equal(first, torch.rand(3))


@pytest.mark.parametrize("kind", ["strong", ""])
def test_unknown_augmentation_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="must be 'official', 'light' or 'none'"):
        Augmentation(kind=kind)  # type: ignore[arg-type]
