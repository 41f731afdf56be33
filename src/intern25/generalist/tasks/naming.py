# SPDX-License-Identifier: MIT
"""Naming: what is shown in the middle of a window, by its full name, in Chinese or English."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from intern25.data.class_names import ClassNames, Language
from intern25.data.picture_views import PictureView
from intern25.generalist.model import Generalist
from intern25.generalist.routing import MATCHING
from intern25.generalist.tasks.batch import seen_by, stacked
from intern25.generalist.tasks.classification import (
    ClassificationBatch,
    class_logits,
    classification_loss,
)
from intern25.generalist.tokenizer import TokenBatch, Tokenizer

_EVALUATION_BATCH = 16
_EVALUATION_SEED = 20230314
_COUNTED = 500


class NamedParts(Protocol):
    """Pictures with any number of windows, each with the number of a name."""

    @property
    def classes(self) -> ClassNames:
        """The names."""

    def __len__(self) -> int: ...

    def parts(self, index: int, seed: int) -> Sequence[tuple[NDArray[np.uint8], int]]:
        """Return windows ``(h, w, 3)`` of a picture and their names, drawn from ``seed``."""


class NamingTask:
    """Cross entropy over the cosines between a window and every name.

    Each picture of a batch gives all its windows: many small pictures to learn from for one that is drawn.

    Args:
        name: Name in logs.
        train: Pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns names into tokens.
        view: What the model sees of a window.
        evaluate_most: Held-out pictures that are scored; 0 = all.

    Source:
        Uni-Perceiver, arXiv:2112.01522, section 3.1.
    """

    def __init__(
        self,
        name: str,
        train: NamedParts,
        val: NamedParts,
        tokenizer: Tokenizer,
        *,
        view: PictureView,
        evaluate_most: int = 0,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.view = view
        self.evaluate_most = evaluate_most
        self._names: dict[Language, TokenBatch] = {
            "en": tokenizer.encode(train.classes.en, max_length=32),
            "zh": tokenizer.encode(train.classes.zh, max_length=32),
        }

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: list[int], seed: int) -> ClassificationBatch:
        """Make a training batch of the windows of some pictures, with names in one language.

        Raises:
            ValueError: No picture of the data set has a window.
        """
        draw = random.Random(seed)
        for start in range(len(self)):
            moved = [(index + start) % len(self) for index in indices]
            parts = [part for index in moved for part in self.train.parts(index, draw.getrandbits(62))]
            if parts:
                break
        else:
            raise ValueError(f"no picture of the task {self.name} has a part with a name; check its data")
        targets = torch.tensor([label for _, label in parts])
        return ClassificationBatch(
            task=self.name,
            images=stacked([self.view(pixels, draw.getrandbits(62)) for pixels, _ in parts]),
            targets=targets,
            others=targets,
            share=1.0,
            names=self._names["zh" if draw.random() < 0.5 else "en"],
        )

    def losses(self, model: Generalist, batch: ClassificationBatch) -> dict[str, Tensor]:
        """Cross entropy with label smoothing."""
        return {"classification": classification_loss(model, batch)}

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Top-1 with names of each language; 0 where the pictures have no window."""
        vectors: list[Tensor] = []
        labels: list[int] = []
        for start in range(0, self._number, _EVALUATION_BATCH):
            rows = range(start, min(start + _EVALUATION_BATCH, self._number))
            parts = [part for row in rows for part in self.val.parts(row, _EVALUATION_SEED)]
            if parts:
                pictures = seen_by(model, [self.view.plain(pixels) for pixels, _ in parts])
                vectors.append(model.embed_images(model.encode_image(pictures), MATCHING))
                labels.extend(label for _, label in parts)
        if not labels:
            return {f"top1_{language}": 0.0 for language in self._names}
        x, targets = torch.cat(vectors), torch.tensor(labels, device=model.device)
        figures = {}
        for language, names in self._names.items():
            y = model.embed_texts(names.to(model.device), MATCHING)
            right = class_logits(model, self.name, x, y).argmax(dim=1) == targets
            figures[f"top1_{language}"] = float(right.float().mean())
        return figures

    def trivial(self) -> dict[str, float]:
        """Figures of the most frequent name."""
        known = Counter(self._labels(self.train, min(_COUNTED, len(self.train))))
        labels = self._labels(self.val, self._number)
        frequent = max(known, key=known.__getitem__, default=-1)
        share = labels.count(frequent) / max(1, len(labels))
        return {f"top1_{language}": share for language in self._names}

    @property
    def _number(self) -> int:
        return min(self.evaluate_most or len(self.val), len(self.val))

    def _labels(self, pictures: NamedParts, number: int) -> list[int]:
        return [label for row in range(number) for _, label in pictures.parts(row, _EVALUATION_SEED)]
