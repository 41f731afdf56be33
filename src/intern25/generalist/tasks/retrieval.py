# SPDX-License-Identifier: MIT
"""Image-text and text-image retrieval: pictures and captions of a batch find each other."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from intern25.data.multimodal.pictures import Pictures
from intern25.data.multimodal.records import Sentence
from intern25.data.picture_views import PictureView
from intern25.data.seeding import derive_seed
from intern25.evaluation.retrieval import score_retrieval
from intern25.generalist.model import Generalist
from intern25.generalist.routing import MATCHING
from intern25.generalist.tasks.batch import TaskBatch, seen_by, stacked
from intern25.generalist.tasks.first_pictures import drawn_pictures
from intern25.generalist.tokenizer import TokenBatch, Tokenizer

_EVALUATION_BATCH = 64


@dataclass(slots=True, kw_only=True)
class RetrievalBatch(TaskBatch):
    """Pictures and one caption of each."""

    texts: TokenBatch
    """``N`` captions."""
    same: Tensor | None
    """``(N, N)`` bool: text j is a caption of picture i as well; None where only the diagonal is."""


class RetrievalTask:
    """Symmetric cross entropy over the cosines of all pairs of a batch.

    Convention: pictures without captions neither train nor count.

    Args:
        name: Name in logs.
        train: Captioned pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns captions into tokens.
        view: What the model sees of a picture.
        max_length: Most tokens of a caption.
        evaluate_most: Held-out pictures that are scored, drawn by a seed that never changes; 0 = all.

    Source:
        Uni-Perceiver, arXiv:2112.01522, table 1: retrieval.
    """

    def __init__(
        self,
        name: str,
        train: Pictures[Sentence],
        val: Pictures[Sentence],
        tokenizer: Tokenizer,
        *,
        view: PictureView,
        max_length: int = 40,
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.tokenizer = tokenizer
        self.view = view
        self.max_length = max_length
        self.evaluate_most = evaluate_most

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> RetrievalBatch:
        """Make a batch of pictures with one caption each, of any language.

        A picture without captions is left out; where none has any, the next ones are taken.

        Raises:
            ValueError: No picture of the data set has a caption.
        """
        for start in range(len(self)):
            moved = [(index + start) % len(self) for index in indices]
            batch = self._drawn_batch(moved, derive_seed(seed, start) if start else seed)
            if batch is not None:
                return batch
        raise ValueError(f"no picture of the task {self.name} has a caption; check its data")

    def _drawn_batch(self, indices: list[int], seed: int) -> RetrievalBatch | None:
        draw = random.Random(seed)
        found = {index: captions for index in indices if (captions := self.train.items(index))}
        indices = [index for index in indices if index in found]
        if not indices:
            return None
        pictures = [self.view(self.train.image(index), draw.getrandbits(62)) for index in indices]
        texts = [draw.choice(found[index]).text for index in indices]
        return RetrievalBatch(
            task=self.name,
            images=stacked(pictures),
            texts=self.tokenizer.encode(texts, max_length=self.max_length),
            same=matching_texts([{caption.text for caption in found[index]} for index in indices], texts),
        )

    def losses(self, model: Generalist, batch: RetrievalBatch) -> dict[str, Tensor]:
        """Symmetric cross entropy with label smoothing."""
        x = model.embed_images(model.encode_image(batch.pictures), MATCHING)
        y = model.embed_texts(batch.texts, MATCHING)
        return {"retrieval": model.readout.contrastive_loss(x, y, "retrieval", batch.same)}

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Recall at 1, 5 and 10 in both directions.

        Raises:
            ValueError: No held-out picture has a caption.
        """
        y: list[Tensor] = []
        owner: list[int] = []
        scored = self.scored()
        x = self.embed_pictures(model, scored)
        for start in range(0, len(scored), _EVALUATION_BATCH):
            rows = scored[start : start + _EVALUATION_BATCH]
            texts = [
                (place, item.text) for place, row in enumerate(rows, start) for item in self.val.items(row)
            ]
            tokens = self.tokenizer.encode([text for _, text in texts], max_length=self.max_length)
            y.append(model.embed_texts(tokens.to(model.device), MATCHING))
            owner.extend(place for place, _ in texts)
        scores = model.readout.logits(x, torch.cat(y), "retrieval")
        report = score_retrieval(scores, owner)
        directions = {
            "image_to_text": report.image_to_text,
            "text_to_image": report.text_to_image,
            "chance_image_to_text": report.chance_image_to_text,
            "chance_text_to_image": report.chance_text_to_image,
        }
        mean = (report.image_to_text.at5 + report.text_to_image.at5) / 2
        return {"recall5": mean, **{f"{name}_at5": found.at5 for name, found in directions.items()}}

    @torch.no_grad()
    def embed_pictures(self, model: Generalist, rows: list[int]) -> Tensor:
        """Represent held-out pictures, ``(N, d)``."""
        parts = []
        for start in range(0, len(rows), _EVALUATION_BATCH):
            part = rows[start : start + _EVALUATION_BATCH]
            pictures = seen_by(model, [self.view.plain(self.val.image(row)) for row in part])
            parts.append(model.embed_images(model.encode_image(pictures), MATCHING))
        return torch.cat(parts)

    def scored(self) -> list[int]:
        """Held-out pictures that are scored, the same in every evaluation: those with captions.

        Raises:
            ValueError: None has a caption.
        """
        captioned = (row for row in drawn_pictures(len(self.val)) if self.val.items(row))
        rows = sorted(islice(captioned, self.evaluate_most or None))
        if not rows:
            raise ValueError(f"no held-out picture of the task {self.name} has a caption; check its data")
        return rows

    def settings(self) -> dict[str, Any]:
        """Size of the pictures that are compared with texts."""
        return {"embed_size": self.view.size}

    def trivial(self) -> dict[str, float]:
        """Figures of pictures and texts in random order."""
        scored = self.scored()
        owner = [place for place, row in enumerate(scored) for _ in self.val.items(row)]
        report = score_retrieval(torch.zeros(len(scored), len(owner)), owner)
        chance = report.chance_image_to_text.at5, report.chance_text_to_image.at5
        return {"recall5": sum(chance) / 2, "image_to_text_at5": chance[0], "text_to_image_at5": chance[1]}


def matching_texts(captions: list[set[str]], texts: list[str]) -> Tensor | None:
    """``(N, N)`` bool, True where text j is a caption of picture i; None where only the diagonal is."""
    alike = torch.tensor([[text in own for text in texts] for own in captions])
    return alike if int(alike.sum()) > len(texts) else None
