# SPDX-License-Identifier: MIT
"""M3I pre-training as a task of the mixture: labelled or captioned pictures in mixed pairs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from intern25.data.class_names import ClassNames, Language
from intern25.data.decoding import decode
from intern25.data.labelled import LabelledImages
from intern25.data.multimodal.pictures import Pictures
from intern25.data.multimodal.records import Sentence
from intern25.data.picture_views import normalised
from intern25.data.placed_views import PlacedView, PlacedViews, places_tensor
from intern25.generalist.m3i import BLOCK, M3IConfig, M3IObjective, MixedInputs
from intern25.generalist.model import Generalist
from intern25.generalist.tasks.batch import TaskBatch, stacked
from intern25.generalist.tasks.retrieval import matching_texts
from intern25.generalist.tokenizer import TokenBatch, Tokenizer


@dataclass(slots=True, kw_only=True)
class PretrainBatch(TaskBatch):
    """Pairs of pictures: of ``2 P`` rows the first ``P`` are covered by the others."""

    others: Tensor
    """``(P, 3, H, W)`` uint8 other views of the second pictures."""
    chosen: Tensor
    """``(P, H/32, W/32)`` bool, blocks that show the first picture."""
    places: Tensor
    """``(2 P, 5)`` places of the views in ``images``."""
    other_places: Tensor
    """``(P, 5)`` places of ``others``."""
    texts: TokenBatch
    """Names of all classes, or one text a picture."""
    targets: Tensor | None
    """``(2 P,)`` classes; None where there are texts."""
    same: Tensor | None
    """``(2 P, 2 P)`` bool, which text also fits which picture."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a batch of pictures is said to show."""

    texts: TokenBatch
    targets: Tensor | None = None
    same: Tensor | None = None


class PretrainPictures(Protocol):
    """Pictures with classes or texts."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return a picture, ``(H, W, 3)``."""
        ...

    def meaning(self, indices: list[int], draw: random.Random) -> Meaning:
        """Return the classes or texts of pictures."""
        ...


class LabelledPictures:
    """Pictures with a class each, named in Chinese or English.

    Args:
        images: The pictures.
        classes: Names of the classes.
        tokenizer: Turns names into tokens.
    """

    def __init__(self, images: LabelledImages, classes: ClassNames, tokenizer: Tokenizer) -> None:
        self.images = images
        self._names: dict[Language, TokenBatch] = {
            "en": tokenizer.encode(classes.en, max_length=32),
            "zh": tokenizer.encode(classes.zh, max_length=32),
        }

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return a picture."""
        return np.asarray(decode(self.images, index))

    def meaning(self, indices: list[int], draw: random.Random) -> Meaning:
        """Names of all classes in one language, and the classes."""
        language: Language = "zh" if draw.random() < 0.5 else "en"
        targets = torch.tensor([self.images.labels[index] for index in indices])
        return Meaning(self._names[language], targets=targets)


class CaptionedPairs:
    """Pictures with texts.

    Args:
        pictures: Pictures with captions.
        tokenizer: Turns captions into tokens.
        max_length: Most tokens of a caption.

    Raises:
        ValueError: No picture has a caption.
    """

    def __init__(self, pictures: Pictures[Sentence], tokenizer: Tokenizer, *, max_length: int = 40) -> None:
        self.pictures = pictures
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._rows = [row for row in range(len(pictures)) if pictures.items(row)]
        if not self._rows:
            raise ValueError(f"none of the {len(pictures)} pictures to pre-train on has a caption")

    def __len__(self) -> int:
        return len(self._rows)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return a picture."""
        return self.pictures.image(self._rows[index])

    def meaning(self, indices: list[int], draw: random.Random) -> Meaning:
        """One caption a picture, of any language."""
        captions = [[item.text for item in self.pictures.items(self._rows[index])] for index in indices]
        texts = [draw.choice(own) for own in captions]
        tokens = self.tokenizer.encode(texts, max_length=self.max_length)
        return Meaning(tokens, same=matching_texts([set(own) for own in captions], texts))


class Judge(Protocol):
    """Scores what pre-training has taught, such as the task of the same pictures."""

    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Return figures, the score first."""
        ...


class PretrainTask:
    """Mixed pairs of pictures: features of the same and of another view, and names or texts.

    Args:
        name: Name in logs.
        pictures: Pictures with classes or texts.
        judge: Scores the model on whole pictures.
        views: How views are cut; both sides multiples of 32.
        config: What is predicted and how.

    Raises:
        ValueError: A view has fewer than two blocks, or sides that are no multiples of 32.

    Source:
        M3I, arXiv:2211.09807, figure 2.
    """

    def __init__(
        self,
        name: str,
        pictures: PretrainPictures,
        judge: Judge,
        *,
        views: PlacedViews,
        config: M3IConfig | None = None,
    ) -> None:
        if any(side % BLOCK for side in views.size) or views.size[0] * views.size[1] < 2 * BLOCK**2:
            raise ValueError(
                f"size={views.size} of {name} must be multiples of {BLOCK} with two blocks or more, such as "
                f"({2 * BLOCK}, {2 * BLOCK})"
            )
        self.name = name
        self.pictures = pictures
        self.judge = judge
        self.views = views
        self.config = config or M3IConfig()

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: list[int], seed: int) -> PretrainBatch:
        """Make pairs: the first half of the pictures with the second; one left over stays out."""
        draw = random.Random(seed)
        pairs = max(len(indices) // 2, 1)
        indices = [indices[row % len(indices)] for row in range(2 * pairs)]
        images = [self.pictures.image(index) for index in indices]
        views = [self.views(image, draw.getrandbits(62)) for image in images]
        others = [self.views(image, draw.getrandbits(62)) for image in images[pairs:]]
        meaning = self.pictures.meaning(indices, draw)
        return PretrainBatch(
            task=self.name,
            images=_pixels(views),
            others=_pixels(others),
            chosen=self._chosen(pairs, draw),
            places=places_tensor(views),
            other_places=places_tensor(others),
            texts=meaning.texts,
            targets=meaning.targets,
            same=meaning.same,
        )

    def _chosen(self, pairs: int, draw: random.Random) -> Tensor:
        """Half of the blocks of each pair, drawn anew for each."""
        rows, columns = self.views.size[0] // BLOCK, self.views.size[1] // BLOCK
        chosen = torch.zeros(pairs, rows * columns, dtype=torch.bool)
        for pair in range(pairs):
            chosen[pair, draw.sample(range(rows * columns), rows * columns // 2)] = True
        return chosen.view(pairs, rows, columns)

    def objective(self, model: Generalist) -> nn.Module:
        """Return the loss with its predictor and target encoder, which training keeps."""
        return _BatchObjective(M3IObjective(model, self.config))

    def losses(self, model: Generalist, batch: PretrainBatch) -> dict[str, Tensor]:
        """Losses with a predictor that has learnt nothing yet."""
        found: dict[str, Tensor] = self.objective(model).train(model.training)(model, batch)
        return found

    def evaluate(self, model: Generalist) -> dict[str, float]:
        """What the judge says."""
        return self.judge.evaluate(model)


class _BatchObjective(nn.Module):
    """The loss of a batch as it comes from the loader."""

    def __init__(self, objective: M3IObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, model: Generalist, batch: PretrainBatch) -> dict[str, Tensor]:
        inputs = MixedInputs(
            pictures=batch.pictures,
            others=normalised(batch.others),
            chosen=batch.chosen,
            places=batch.places,
            other_places=batch.other_places,
            texts=batch.texts,
            targets=batch.targets,
            same=batch.same,
        )
        losses: dict[str, Tensor] = self.objective(model, inputs)
        return losses


def _pixels(views: list[PlacedView]) -> Tensor:
    """``(N, 3, H, W)`` uint8."""
    return stacked([view.pixels for view in views])
