# SPDX-License-Identifier: MIT
"""Streets with a class for each pixel."""

from __future__ import annotations

from intern25.data.packs import PackFolder
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.sources import read_semantic
from intern25.generalist.tasks.segmentation import SegmentationTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    PackSettings,
)
from intern25.training.segmentation import balanced_weights


def streets(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Eleven classes of street scenes: CamVid."""
    path = packs.path("camvid")
    if path is None:
        return None
    train = read_semantic(path, split="train").decoded_in_memory()
    task = SegmentationTask(
        "segment_streets",
        train,
        read_semantic(path, split=settings.held_out),
        settings.tokenizer,
        augmentation=SegmentationAugmentation(
            crop=(256, 320), short_side=360, long_side=480, scale=(0.5, 1.5), flip=0.5, photometric=0.8
        ),
        preprocessing=SegmentationPreprocessing(short_side=360, long_side=480),
        class_weights=balanced_weights(train.pixel_counts(), 0.5),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=5, share=1.7)
