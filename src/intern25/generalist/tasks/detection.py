# SPDX-License-Identifier: MIT
"""Detection and instance segmentation: proposals of no class, which are compared with class names."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from intern25.data.class_names import Language
from intern25.data.detection.annotations import DetectionImages
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.batch import pad_together
from intern25.data.detection.sample import DetectionSample, sample_of
from intern25.data.resizing import DetectionPreprocessing
from intern25.detection.targets import DetectionTarget
from intern25.evaluation.coco import CocoScores
from intern25.evaluation.detection import evaluate_detection, score_detections
from intern25.evaluation.trivial_boxes import MeanBoxes
from intern25.generalist.closed_lists import ListDetector
from intern25.generalist.model import Generalist
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.proposal_targets import ProposalTargets
from intern25.generalist.routing import DETECTION
from intern25.generalist.tasks.batch import TaskBatch
from intern25.generalist.tasks.first_pictures import TRIVIAL_PICTURES, first_pictures, scored_names
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.layers.losses import mean_count, sigmoid_focal_loss

NAME_WEIGHT = 2.0
"""Weight of the focal loss over names."""


@dataclass(slots=True, kw_only=True)
class DetectionBatch(TaskBatch):
    """Pictures with their objects, and the names of all classes in one language."""

    targets: list[DetectionTarget]
    """Objects in pixels of ``images``."""
    names: TokenBatch
    """Names of the classes."""


class DetectionTask:
    """Boxes, masks and objectness without a class, and a focal loss over names for every proposal.

    Args:
        name: Name in logs.
        train: Pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns names into tokens.
        augmentation: Training transform.
        preprocessing: Evaluation transform.
        criterion: Loss of the proposals.
        masks: Whether masks are learnt where a picture has them.
        evaluate_most: Held-out pictures that are scored, then with English names only; 0 = all.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.2: tasks with localisation.
    """

    def __init__(
        self,
        name: str,
        train: DetectionImages,
        val: DetectionImages,
        tokenizer: Tokenizer,
        *,
        augmentation: DetectionAugmentation,
        preprocessing: DetectionPreprocessing,
        criterion: ProposalCriterion,
        masks: bool = True,
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.criterion = criterion
        self.masks = masks
        self.evaluate_most = evaluate_most
        classes = train.classes
        self._names: dict[Language, TokenBatch] = {
            "en": tokenizer.encode(classes.en, max_length=32),
            "zh": tokenizer.encode(classes.zh, max_length=32),
        }

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> DetectionBatch:
        """Make a batch of pictures padded to one size."""
        draw = random.Random(seed)

        def other(source: random.Random) -> DetectionSample:
            return self._sample(source.randrange(len(self.train)))

        pairs = [
            self.augmentation(
                self._sample(index), draw.getrandbits(62), other if self.augmentation.mosaic else None
            )
            for index in indices
        ]
        images = pad_together([image for image, _ in pairs])
        return DetectionBatch(
            task=self.name,
            images=images,
            targets=[_padded(target, images) for _, target in pairs],
            names=self._names["zh" if draw.random() < 0.5 else "en"],
        )

    def _sample(self, index: int) -> DetectionSample:
        annotation = self.train.annotation(index)
        return sample_of(self.train.image(index), annotation, masks=self.masks and annotation.has_all_masks)

    def losses(self, model: Generalist, batch: DetectionBatch) -> dict[str, Tensor]:
        """Losses of the proposals and of their names."""
        height, width = batch.images.shape[-2:]
        targets = proposal_targets(batch.targets, (height, width))
        features = model.encode_image(batch.pictures, regions=None, targets=targets)
        proposals = features.proposals
        assert proposals is not None, "asked for above"
        losses = self.criterion(proposals, targets)
        names = model.embed_texts(batch.names, DETECTION)
        states = model.embed_regions(features, DETECTION)
        logits = model.readout.sigmoid_logits(states, names, "region").float()
        background = len(batch.names.ids)
        labels = torch.full(logits.shape[:2], background, device=logits.device)
        matches = losses.matches
        counts = torch.tensor([0, *(len(target) for target in batch.targets)]).cumsum(0).to(labels.device)
        every = torch.cat([target.labels for target in batch.targets])
        labels[matches.pictures, matches.queries] = every[counts[matches.pictures] + matches.objects]
        found = mean_count(len(matches.queries), logits.device)
        named = sigmoid_focal_loss(logits.flatten(0, 1), labels.flatten(), avg_factor=found)
        return {**losses.terms, "name": NAME_WEIGHT * named}

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """COCO average precision of boxes and of masks, where there are some, with names of each language."""
        figures: dict[str, float] = {}
        val = first_pictures(self.val, self.evaluate_most)
        for language, names in scored_names(self._names, self.evaluate_most).items():
            detector = ListDetector(model, names, with_masks=self.masks).eval()
            report = evaluate_detection(detector, val, self.preprocessing, batch_size=4, device=model.device)
            figures[f"ap_{language}"] = cast(CocoScores, report.box).ap
            figures[f"ap50_{language}"] = cast(CocoScores, report.box).ap50
            if report.mask is not None:
                figures[f"mask_ap_{language}"] = report.mask.ap
        return figures

    def settings(self) -> dict[str, Any]:
        """Transform of the pictures in which objects are looked for."""
        return {"detection": self.preprocessing}

    def trivial(self) -> dict[str, float]:
        """Figures of the same boxes in every picture."""
        val = first_pictures(self.val, self.evaluate_most)
        mean = MeanBoxes.of(first_pictures(self.train, TRIVIAL_PICTURES))
        annotations = [val.annotation(row) for row in range(len(val))]
        predictions = [mean.predict(annotation.size) for annotation in annotations]
        scores = cast(CocoScores, score_detections(annotations, predictions, val.classes.en)[0])
        names = scored_names(self._names, self.evaluate_most)
        return {f"ap_{x}": scores.ap for x in names} | {f"ap50_{x}": scores.ap50 for x in names}


def proposal_targets(targets: list[DetectionTarget], size: tuple[int, int]) -> list[ProposalTargets]:
    """Objects without their classes, as shares of pictures of ``size``."""
    return [
        ProposalTargets.of_pixels(
            target.boxes, size, None if target.masks is None else target.masks.to(torch.bool)
        )
        for target in targets
    ]


def _padded(target: DetectionTarget, images: Tensor) -> DetectionTarget:
    """Give masks the size of the padded pictures."""
    if target.masks is None:
        return target
    height, width = images.shape[-2:]
    masks = target.masks.new_zeros((len(target), height, width))
    masks[:, : target.masks.shape[1], : target.masks.shape[2]] = target.masks
    return DetectionTarget(boxes=target.boxes, labels=target.labels, masks=masks, ignored=target.ignored)
