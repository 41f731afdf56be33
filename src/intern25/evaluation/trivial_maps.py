# SPDX-License-Identifier: MIT
"""What a segmenter must beat: one map for every picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.data.segmentation.images import SemanticImages
from intern25.evaluation.semantic import ConfusionMatrix, SemanticReport

SIDE = 64
"""Rows and columns of places that are told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class MajorityMap:
    """Each pixel has the class that is most frequent at its place in the training pictures."""

    labels: Tensor
    """``(SIDE, SIDE)`` int64."""
    overall: int
    """The most frequent class of all places."""

    @classmethod
    def of(cls, images: SemanticImages) -> MajorityMap:
        """Count the training pictures; pixels without a class do not count."""
        classes = len(images.classes)
        counts = torch.zeros(classes, SIDE, SIDE, dtype=torch.float64)
        for index in range(len(images)):
            mask = torch.from_numpy(images.mask(index)).long().clamp(max=classes)
            planes = F.one_hot(mask, classes + 1).permute(2, 0, 1)[:classes]
            counts += F.adaptive_avg_pool2d(planes.double(), SIDE)
        return cls(counts.argmax(dim=0), int(counts.sum(dim=(1, 2)).argmax()))

    def score(self, images: SemanticImages, *, by_place: bool = True) -> SemanticReport:
        """Score the map, or the one most frequent class, on held-out pictures."""
        matrix = ConfusionMatrix(len(images.classes))
        guess = self.labels if by_place else torch.full_like(self.labels, self.overall)
        for index in range(len(images)):
            truth = torch.from_numpy(images.mask(index))
            sized = F.interpolate(guess[None, None].double(), truth.shape)[0, 0]
            matrix.add(truth, sized.long())
        return matrix.report(images.classes.en, len(images), 1.0)
