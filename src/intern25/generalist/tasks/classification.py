# SPDX-License-Identifier: MIT
"""Image classification: a picture against the names of all classes, in Chinese or English."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.data.class_names import ClassNames, Language
from intern25.data.decoding import decode
from intern25.data.labelled import LabelledImages, Splits
from intern25.data.multimodal.templates import CLASS_TEMPLATES, class_sentences
from intern25.data.picture_views import PictureView
from intern25.evaluation.retrieval import score_name_search
from intern25.generalist.model import Generalist
from intern25.generalist.prompt_tuning import tuned_logits
from intern25.generalist.routing import MATCHING
from intern25.generalist.tasks.batch import TaskBatch, seen_by, stacked
from intern25.generalist.tasks.first_pictures import spread_pictures
from intern25.generalist.tokenizer import TokenBatch, Tokenizer

LABEL_SMOOTHING = 0.1
_EVALUATION_BATCH = 64
_SENTENCE_LENGTH = 48


@dataclass(slots=True, kw_only=True)
class ClassificationBatch(TaskBatch):
    """Pictures, the names of all classes in one language, and which name fits each picture."""

    targets: Tensor
    """``(N,)`` int64 classes."""
    others: Tensor
    """``(N,)`` int64 class of the patch that covers a part of each picture; the same class without one."""
    share: float
    """Share of the picture that is not covered."""
    names: TokenBatch
    """Names of the classes."""


class ClassificationTask:
    """Cross entropy over the cosines between a picture and every class name.

    Args:
        name: Name in logs.
        splits: Training and held-out pictures.
        classes: Names of the classes.
        tokenizer: Turns names into tokens.
        view: What the model sees of a picture.
        mix: Probability that a batch is mixed with itself by CutMix.
        templates: Sentences of each language that a name is put into, the first the bare name: every other
            batch has bare names, the rest one sentence for all.
        evaluate_most: Held-out pictures that are scored, of all classes alike; 0 = all.

    Source:
        Uni-Perceiver, arXiv:2112.01522, section 3.1.
    """

    def __init__(
        self,
        name: str,
        splits: Splits,
        classes: ClassNames,
        tokenizer: Tokenizer,
        *,
        view: PictureView,
        mix: float = 0.0,
        templates: Mapping[Language, Sequence[str]] = CLASS_TEMPLATES,
        evaluate_most: int = 0,
    ) -> None:
        if len(classes) != len(splits.train.classes):
            raise ValueError(f"{len(classes)} names for the {len(splits.train.classes)} classes of {name}")
        self.name = name
        self.splits = splits
        self.classes = classes
        self.view = view
        self.mix = mix
        self.evaluate_most = evaluate_most
        languages: tuple[Language, ...] = ("en", "zh")
        self._sentences: dict[Language, list[TokenBatch]] = {
            language: [
                tokenizer.encode(named, max_length=_SENTENCE_LENGTH)
                for named in zip(*class_sentences(classes, language, templates), strict=True)
            ]
            for language in languages
        }

    def __len__(self) -> int:
        return len(self.splits.train)

    def batch(self, indices: list[int], seed: int) -> ClassificationBatch:
        """Make a training batch with names in one language."""
        draw = random.Random(seed)
        images = self.splits.train
        pictures = stacked([self.view(_pixels(images, index), draw.getrandbits(62)) for index in indices])
        targets = torch.tensor([images.labels[index] for index in indices])
        others, share = targets, 1.0
        if draw.random() < self.mix:
            share = _cut_and_paste(pictures, draw)
            others = targets.flip(0)
        language: Language = "zh" if draw.random() < 0.5 else "en"
        bare, *sentences = self._sentences[language]
        return ClassificationBatch(
            task=self.name,
            images=pictures,
            targets=targets,
            others=others,
            share=share,
            names=draw.choice(sentences) if sentences and draw.random() < 0.5 else bare,
        )

    def losses(self, model: Generalist, batch: ClassificationBatch) -> dict[str, Tensor]:
        """Cross entropy with label smoothing."""
        return {"classification": classification_loss(model, batch)}

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Top-1 with names of each language, and the precision of the ten pictures nearest to each name."""
        images = self.scored()
        parts = []
        for start in range(0, len(images), _EVALUATION_BATCH):
            rows = range(start, min(start + _EVALUATION_BATCH, len(images)))
            pictures = seen_by(model, [self.view.plain(_pixels(images, row)) for row in rows])
            parts.append(model.embed_images(model.encode_image(pictures), MATCHING))
        x, labels = torch.cat(parts), torch.tensor(images.labels, device=model.device)
        figures = {}
        for language, (names, *_) in self._sentences.items():
            y = model.embed_texts(names.to(model.device), MATCHING)
            scores = class_logits(model, self.name, x, y)
            figures[f"top1_{language}"] = float((scores.argmax(dim=1) == labels).float().mean())
            right = labels == torch.arange(len(self.classes), device=model.device)[:, None]
            figures[f"precision10_{language}"] = score_name_search(scores.T, right).precision.at10
        return figures

    def scored(self) -> LabelledImages:
        """Held-out pictures that are scored: the same in every evaluation."""
        images = self.splits.val
        return images.select(spread_pictures(images.labels, self.evaluate_most))

    def settings(self) -> dict[str, Any]:
        """Size of the pictures that are classified."""
        return {"classify_size": max(self.view.size)}

    def trivial(self) -> dict[str, float]:
        """Figures of the most frequent class, and of pictures in random order."""
        labels = torch.tensor(self.scored().labels)
        frequent = torch.bincount(torch.tensor(self.splits.train.labels)).argmax()
        shares = torch.bincount(labels, minlength=len(self.classes)).double() / len(labels)
        top1, precision = float((labels == frequent).double().mean()), float(shares.mean())
        return {f"top1_{x}": top1 for x in self._sentences} | {
            f"precision10_{x}": precision for x in self._sentences
        }


def classification_loss(model: Generalist, batch: ClassificationBatch) -> Tensor:
    """Cross entropy over class names, with label smoothing, weighed by what is seen of two mixed pictures."""
    x = model.embed_images(model.encode_image(batch.pictures), MATCHING)
    logits = class_logits(model, batch.task, x, model.embed_texts(batch.names, MATCHING))
    loss = F.cross_entropy(logits, batch.targets, label_smoothing=LABEL_SMOOTHING)
    if batch.share < 1:
        other = F.cross_entropy(logits, batch.others, label_smoothing=LABEL_SMOOTHING)
        loss = batch.share * loss + (1 - batch.share) * other
    return loss


def class_logits(model: Generalist, task: str, x: Tensor, y: Tensor) -> Tensor:
    """``(N, K)`` of pictures ``(N, d)`` and names ``(K, d)``, with the head of prompt tuning if any."""
    return tuned_logits(model, task, model.readout.logits(x, y, "classification"), x).float()


def _pixels(images: LabelledImages, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(decode(images, index))


def _cut_and_paste(pictures: Tensor, draw: random.Random) -> float:
    """Cover a box of every picture with that of its opposite in the batch, in place; returns the share kept.

    Source:
        CutMix, arXiv:1905.04899, with a uniform share.
    """
    height, width = pictures.shape[-2:]
    side = draw.random() ** 0.5
    h, w = round(height * side), round(width * side)
    top, left = draw.randint(0, height - h), draw.randint(0, width - w)
    window = (slice(None), slice(None), slice(top, top + h), slice(left, left + w))
    pictures[window] = pictures.flip(0)[window]
    return float(1.0 - h * w / (height * width))
