# SPDX-License-Identifier: MIT
"""Questions that rules draw from boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.data.detection.sources import read_detection
from intern25.data.multimodal.light_questions import light_questions
from intern25.data.multimodal.object_questions import object_questions
from intern25.data.multimodal.street_questions import street_questions
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.data.segmentation.sources import read_semantic
from intern25.generalist.tasks.metrics import kind_accuracy
from intern25.generalist.tasks.questions import (
    DerivedQuestions,
    QuestionSource,
)
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    QUESTION_SIZE,
    SQUARE,
    PackSettings,
)

_ANSWER_DRAWS, _ANSWER_PICTURES = 4, 200


def streets(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """What a driver asks, answered from the masks of CamVid."""
    path = packs.path("camvid")
    if path is None:
        return None
    train = DerivedQuestions(street_questions(read_semantic(path, split="train").decoded_in_memory()))
    val = DerivedQuestions(street_questions(read_semantic(path, split=settings.held_out), seed=1))
    task = WritingTask(
        "drive_streets",
        train,
        val,
        settings.tokenizer,
        view=PictureView(size=QUESTION_SIZE, jitter=0.3),
        metric=kind_accuracy,
        questions_per_picture=4,
        max_length=8,
        candidates=drawn_answers(train),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=10, share=0.6)


def junctions(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """What a driver asks at Chinese junctions, answered from the boxes of the lights."""
    path = packs.path("traffic_lights_cn")
    if path is None:
        return None
    train = DerivedQuestions(light_questions(read_detection(path, split="train").decoded_in_memory()))
    val = DerivedQuestions(light_questions(read_detection(path, split="val"), seed=1))
    task = WritingTask(
        "drive_junctions",
        train,
        val,
        settings.tokenizer,
        view=PictureView(size=(288, 384), min_scale=0.6, jitter=0.3, grey=0.02),
        other_sizes=(QUESTION_SIZE,),
        metric=kind_accuracy,
        questions_per_picture=4,
        max_length=8,
        candidates=drawn_answers(train),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=6, share=0.6)


def things(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """What is in a picture and how often, answered from the boxes of COCO."""
    path = packs.path("coco_mini491")
    if path is None:
        return None
    train = read_detection(path, split="train", format="coco").decoded_in_memory().with_objects()
    asked = DerivedQuestions(object_questions(train))
    task = WritingTask(
        "vqa_things",
        asked,
        DerivedQuestions(object_questions(read_detection(path, split="val", format="coco"), seed=1)),
        settings.tokenizer,
        view=PictureView(size=SQUARE, jitter=0.3),
        other_sizes=(QUESTION_SIZE,),
        metric=kind_accuracy,
        questions_per_picture=4,
        max_length=10,
        candidates=drawn_answers(asked),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=16, share=0.15)


def drawn_answers(source: QuestionSource) -> Sequence[str]:
    """Targets of the questions that some draws give, sorted."""
    seeds = range(_ANSWER_DRAWS)
    return sorted(
        {
            q.answers[0]
            for row in range(min(len(source), _ANSWER_PICTURES))
            for s in seeds
            for q in source.questions(row, s)
        }
    )
