# SPDX-License-Identifier: MIT
"""Rendered street scenes, which every kind of task learns from."""

from __future__ import annotations

from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing, Size
from intern25.data.scenes.config import SceneConfig
from intern25.data.scenes.dataset import StreetScenes
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.drawing.fonts import find_chinese_font
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.tasks.detection import DetectionTask
from intern25.generalist.tasks.metrics import caption_scores, kind_accuracy
from intern25.generalist.tasks.naming import NamingTask
from intern25.generalist.tasks.questions import CaptionedPictures, JoinedSources
from intern25.generalist.tasks.referring import ReferringTask
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.segmentation import SegmentationTask
from intern25.generalist.tasks.street_scenes import (
    SceneCaptions,
    SceneObjects,
    SceneQuestions,
    SceneReferences,
    SceneRegions,
    SceneThings,
)
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.drawn_questions import drawn_answers
from intern25.training.generalist.packs.settings import (
    HELD_OUT_SCENES,
    QUESTION_SIZE,
    TEST_SEED,
    VAL_SEED,
    PackSettings,
)

CLOSE_WORLD = SceneConfig(close=1.0)
"""Scenes of which each shows one thing close up."""


def _scenes(settings: PackSettings, size: Size = (128, 128)) -> tuple[StreetScenes, StreetScenes]:
    """Scenes to learn from, and those of another seed to be scored on."""
    font = find_chinese_font()
    train = StreetScenes(settings.scenes, settings.seed, size, font=font)
    seed = TEST_SEED if settings.held_out == "test" else VAL_SEED
    return train, StreetScenes(settings.evaluate_most or HELD_OUT_SCENES, seed, size, font=font)


def questions(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """A driver's questions and statements to judge."""
    train, val = _scenes(settings, QUESTION_SIZE)
    asked = SceneQuestions(train, count=6)
    # Every other scene shows something close up: what a question means is learnt there first.
    close = StreetScenes(
        settings.scenes, settings.seed + 1, QUESTION_SIZE, config=CLOSE_WORLD, font=find_chinese_font()
    )
    task = WritingTask(
        "drive_scenes",
        JoinedSources((asked, SceneQuestions(close, count=6))),
        SceneQuestions(val, count=6),
        settings.tokenizer,
        view=PictureView(size=QUESTION_SIZE, jitter=0.15),
        metric=kind_accuracy,
        questions_per_picture=6,
        max_length=12,
        candidates=drawn_answers(asked),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=12, share=3.0)


def names(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Full names of lights, signs, vehicles, people and animals."""
    train, val = _scenes(settings, QUESTION_SIZE)
    task = NamingTask(
        "name_scenes",
        SceneThings(train),
        SceneThings(val),
        settings.tokenizer,
        view=PictureView(size=(64, 64), jitter=0.15),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=24, share=4.0)


def captions(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """One caption in each language."""
    train, val = _scenes(settings)
    task = WritingTask(
        "caption_scenes",
        CaptionedPictures(SceneCaptions(train)),
        CaptionedPictures(SceneCaptions(val)),
        settings.tokenizer,
        view=PictureView(size=(128, 128), jitter=0.15),
        metric=caption_scores,
        questions_per_picture=2,
        max_length=32,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=16, share=0.2)


def retrieval(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Scenes and their captions."""
    train, val = _scenes(settings)
    task = RetrievalTask(
        "retrieval_scenes",
        SceneCaptions(train),
        SceneCaptions(val),
        settings.tokenizer,
        view=PictureView(size=(128, 128), jitter=0.15),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=48, share=0.15)


def objects(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Vehicles, people, animals, lights and signs with masks."""
    train, val = _scenes(settings, (192, 192))
    task = DetectionTask(
        "detect_scenes",
        SceneObjects(train),
        SceneObjects(val),
        settings.tokenizer,
        augmentation=DetectionAugmentation(short_side=192, long_side=192, flip=0.0, photometric=0.3),
        preprocessing=DetectionPreprocessing(short_side=192, long_side=192),
        criterion=ProposalCriterion(),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=6, share=0.4)


def regions(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """The classes of CamVid."""
    train, val = _scenes(settings, (192, 192))
    task = SegmentationTask(
        "segment_scenes",
        SceneRegions(train),
        SceneRegions(val),
        settings.tokenizer,
        augmentation=SegmentationAugmentation(
            crop=(160, 160), short_side=192, long_side=192, scale=(0.9, 1.3), flip=0.5, photometric=0.3
        ),
        preprocessing=SegmentationPreprocessing(short_side=192, long_side=192),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=8, share=0.15)


def references(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Phrases that mean one object."""
    train, val = _scenes(settings, (160, 160))
    task = ReferringTask(
        "refer_scenes",
        SceneReferences(train),
        SceneReferences(val),
        settings.tokenizer,
        criterion=ProposalCriterion(),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=6, share=0.2)
