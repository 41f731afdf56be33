# SPDX-License-Identifier: MIT
"""Which held-out pictures are scored where not all are, and pictures without captions."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from intern25.data.labelled import Splits
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Sentence
from intern25.data.picture_views import normalised
from intern25.evaluation.retrieval import score_retrieval
from intern25.generalist.routing import MATCHING
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.first_pictures import spread_pictures
from intern25.generalist.tasks.retrieval import RetrievalTask
from tests.generalist.tasks.made_tasks import COLOURS, TOKENIZER, VIEW, Squares, captioned, labelled
from tests.small_generalist import small_generalist


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 70), st.integers(0, 99))
def test_classes_come_in_turn(labels: list[int], number: int, seed: int) -> None:
    chosen = spread_pictures(labels, number, seed=seed)
    assert chosen == sorted(set(chosen)) == spread_pictures(labels, number, seed=seed)
    assert len(chosen) == min(number or len(labels), len(labels))
    whole, taken = Counter(labels), Counter(labels[place] for place in chosen)
    most = max(taken.values())
    # No class has two pictures less than another, unless it has no more.
    assert all(taken[label] >= min(most - 1, whole[label]) for label in whole)


def test_the_seed_decides_which_pictures_and_whose_turn_is_the_last() -> None:
    labels = [0] * 50 + [1] * 50 + [2] * 50
    draws = [spread_pictures(labels, 4, seed=seed) for seed in range(40)]
    assert len({tuple(draw) for draw in draws}) > 30
    doubled = {max(Counter(labels[place] for place in draw).items(), key=lambda x: x[1])[0] for draw in draws}
    assert doubled == {0, 1, 2}
    assert spread_pictures(labels, 4) != [0, 1, 50, 100]


def classification(most: int) -> ClassificationTask:
    """Held-out pictures sorted by class, as a folder of class folders has them."""
    images = labelled(30)
    order = sorted(range(30), key=lambda index: images.labels[index])
    return ClassificationTask(
        "classify", Splits(labelled(6), images.select(order)), COLOURS, TOKENIZER, view=VIEW,
        evaluate_most=most,
    )  # fmt: skip


@torch.no_grad()
def test_classification_scores_some_pictures_of_every_class() -> None:
    model, task = small_generalist(), classification(6)
    scored = task.scored()
    assert scored.names == task.scored().names
    assert sorted(scored.labels) == [0, 0, 1, 1, 2, 2]
    whole = ClassificationTask("all", Splits(labelled(6), scored), COLOURS, TOKENIZER, view=VIEW)
    assert task.evaluate(model) == whole.evaluate(model)
    assert task.trivial()["top1_en"] == pytest.approx(1 / 3)
    assert classification(0).scored().names == classification(0).splits.val.names


def test_with_few_pictures_only_some_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = small_generalist(), []
    encode = type(model).encode_image

    def counted(images: torch.Tensor) -> object:
        seen.append(len(images))
        return encode(model, images)

    monkeypatch.setattr(model, "encode_image", counted)
    classification(5).evaluate(model)
    assert sum(seen) == 5
    seen.clear()
    retrieval(captioned(20), 4).evaluate(model)
    assert sum(seen) == 4


def retrieval(
    val: AnnotatedPictures[Sentence], most: int = 0, *, without: tuple[int, ...] = ()
) -> RetrievalTask:
    return RetrievalTask("retrieve", uncaptioned(6, *without), val, TOKENIZER, view=VIEW, evaluate_most=most)


def uncaptioned(count: int, *without: int) -> AnnotatedPictures[Sentence]:
    pictures = captioned(count)
    records = tuple(() if row in without else found for row, found in enumerate(pictures.records))
    return replace(pictures, records=records)


def test_retrieval_scores_pictures_drawn_once_and_for_all() -> None:
    scored = retrieval(captioned(40), 8).scored()
    assert len(set(scored)) == 8
    assert scored == sorted(scored) == retrieval(captioned(40), 8).scored()
    assert scored != list(range(8))
    assert retrieval(captioned(5), 8).scored() == list(range(5))
    # More pictures are the same ones and others.
    assert set(scored) < set(retrieval(captioned(40), 12).scored())


@torch.no_grad()
def test_held_out_pictures_without_captions_do_not_count() -> None:
    model, task = small_generalist(), retrieval(uncaptioned(7, 0, 3, 6))
    assert task.scored() == [1, 2, 4, 5]
    x, y, owner = [], [], []
    for place, row in enumerate((1, 2, 4, 5)):
        image = normalised(VIEW.plain(Squares(7).pixels(row))[None])
        x.append(model.embed_images(model.encode_image(image), MATCHING)[0])
        for sentence in captioned(7).items(row):
            y.append(model.embed_texts(TOKENIZER.encode([sentence.text], max_length=40), MATCHING)[0])
            owner.append(place)
    report = score_retrieval(torch.stack(x) @ torch.stack(y).T, owner)
    figures = task.evaluate(model)
    assert figures["image_to_text_at5"] == pytest.approx(report.image_to_text.at5)
    assert figures["text_to_image_at5"] == pytest.approx(report.text_to_image.at5)
    assert figures["chance_text_to_image_at5"] == 1.0  # five of four pictures
    assert figures["chance_image_to_text_at5"] == pytest.approx(report.chance_image_to_text.at5)
    assert task.trivial()["image_to_text_at5"] == pytest.approx(report.chance_image_to_text.at5)
    some = retrieval(uncaptioned(7, 0, 3, 6), 3).scored()
    assert len(some) == 3
    assert set(some) < {1, 2, 4, 5}


def test_training_pictures_without_captions_are_left_out() -> None:
    task = retrieval(captioned(3), without=(1, 4))
    batch = task.batch([1, 0, 4, 2], 5)
    assert len(batch.images) == len(batch.texts.ids) == 2
    for image, own in zip(batch.images, (0, 2), strict=True):
        pixels = torch.from_numpy(Squares(6).pixels(own)).permute(2, 0, 1)
        assert float((image.float() - pixels).abs().mean()) < 25  # the same squares, moved a little
    texts = [TOKENIZER.decode(ids) for ids in batch.texts.ids]
    for text, own in zip(texts, (0, 2), strict=True):
        assert text in {sentence.text for sentence in captioned(6).items(own)}


def test_a_batch_without_captions_takes_the_next_pictures() -> None:
    batch = retrieval(captioned(3), without=(0, 1, 2)).batch([0, 1], 0)
    (text,) = [TOKENIZER.decode(ids) for ids in batch.texts.ids]
    assert text in {sentence.text for sentence in captioned(6).items(3)}
    losses = retrieval(captioned(3)).losses(small_generalist(), batch)
    assert bool(torch.isfinite(losses["retrieval"]))


def test_pictures_with_captions_give_the_batches_that_they_gave() -> None:
    """The draws of a batch do not depend on what could be left out."""
    batch = retrieval(captioned(3)).batch([0, 4, 2], 11)
    draw = random.Random(11)
    views = [VIEW(Squares(6).pixels(index), draw.getrandbits(62)) for index in (0, 4, 2)]
    texts = [draw.choice(captioned(6).items(index)).text for index in (0, 4, 2)]
    assert torch.equal(batch.images, torch.stack(views))
    assert [TOKENIZER.decode(ids) for ids in batch.texts.ids] == texts


def test_data_without_any_caption_are_an_error() -> None:
    with pytest.raises(ValueError, match="no picture of the task retrieve has a caption; check its data"):
        retrieval(captioned(3), without=tuple(range(6))).batch([0, 1], 0)
    with pytest.raises(ValueError, match="no held-out picture of the task retrieve has a caption"):
        retrieval(uncaptioned(2, 0, 1)).evaluate(small_generalist())
