# SPDX-License-Identifier: MIT
"""Search by what many pictures have in common: "可爱毛绒绒的动物", something that flies in the sky."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from intern25.data.multimodal.kinds import KINDS
from intern25.data.multimodal.pictures import Pictures
from intern25.data.multimodal.records import Language, Sentence
from intern25.data.picture_views import PictureView
from intern25.evaluation.retrieval import score_name_search
from intern25.generalist.model import Generalist
from intern25.generalist.routing import MATCHING
from intern25.generalist.tasks.retrieval import RetrievalBatch, RetrievalTask
from intern25.generalist.tokenizer import Tokenizer

_LANGUAGES: tuple[Language, ...] = ("en", "zh")


class KindSearchTask:
    """Retrieval where a text fits many pictures; the score is the precision of the ten nearest ones.

    Args:
        name: Name in logs.
        train: Pictures with all that can be said of them, to learn from.
        val: Held-out ones.
        tokenizer: Turns texts into tokens.
        view: What the model sees of a picture.
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
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.retrieval = RetrievalTask(name, train, val, tokenizer, view=view, evaluate_most=evaluate_most)

    def __len__(self) -> int:
        return len(self.retrieval)

    def batch(self, indices: list[int], seed: int) -> RetrievalBatch:
        """Make a batch of pictures with one text each; see :meth:`RetrievalTask.batch`."""
        return self.retrieval.batch(indices, seed)

    def losses(self, model: Generalist, batch: RetrievalBatch) -> dict[str, Tensor]:
        """Symmetric cross entropy with label smoothing."""
        return self.retrieval.losses(model, batch)

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Mean precision of the ten pictures nearest to the name of each kind, by language."""
        scored = self.retrieval.scored()
        x, figures = self.retrieval.embed_pictures(model, scored), {}
        for language in _LANGUAGES:
            texts = self.tokenizer.encode(_names(language), max_length=self.retrieval.max_length)
            y = model.embed_texts(texts.to(model.device), MATCHING)
            scores = model.readout.logits(y, x, "retrieval")
            right = self._right(scored, language).to(scores.device)
            figures[f"precision10_{language}"] = score_name_search(scores, right).precision.at10
        return figures

    def settings(self) -> dict[str, Any]:
        """Size of the pictures that are compared with texts."""
        return self.retrieval.settings()

    def trivial(self) -> dict[str, float]:
        """Figures of pictures in random order."""
        scored = self.retrieval.scored()
        figures = {}
        for language in _LANGUAGES:
            right = self._right(scored, language)
            figures[f"precision10_{language}"] = float(right[right.any(dim=1)].double().mean())
        return figures

    def _right(self, scored: list[int], language: Language) -> Tensor:
        """``(kinds, pictures)`` bool, whether a picture is of a kind."""
        said = [{item.text for item in self.retrieval.val.items(row)} for row in scored]
        return torch.tensor([[name in texts for texts in said] for name in _names(language)])


def _names(language: Language) -> list[str]:
    return [kind.said(language)[0] for kind in KINDS]
