# SPDX-License-Identifier: MIT
"""Tasks whose answer the decoder writes: captions, answers to questions, text that stands in a picture.

The picture and the prompt are a prefix in which everything sees everything; the answer is written after it.
Where answers are short and few, the ``<SPE>`` of the prefix is compared with the names of answers as well, as
the paper's question answering does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.data.multimodal.records import Question
from intern25.data.picture_views import PictureView, Size
from intern25.data.seeding import derive_seed
from intern25.generalist.features import ImageFeatures
from intern25.generalist.generation import Generation
from intern25.generalist.model import Generalist
from intern25.generalist.routing import ANSWERING, MATCHING
from intern25.generalist.tasks.batch import TaskBatch, seen_by, stacked
from intern25.generalist.tasks.questions import QuestionSource
from intern25.generalist.tasks.trivial_answers import trivial_answers
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.generalist.writing import written_answers

MAX_PROMPT = 64
"""Most tokens of a question or request."""
_IGNORED = -100
_EVALUATION_BATCH = 32
_EVALUATION_SEED = 20230314
Metric = Callable[[Sequence[Question], Sequence[str]], dict[str, float]]
"""From questions and written answers to figures, the first of them the score."""


@dataclass(slots=True, kw_only=True)
class WritingBatch(TaskBatch):
    """Pictures, prompts about them, and what is to be written."""

    owner: Tensor
    """``(T,)`` int64 picture of each prompt."""
    prompts: TokenBatch
    """``T`` questions or requests."""
    inputs: TokenBatch
    """``T`` answers behind ``<SPE>``, without their end."""
    targets: Tensor
    """``(T, L)`` int64 token that follows each input, -100 where there is none."""
    candidates: TokenBatch | None
    """``C`` answers to choose from; None where answers are long."""
    answer: Tensor
    """``(T,)`` int64 position of the right answer among the candidates."""


class WritingTask:
    """Next-token cross entropy after a prefix, and cross entropy over candidate answers.

    Args:
        name: Name in logs.
        train: Pictures to learn from.
        val: Held-out ones.
        tokenizer: Turns text into tokens.
        view: What the model sees of a picture.
        other_sizes: Sizes that a batch takes as often as that of the view, so that the size does not tell
            what the picture is.
        metric: Judges written answers.
        questions_per_picture: Most questions of one picture in a batch.
        regions: Proposals that the decoder sees beside the global tokens.
        max_length: Most tokens of an answer.
        characters: Write letter by letter, as reading does.
        candidates: Answers to choose from; None or empty = only write.
        negatives: Candidates drawn for a batch beside those in it.

    Source:
        Uni-Perceiver, arXiv:2112.01522, table 1: VQA and captioning, with a prefix in place of a second
        ``<SPE>`` per word.
    """

    def __init__(  # noqa: PLR0913 - what a task is made of
        self,
        name: str,
        train: QuestionSource,
        val: QuestionSource,
        tokenizer: Tokenizer,
        *,
        view: PictureView,
        other_sizes: Sequence[Size] = (),
        metric: Metric,
        questions_per_picture: int = 1,
        regions: int = 0,
        max_length: int = 32,
        characters: bool = False,
        candidates: Sequence[str] = (),
        negatives: int = 64,
        evaluate_most: int = 0,
        generation: Generation | None = None,
    ) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.tokenizer = tokenizer
        self.view = view
        self.other_sizes = tuple(other_sizes)
        self.metric = metric
        self.questions_per_picture = questions_per_picture
        self.regions = regions
        self.max_length = max_length
        self.characters = characters
        self.candidates = tuple(dict.fromkeys(candidates))
        self.negatives = negatives
        self.evaluate_most = evaluate_most
        self.generation = generation or Generation(max_length=max_length)

    def __len__(self) -> int:
        return len(self.train)

    @property
    def views(self) -> tuple[PictureView, ...]:
        """What the model sees of a picture, one of them in each batch."""
        return (self.view, *(replace(self.view, size=size) for size in self.other_sizes))

    def batch(self, indices: list[int], seed: int) -> WritingBatch:
        """Make a training batch of pictures with some of their questions.

        A picture without questions is left out; where none has any, the next ones are taken.

        Raises:
            ValueError: No picture of the data set has a question.
        """
        for start in range(len(self)):
            moved = [(index + start) % len(self) for index in indices]
            batch = self._drawn_batch(moved, derive_seed(seed, start) if start else seed)
            if batch is not None:
                return batch
        raise ValueError(f"no picture of the task {self.name} has a question; check its data")

    def _drawn_batch(self, indices: list[int], seed: int) -> WritingBatch | None:
        draw = random.Random(seed)
        view = draw.choice(self.views)
        pictures: list[Tensor] = []
        questions: list[Question] = []
        owner: list[int] = []
        for index in indices:
            found = list(self.train.questions(index, draw.getrandbits(62)))
            if not found:
                continue
            chosen = draw.sample(found, min(self.questions_per_picture, len(found)))
            owner.extend([len(pictures)] * len(chosen))
            questions.extend(chosen)
            pictures.append(view(self.train.image(index), draw.getrandbits(62)))
        return self._batch(pictures, owner, questions, draw) if questions else None

    def _batch(
        self, pictures: list[Tensor], owner: list[int], questions: list[Question], draw: random.Random
    ) -> WritingBatch:
        answers = [question.answers[0] for question in questions]
        inputs, targets = self._to_write(answers)
        candidates: TokenBatch | None = None
        answer = torch.zeros(len(questions), dtype=torch.int64)
        if self.candidates:
            chosen = list(dict.fromkeys([*answers, *self._drawn(draw)]))
            candidates = self.tokenizer.encode(chosen, max_length=self.max_length)
            answer = torch.tensor([chosen.index(text) for text in answers])
        return WritingBatch(
            task=self.name,
            images=stacked(pictures),
            owner=torch.tensor(owner),
            prompts=self.tokenizer.encode([question.text for question in questions], max_length=MAX_PROMPT),
            inputs=inputs,
            targets=targets,
            candidates=candidates,
            answer=answer,
        )

    def _drawn(self, draw: random.Random) -> list[str]:
        return draw.sample(self.candidates, min(self.negatives, len(self.candidates)))

    def _to_write(self, answers: list[str]) -> tuple[TokenBatch, Tensor]:
        """Answers as inputs behind ``<SPE>`` and, one place on, as targets closed by ``<end>``."""
        ended = self.tokenizer.encode(
            answers, max_length=self.max_length, characters=self.characters, end=True
        )
        start = torch.full_like(ended.ids[:, :1], self.tokenizer.spe_id)
        inputs = TokenBatch(ids=torch.cat((start, ended.ids[:, :-1]), dim=1), present=ended.present)
        return inputs, ended.ids.masked_fill(~ended.present, _IGNORED)

    def losses(self, model: Generalist, batch: WritingBatch) -> dict[str, Tensor]:
        """Cross entropy of every next token, and of the choice of an answer."""
        features = model.encode_image(batch.pictures, regions=self.regions)
        if len(batch.owner) != len(batch.images) or self.questions_per_picture > 1:
            features = features.select(batch.owner)
        prefix = model.prefix(features, batch.prompts, ANSWERING)
        outputs = model.decoder([*prefix, model.written(batch.inputs, ANSWERING)])
        known = batch.targets != _IGNORED
        logits = model.vocabulary_logits(outputs[-1][known]).float()
        losses = {"next_token": F.cross_entropy(logits, batch.targets[known])}
        if batch.candidates is not None:
            y = model.embed_texts(batch.candidates, MATCHING)
            choice = model.readout.logits(model.readout.embed(outputs[0][:, 0]), y, "answer")
            losses["answer"] = F.cross_entropy(choice, batch.answer)
        return losses

    @torch.no_grad()
    def evaluate(self, model: Generalist) -> dict[str, float]:
        """Write the answers to held-out questions and judge them; also choose them from the candidates."""
        questions: list[Question] = []
        written: list[str] = []
        chosen: list[str] = []
        names = self._embedded_candidates(model)
        number = min(self.evaluate_most or len(self.val), len(self.val))
        for start in range(0, number, _EVALUATION_BATCH):
            rows = range(start, min(start + _EVALUATION_BATCH, number))
            asked = [(row, q) for row in rows for q in self.val.questions(row, _EVALUATION_SEED + row)]
            if not asked:
                continue
            pictures = seen_by(model, [self.view.plain(self.val.image(row)) for row in rows])
            owner = torch.tensor([row - start for row, _ in asked], device=model.device)
            features = model.encode_image(pictures, regions=self.regions).select(owner)
            prompts = self.tokenizer.encode([q.text for _, q in asked], max_length=MAX_PROMPT)
            prompts = prompts.to(model.device)
            questions.extend(q for _, q in asked)
            answers = written_answers(model, features, prompts, self.tokenizer, self.generation)
            written.extend(answer.text for answer in answers)
            if names is not None:
                chosen.extend(self._choose(model, features, prompts, names))
        figures = self.metric(questions, written)
        if chosen:
            figures |= {f"chosen_{name}": value for name, value in self.metric(questions, chosen).items()}
        return figures

    def settings(self) -> dict[str, Any]:
        """Size of the pictures that are described, read or asked about; none without questions."""
        asked = (q for row in range(len(self.train)) for q in self.train.questions(row, _EVALUATION_SEED))
        first = next(asked, None)
        if first is None:
            return {}
        if first.kind in ("caption", "read"):
            return {f"{first.kind}_size": self.view.size}
        return {"ask_sizes": tuple(view.size for view in self.views)}

    def trivial(self) -> dict[str, float]:
        """Figures of the most frequent answer, and of the best guess from the question alone."""
        number = min(self.evaluate_most or len(self.val), len(self.val))
        asked = [q for row in range(number) for q in self.val.questions(row, _EVALUATION_SEED + row)]
        return trivial_answers(self.train, asked, self.metric, _EVALUATION_SEED)

    def _embedded_candidates(self, model: Generalist) -> Tensor | None:
        """``(C, d)``; None without candidates."""
        if not self.candidates:
            return None
        names = self.tokenizer.encode(self.candidates, max_length=self.max_length)
        return model.embed_texts(names.to(model.device), MATCHING)

    def _choose(
        self, model: Generalist, features: ImageFeatures, prompts: TokenBatch, names: Tensor
    ) -> list[str]:
        outputs = model.decoder(model.prefix(features, prompts, ANSWERING))
        best = model.readout.logits(model.readout.embed(outputs[0][:, 0]), names, "answer").argmax(dim=1)
        return [self.candidates[index] for index in best.tolist()]
