# SPDX-License-Identifier: MIT
"""Semantic segmentation: every pixel against the names of all classes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from intern25.data.class_names import Language
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.segmentation.images import SemanticImages
from intern25.evaluation.semantic import evaluate_segmentation
from intern25.evaluation.trivial_maps import MajorityMap
from intern25.generalist.closed_lists import ListSegmenter
from intern25.generalist.dense_head import dense_head_losses, dense_logits
from intern25.generalist.model import Generalist
from intern25.generalist.routing import DENSE
from intern25.generalist.tasks.batch import TaskBatch
from intern25.generalist.tasks.first_pictures import TRIVIAL_PICTURES, first_pictures, scored_names
from intern25.generalist.tokenizer import TokenBatch, Tokenizer

DICE_WEIGHT = 0.5


@dataclass(slots=True, kw_only=True)
class SegmentationBatch(TaskBatch):
    """Pictures with a class for each pixel, and the names of all classes in one language."""

    masks: Tensor
    """``(N, H, W)`` int64, 255 = ignored."""
    names: TokenBatch
    """Names of the classes."""


class SegmentationTask:
    """Cross entropy and dice over the cosines between a pixel and every class name.

    Args:
        name: Name in logs.
        train: Pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns names into tokens.
        augmentation: Training transform.
        preprocessing: Evaluation transform.
        class_weights: Weight of each class in the cross entropy; empty for ones.
        evaluate_most: Held-out pictures that are scored, then with English names only; 0 = all.
    """

    def __init__(
        self,
        name: str,
        train: SemanticImages,
        val: SemanticImages,
        tokenizer: Tokenizer,
        *,
        augmentation: SegmentationAugmentation,
        preprocessing: SegmentationPreprocessing,
        class_weights: tuple[float, ...] = (),
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.class_weights = class_weights
        self.evaluate_most = evaluate_most
        self._names: dict[Language, TokenBatch] = {
            "en": tokenizer.encode(train.classes.en, max_length=32),
            "zh": tokenizer.encode(train.classes.zh, max_length=32),
        }

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> SegmentationBatch:
        """Make a batch of crops."""
        draw = random.Random(seed)
        pairs = [
            self.augmentation(self.train.image(index), self.train.mask(index), draw.getrandbits(62))
            for index in indices
        ]
        return SegmentationBatch(
            task=self.name,
            images=torch.stack([image for image, _ in pairs]),
            masks=torch.stack([mask for _, mask in pairs]),
            names=self._names["zh" if draw.random() < 0.5 else "en"],
        )

    def losses(self, model: Generalist, batch: SegmentationBatch) -> dict[str, Tensor]:
        """Cross entropy, weighted by class, and soft dice."""
        names = model.embed_texts(batch.names, DENSE)
        pixels = model.encode_pixels(batch.pictures)
        scores = dense_logits(pixels, names, model.readout.scale("dense"))
        return dense_head_losses(
            scores, batch.masks, class_weights=self.class_weights, dice_weight=DICE_WEIGHT
        )

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Mean IoU with the names of each language."""
        figures = {}
        val = first_pictures(self.val, self.evaluate_most)
        for language, names in scored_names(self._names, self.evaluate_most).items():
            segmenter = ListSegmenter(model, names).eval()
            report = evaluate_segmentation(
                segmenter,  # type: ignore[arg-type]
                val,
                self.preprocessing,
                batch_size=4,
                device=model.device,
            )
            figures[f"miou_{language}"] = report.mean_iou
        return figures

    def settings(self) -> dict[str, Any]:
        """Transform of the pictures whose pixels are named."""
        return {"segmentation": self.preprocessing}

    def trivial(self) -> dict[str, float]:
        """Figures of the class that is most frequent at each place."""
        val = first_pictures(self.val, self.evaluate_most)
        most = first_pictures(self.train, TRIVIAL_PICTURES)
        score = MajorityMap.of(most).score(val).mean_iou
        return {f"miou_{language}": score for language in scored_names(self._names, self.evaluate_most)}
