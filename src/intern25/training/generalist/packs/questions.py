# SPDX-License-Identifier: MIT
"""Questions about pictures that people or programs wrote."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.questions import read_questions
from intern25.data.multimodal.records import Question, Statement
from intern25.data.multimodal.statements import read_statements
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.generalist.tasks.metrics import answer_accuracy
from intern25.generalist.tasks.questions import (
    AskedPictures,
    JoinedSources,
)
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    QUESTION_SIZE,
    SQUARE,
    PackSettings,
    held_out_part,
)


def shapes(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Questions about coloured shapes: easy-VQA."""
    path = packs.path("easy_vqa")
    if path is None:
        return None
    train, val = held_out_part(read_questions(path).decoded_in_memory(), settings.seed)
    if settings.held_out == "test":
        val = read_questions(path, split="test")
    task = WritingTask(
        "vqa_shapes",
        AskedPictures(train),
        AskedPictures(val),
        settings.tokenizer,
        view=PictureView(size=(96, 96), shift=0.04, jitter=0.1),
        metric=answer_accuracy,
        questions_per_picture=5,
        max_length=8,
        candidates=answers_of(train),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=20, share=1.6)


def rooms(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Questions about photographs of rooms with an answer of one thing: DAQUAR."""
    path = packs.path("daquar")
    if path is None:
        return None
    train, val = held_out_part(read_questions(path, single_word=True).decoded_in_memory(), settings.seed, 0.1)
    if settings.held_out == "test":
        val = read_questions(path, split="test", single_word=True)
    task = WritingTask(
        "vqa_rooms",
        AskedPictures(train),
        AskedPictures(val),
        settings.tokenizer,
        view=PictureView(size=SQUARE, min_scale=0.8, jitter=0.3),
        other_sizes=(QUESTION_SIZE,),
        metric=answer_accuracy,
        questions_per_picture=4,
        max_length=10,
        candidates=answers_of(train),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=16, share=0.25)


def reasoning(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Statements about arranged blocks, true or false: NLVR."""
    path = packs.path("nlvr")
    if path is None:
        return None
    dev, hidden = (true_or_false(read_statements(path, split=name)) for name in ("dev", "hidden"))
    hidden_train, val = held_out_part(hidden, settings.seed, group=_set_of_pictures)
    if settings.held_out == "test":
        val = true_or_false(read_statements(path, split="test"))
    task = WritingTask(
        "reasoning",
        JoinedSources((AskedPictures(dev), AskedPictures(hidden_train))),
        AskedPictures(val),
        settings.tokenizer,
        view=PictureView(size=(64, 256), jitter=0.1),
        metric=answer_accuracy,
        max_length=4,
        candidates=("true", "false"),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=32, share=0.3)


def _set_of_pictures(name: str) -> str:
    """Set that a picture of NLVR belongs to: ``hidden-3266-0-5`` is set 3266, the same things moved."""
    return name.rsplit("/", 1)[-1].split("-")[1]


def true_or_false(pictures: AnnotatedPictures[Statement]) -> AnnotatedPictures[Question]:
    """Statements as questions whose answer is true or false."""
    words = {"en": ("false", "true"), "zh": ("错", "对")}
    records = tuple(
        tuple(
            Question(
                text=s.text, answers=(words[s.language][s.is_true],), language=s.language, kind="statement"
            )
            for s in pictures.items(row)
        )
        for row in range(len(pictures))
    )
    return AnnotatedPictures(pictures.names, records, pictures.store, pictures.where)


def answers_of(pictures: AnnotatedPictures[Question]) -> Sequence[str]:
    """All targets of a split, sorted."""
    return sorted({q.answers[0] for row in range(len(pictures)) for q in pictures.items(row)})
