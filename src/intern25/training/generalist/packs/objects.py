# SPDX-License-Identifier: MIT
"""Boxes and masks of cells, nuclei, lights and everyday things."""

from __future__ import annotations

from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.sources import read_detection
from intern25.data.packs import PackFolder
from intern25.data.resizing import DetectionPreprocessing
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.tasks.detection import DetectionTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    PackSettings,
)


def cells(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Blood cells: BCCD."""
    path = packs.path("bccd")
    if path is None:
        return None
    task = DetectionTask(
        "detect_cells",
        read_detection(path, split="train").decoded_in_memory(),
        read_detection(path, split=settings.held_out),
        settings.tokenizer,
        augmentation=DetectionAugmentation(
            short_side=288, long_side=384, flip=0.5, vertical_flip=0.5, photometric=0.5
        ),
        preprocessing=DetectionPreprocessing(short_side=288, long_side=384),
        criterion=ProposalCriterion(),
        masks=False,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=4, share=2.0)


def lights(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Lights of Chinese junctions."""
    path = packs.path("traffic_lights_cn")
    if path is None:
        return None
    task = DetectionTask(
        "detect_lights",
        read_detection(path, split="train").decoded_in_memory(),
        read_detection(path, split="val"),
        settings.tokenizer,
        augmentation=DetectionAugmentation(
            kind="multi_scale", short_side=320, long_side=480, flip=0.0, photometric=0.5
        ),
        preprocessing=DetectionPreprocessing(short_side=320, long_side=480),
        criterion=ProposalCriterion(),
        masks=False,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=4, share=0.15)


def nuclei(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Nuclei with masks: Data Science Bowl 2018."""
    path = packs.path("dsb2018_256")
    if path is None:
        return None
    task = DetectionTask(
        "detect_nuclei",
        read_detection(path, split="train").decoded_in_memory().with_objects(masks=True),
        read_detection(path, split="val"),
        settings.tokenizer,
        augmentation=DetectionAugmentation(
            short_side=256, long_side=320, flip=0.5, vertical_flip=0.5, turn=0.5, photometric=0.5
        ),
        preprocessing=DetectionPreprocessing(short_side=256, long_side=320),
        criterion=ProposalCriterion(),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=4, share=0.3)


def things(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Everyday things with masks: COCO."""
    path = packs.path("coco_mini491")
    if path is None:
        return None
    task = DetectionTask(
        "detect_things",
        read_detection(path, split="train", format="coco").decoded_in_memory().with_objects(),
        read_detection(path, split="val", format="coco"),
        settings.tokenizer,
        augmentation=DetectionAugmentation(short_side=256, long_side=352, flip=0.5, photometric=0.5),
        preprocessing=DetectionPreprocessing(short_side=256, long_side=352),
        criterion=ProposalCriterion(),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=4, share=0.1)
