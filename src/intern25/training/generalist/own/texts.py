# SPDX-License-Identifier: MIT
"""Pictures with texts of a user: captions, questions, statements, words to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intern25.data.multimodal.captions import read_captions
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.questions import read_questions
from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import open_annotations
from intern25.data.multimodal.statements import read_statements
from intern25.data.multimodal.words import read_words
from intern25.data.picture_views import PictureView
from intern25.generalist.tasks.metrics import answer_accuracy, caption_scores, reading_scores
from intern25.generalist.tasks.questions import AskedPictures, CaptionedPictures, WrittenPictures
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.own.settings import OwnSettings, splits_of
from intern25.training.generalist.packs.questions import answers_of, true_or_false

MOST_CANDIDATES = 3129
"""Most different answers that a model chooses from besides writing them; the size of the usual VQA list."""


def retrieval(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Captioned pictures that find each other."""
    train, val = caption_splits(path, settings)
    return MixturePart(task=retrieval_task(name, train, val, settings), batch_size=64, share=1.0)


def retrieval_task(
    name: str, train: AnnotatedPictures[Sentence], val: AnnotatedPictures[Sentence], settings: OwnSettings
) -> RetrievalTask:
    """Task of captioned pictures."""
    view = PictureView(size=settings.square(128), min_scale=0.5, jitter=0.3, flip=0.5)
    return RetrievalTask(
        name, train, val, settings.tokenizer, view=view, evaluate_most=settings.evaluate_most
    )


def caption_splits(
    path: str, settings: OwnSettings
) -> tuple[AnnotatedPictures[Sentence], AnnotatedPictures[Sentence]]:
    """Captioned pictures that can be read."""
    return splits_of(lambda split: read_captions(path, split=split, skip_bad=settings.skip_bad), settings)


def caption(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Captions to write."""
    train, val = caption_splits(path, settings)
    task = WritingTask(
        name,
        CaptionedPictures(train),
        CaptionedPictures(val),
        settings.tokenizer,
        view=PictureView(size=settings.square(128), min_scale=0.6, jitter=0.3, flip=0.5),
        metric=caption_scores,
        max_length=32,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=32, share=1.0)


def vqa(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Questions with answers."""
    train, val = splits_of(
        lambda split: read_questions(path, split=split, skip_bad=settings.skip_bad), settings
    )
    answers = answers_of(train)
    task = WritingTask(
        name,
        AskedPictures(train),
        AskedPictures(val),
        settings.tokenizer,
        # No flip: questions and answers may say left and right.
        view=PictureView(size=settings.square(128), min_scale=0.8, jitter=0.3),
        metric=answer_accuracy,
        questions_per_picture=4,
        max_length=16,
        candidates=answers if len(answers) <= MOST_CANDIDATES else (),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=16, share=1.0)


def read(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Words and lines to read."""
    train, val = splits_of(lambda split: read_words(path, split=split, skip_bad=settings.skip_bad), settings)
    task = WritingTask(
        name,
        WrittenPictures(train),
        WrittenPictures(val),
        settings.tokenizer,
        view=PictureView(size=(48, 256), shift=0.05, jitter=0.4, grey=0.1),
        metric=reading_scores,
        max_length=28,
        characters=True,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=48, share=1.0)


def reason(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Statements that are true or false."""
    path = _only_file(path)

    def read_split(split: str) -> AnnotatedPictures[Any]:
        return read_statements(path, split=split, skip_bad=settings.skip_bad)

    train, val = (true_or_false(pictures) for pictures in splits_of(read_split, settings))
    task = WritingTask(
        name,
        AskedPictures(train),
        AskedPictures(val),
        settings.tokenizer,
        view=PictureView(size=settings.square(128), jitter=0.1),
        metric=answer_accuracy,
        questions_per_picture=2,
        max_length=4,
        candidates=answers_of(train),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=32, share=1.0)


def _only_file(path: str) -> str:
    """The one file of statements of a folder, which then need not name a split; else the path itself."""
    tree, file = open_annotations(path)
    names = [name for name in tree.names if name.endswith(".jsonl")]
    if len(names) > 1:
        names = [name for name in names if "statement" in name.lower()]
    return path if file is not None or len(names) != 1 else str(Path(path) / names[0])
