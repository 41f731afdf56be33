# SPDX-License-Identifier: MIT
"""Pictures with classes, boxes or masks of a user."""

from __future__ import annotations

from intern25.data.decoding import without_bad_images
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.checking import without_defects as usable_objects
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.sources import read_detection_splits
from intern25.data.labelled import Splits
from intern25.data.multimodal.crops import NamedSplits, read_named_splits
from intern25.data.picture_views import PictureView
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.checking import without_defects as usable_masks
from intern25.data.segmentation.sources import read_semantic_splits
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.detection import DetectionTask
from intern25.generalist.tasks.segmentation import SegmentationTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.own.settings import OwnSettings


def classify(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Pictures with a class each."""
    named = named_pictures(path, settings)
    return MixturePart(task=classification(name, named, settings), batch_size=32, share=1.0)


def named_pictures(path: str, settings: OwnSettings) -> NamedSplits:
    """Labelled pictures that can be read, with names."""
    named = read_named_splits(path, validation_fraction=settings.validation_fraction, seed=settings.seed)
    train, bad = without_bad_images(named.splits.train, skip_bad=settings.skip_bad)
    val, also_bad = without_bad_images(named.splits.val, skip_bad=settings.skip_bad)
    settings.tell([image.reason for image in (*bad, *also_bad)])
    return NamedSplits(Splits(train, val), named.names)


def classification(name: str, named: NamedSplits, settings: OwnSettings) -> ClassificationTask:
    """Task of labelled pictures."""
    return ClassificationTask(
        name,
        named.splits,
        named.names,
        settings.tokenizer,
        view=PictureView(size=settings.square(128), min_scale=0.35, flip=0.5, jitter=0.3),
        evaluate_most=settings.evaluate_most,
    )


def detect(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Pictures with boxes, and masks where there are some."""
    splits = read_detection_splits(path, validation_fraction=settings.validation_fraction, seed=settings.seed)
    train, val = (_objects(images, settings) for images in (splits.train, splits.val))
    short = settings.side(288)
    long = short * 4 // 3
    task = DetectionTask(
        name,
        train,
        val,
        settings.tokenizer,
        augmentation=DetectionAugmentation(short_side=short, long_side=long, flip=0.5, photometric=0.5),
        preprocessing=DetectionPreprocessing(short_side=short, long_side=long),
        criterion=ProposalCriterion(),
        masks=any(annotation.masks is not None for annotation in train.annotations),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=4, share=1.0)


def _objects(images: StoredDetectionImages, settings: OwnSettings) -> StoredDetectionImages:
    good, defects = usable_objects(images, masks=False, skip_bad=settings.skip_bad)
    settings.tell(defects)
    return good


def segment(path: str, name: str, settings: OwnSettings) -> MixturePart:
    """Pictures with a class for each pixel."""
    splits = read_semantic_splits(path, validation_fraction=settings.validation_fraction, seed=settings.seed)
    train, bad = usable_masks(splits.train, skip_bad=settings.skip_bad)
    val, also_bad = usable_masks(splits.val, skip_bad=settings.skip_bad)
    settings.tell([*bad, *also_bad])
    side = settings.side(288)
    long = side * 4 // 3
    task = SegmentationTask(
        name,
        train,
        val,
        settings.tokenizer,
        augmentation=SegmentationAugmentation(
            crop=(side, side), short_side=side, long_side=long, scale=(0.5, 1.5), flip=0.5, photometric=0.5
        ),
        preprocessing=SegmentationPreprocessing(short_side=side, long_side=long),
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=5, share=1.0)
