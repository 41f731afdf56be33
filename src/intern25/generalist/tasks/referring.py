# SPDX-License-Identifier: MIT
"""Referring expressions and text-to-region retrieval: which region does a phrase mean?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from intern25.data.multimodal.records import Reference
from intern25.detection.targets import DetectionTarget
from intern25.generalist.features import ImageFeatures
from intern25.generalist.model import Generalist
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.routing import DETECTION
from intern25.generalist.tasks.batch import TaskBatch, stacked
from intern25.generalist.tasks.detection import proposal_targets
from intern25.generalist.tasks.first_pictures import TRIVIAL_PICTURES
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.layers.boxes import cxcywh_to_xyxy, iou_matrix

_EVALUATION_BATCH = 16
_EVALUATION_SEED = 20230314


class ReferredPictures(Protocol):
    """Pictures with objects and phrases that mean one of them, drawn from a seed."""

    def __len__(self) -> int: ...

    def sample(
        self, index: int, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], Sequence[Reference]]:
        """Return pixels ``(H, W, 3)``, boxes ``(K, 4)`` in pixels, and phrases."""
        ...


@dataclass(slots=True, kw_only=True)
class ReferringBatch(TaskBatch):
    """Pictures with boxes, and phrases."""

    targets: list[DetectionTarget]
    """All objects of each picture."""
    phrases: TokenBatch
    """``T`` phrases."""
    owner: Tensor
    """``(T,)`` picture of each phrase."""
    meant: Tensor
    """``(T,)`` object of that picture."""


class ReferringTask:
    """Cross entropy over the regions of a picture for each phrase, beside the losses of the proposals.

    Args:
        name: Name in logs.
        train: Pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns phrases into tokens.
        criterion: Loss of the proposals.
        evaluate_most: Held-out pictures that are scored; 0 = all.
    """

    def __init__(
        self,
        name: str,
        train: ReferredPictures,
        val: ReferredPictures,
        tokenizer: Tokenizer,
        *,
        criterion: ProposalCriterion,
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.tokenizer = tokenizer
        self.criterion = criterion
        self.evaluate_most = evaluate_most

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> ReferringBatch:
        """Make a batch; a picture without phrases still trains the proposals."""
        draw = random.Random(seed)
        samples = [self.train.sample(index, draw.getrandbits(62)) for index in indices]
        return self._batch(samples)

    def _batch(
        self, samples: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32], Sequence[Reference]]]
    ) -> ReferringBatch:
        asked = [(row, reference) for row, (_, _, found) in enumerate(samples) for reference in found]
        phrases = [reference.text for _, reference in asked] or ["nothing"]
        return ReferringBatch(
            task=self.name,
            images=stacked([torch.from_numpy(image).permute(2, 0, 1) for image, _, _ in samples]),
            targets=[
                DetectionTarget(
                    boxes=torch.from_numpy(boxes), labels=torch.zeros(len(boxes), dtype=torch.int64)
                )
                for _, boxes, _ in samples
            ],
            phrases=self.tokenizer.encode(phrases, max_length=32),
            owner=torch.tensor([row for row, _ in asked], dtype=torch.int64),
            meant=torch.tensor([reference.index for _, reference in asked], dtype=torch.int64),
        )

    def losses(self, model: Generalist, batch: ReferringBatch) -> dict[str, Tensor]:
        """Losses of the proposals, and cross entropy of the proposal that was matched to the meant object."""
        height, width = batch.images.shape[-2:]
        targets = proposal_targets(batch.targets, (height, width))
        features = model.encode_image(batch.pictures, regions=None, targets=targets)
        assert features.proposals is not None, "asked for above"
        losses = self.criterion(features.proposals, targets)
        logits = _scores(model, features, batch.phrases, batch.owner)
        matches = losses.matches
        # (T, M): the pair of query and object that a phrase means, if the object was matched.
        meant = (matches.pictures == batch.owner[:, None]) & (matches.objects == batch.meant[:, None])
        known = meant.any(dim=1)
        if not known.any():
            # Also without any phrase: processes must agree on the terms, and on who has a gradient.
            return {**losses.terms, "refer": logits.sum() * 0.0}
        right = matches.queries[meant[known].int().argmax(dim=1)]
        return {**losses.terms, "refer": F.cross_entropy(logits[known], right)}

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Share of phrases whose best region overlaps the meant object by half or more."""
        number = min(self.evaluate_most or len(self.val), len(self.val))
        right, total = 0, 0
        for start in range(0, number, _EVALUATION_BATCH):
            rows = range(start, min(start + _EVALUATION_BATCH, number))
            batch = self._batch([self.val.sample(row, _EVALUATION_SEED + row) for row in rows])
            if not len(batch.owner):
                continue
            batch = batch.to(model.device)
            features = model.encode_image(batch.pictures, regions=None)
            best = _scores(model, features, batch.phrases, batch.owner).argmax(dim=1)
            assert features.proposals is not None, "asked for above"
            height, width = batch.images.shape[-2:]
            size = torch.tensor([width, height] * 2, dtype=torch.float32, device=model.device)
            for phrase, (row, index) in enumerate(
                zip(batch.owner.tolist(), batch.meant.tolist(), strict=True)
            ):
                box = cxcywh_to_xyxy(features.proposals.boxes[row, best[phrase]].float())[None] * size
                right += int(iou_matrix(box, batch.targets[row].boxes[index][None])[0, 0] >= 0.5)
                total += 1
        return {"accuracy50": right / max(total, 1)}

    def trivial(self) -> dict[str, float]:
        """Figures of the box that phrases of the training pictures mean on average."""
        meant = [box / size for box, size in self._meant(self.train, TRIVIAL_PICTURES)]
        mean = torch.stack(meant).mean(dim=0)
        found = [
            float(iou_matrix((mean * size)[None], box[None])[0, 0] >= 0.5)
            for box, size in self._meant(self.val, self.evaluate_most)
        ]
        return {"accuracy50": sum(found) / max(len(found), 1)}

    def _meant(self, source: ReferredPictures, most: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Boxes ``(4,)`` that phrases mean, with the (width, height, width, height) of their pictures."""
        for row in range(min(most or len(source), len(source))):
            image, boxes, phrases = source.sample(row, _EVALUATION_SEED + row)
            size = torch.tensor([image.shape[1], image.shape[0]] * 2, dtype=torch.float32)
            for phrase in phrases:
                yield torch.from_numpy(boxes[phrase.index]).float(), size


def _scores(model: Generalist, features: ImageFeatures, phrases: TokenBatch, owner: Tensor) -> Tensor:
    """``(T, Q)`` logits of each phrase over the regions of its picture."""
    regions = model.embed_regions(features, DETECTION)[owner]
    texts = model.embed_texts(phrases, DETECTION)[: len(owner)]
    return model.readout.logits(regions, texts[:, None], "region")[..., 0]
