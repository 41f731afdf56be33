# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import torch

from intern25.data.multimodal.kinds import kind_sentences, kinds_of
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Sentence
from intern25.data.picture_views import PictureView
from intern25.data.stores import MemoryStore
from intern25.generalist.model import Generalist
from intern25.generalist.tasks.kinds import KindSearchTask
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tokenizer import Tokenizer
from tests.generalist.small_model import small_generalist

TOKENIZER = Tokenizer.packaged()
CLASSES = ("cat", "helicopter", "pizza")


def pictures(count: int) -> AnnotatedPictures[Sentence]:
    names = tuple(f"{index}" for index in range(count))
    records = tuple(
        tuple(sentence for kind in kinds_of(CLASSES[index % 3]) for sentence in kind_sentences(kind))
        for index in range(count)
    )
    pixels = {name: np.full((32, 32, 3), 60 * (int(name) % 3), dtype=np.uint8) for name in names}
    return AnnotatedPictures(names, records, MemoryStore(pixels))


def task(evaluate_most: int = 0) -> KindSearchTask:
    view = PictureView(size=(32, 32))
    return KindSearchTask(
        "search", pictures(9), pictures(30), TOKENIZER, view=view, evaluate_most=evaluate_most
    )


def test_a_text_fits_every_picture_of_its_kind() -> None:
    """Not only those for which it was drawn: another cat, and an animal that was called a pet."""
    searched = task()
    for seed in range(20):
        batch = searched.batch([0, 1, 2, 3], seed)
        texts = [TOKENIZER.decode(ids) for ids in batch.texts.ids]
        assert batch.same is not None
        for row in range(4):
            own = {
                TOKENIZER.decode(TOKENIZER.encode([item.text], max_length=40).ids[0])
                for item in pictures(9).items(row)
            }
            assert batch.same[row].tolist() == [text in own for text in texts]
        assert batch.same[0].tolist() == batch.same[3].tolist()  # both are cats
        assert not batch.same[0, 2]


def test_training_is_that_of_retrieval() -> None:
    model, searched = small_generalist(), task()
    batch = searched.batch([0, 1, 2, 4], 3)
    own = searched.losses(model, batch)["retrieval"]
    plain = RetrievalTask(
        "search", pictures(9), pictures(9), TOKENIZER, view=PictureView(size=(32, 32))
    ).losses(model, batch)["retrieval"]
    assert float(own) == pytest.approx(float(plain))


def test_figures_of_a_model_that_knows_the_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures by their brightness, texts by the first class that they fit: all ten nearest are right."""
    searched = task()
    axes = torch.eye(4)

    def embed_images(self: Generalist, features: torch.Tensor, routing: object) -> torch.Tensor:
        return axes[features]

    def embed_texts(self: Generalist, texts: object, routing: object) -> torch.Tensor:
        rows = []
        for ids in texts.ids:  # type: ignore[attr-defined]
            text = TOKENIZER.decode(ids)
            fitting = [place for place, name in enumerate(CLASSES) if text in _said(name)]
            rows.append(axes[fitting[0] if fitting else 3])
        return torch.stack(rows)

    monkeypatch.setattr(Generalist, "encode_image", lambda self, images: _place(images))
    monkeypatch.setattr(Generalist, "embed_images", embed_images)
    monkeypatch.setattr(Generalist, "embed_texts", embed_texts)
    figures = searched.evaluate(small_generalist())
    assert figures == {"precision10_en": 1.0, "precision10_zh": 1.0}
    assert searched.trivial() == pytest.approx({"precision10_en": 1 / 3, "precision10_zh": 1 / 3})
    assert searched.settings() == {"embed_size": (32, 32)}


def _place(images: torch.Tensor) -> torch.Tensor:
    """Class of the test pictures, from their brightness."""
    values = images[:, 0, 0, 0]
    return torch.stack([(values > edge).long() for edge in (-1.6, -0.7)]).sum(0)


def _said(name: str) -> set[str]:
    return {
        TOKENIZER.decode(TOKENIZER.encode([sentence.text], max_length=40).ids[0])
        for kind in kinds_of(name)
        for sentence in kind_sentences(kind)
    }
