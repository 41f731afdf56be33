# SPDX-License-Identifier: MIT
"""What the generalist writes about pictures, chooses for them, and how it embeds them and texts."""

# N pictures, A answers, T texts, d width

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.picture_views import PictureView, Size, normalised
from intern25.generalist.features import ImageFeatures
from intern25.generalist.generation import Generation
from intern25.generalist.model import Generalist
from intern25.generalist.routing import ANSWERING, MATCHING
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.generalist.writing import WrittenAnswer, written_answers
from intern25.predictors.inputs import DAMAGED

# Room in which the length of a text that is too long is counted.
_MOST_TOKENS = 1 << 20


class ScoredText(NamedTuple):
    """A text and how sure the model is of it."""

    text: str
    score: float
    """Geometric mean of the probabilities of its tokens, that which closes it included."""


class PictureTexts:
    """Upright RGB pictures and texts through the generalist, a batch a call.

    Args:
        model: The generalist, in evaluation mode.
        tokenizer: Turns text into its tokens.
        settings: Sizes and lengths.
        device: Where the model is.
    """

    def __init__(
        self, model: Generalist, tokenizer: Tokenizer, settings: GeneralistSettings, device: torch.device
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.device = device

    def tokens(self, texts: Sequence[str], *, longest: int, what: str) -> TokenBatch:
        """Tokens of texts, of which none is cut.

        Args:
            texts: The texts.
            longest: Most tokens of one.
            what: What the user calls such a text.

        Raises:
            ValueError: A text has more tokens.
        """
        batch = self.tokenizer.encode(texts, max_length=_MOST_TOKENS)
        longest = min(longest, self.model.config.text.max_length)
        for text, length in zip(texts, batch.present.sum(dim=1).tolist(), strict=True):
            if length > longest:
                raise ValueError(
                    f"the {what} {_shown(text)} has {length} tokens, the model reads {longest}; shorten it"
                )
        return batch.to(self.device)

    @torch.inference_mode()
    def written(
        self, pictures: Sequence[Image.Image], prompt: str, size: Size, generation: Generation
    ) -> list[ScoredText]:
        """Write an answer to the prompt for each picture.

        Raises:
            ValueError: The prompt is too long, or the model returns NaN.
        """
        features, prompts = self._asked(pictures, prompt, size)
        return [
            _scored(answer)
            for answer in written_answers(self.model, features, prompts, self.tokenizer, generation)
        ]

    @torch.inference_mode()
    def chosen(
        self, pictures: Sequence[Image.Image], prompt: str, size: Size, answers: Sequence[str]
    ) -> NDArray[np.float32]:
        """Probability of each answer to the prompt for each picture, ``(N, A)``.

        Raises:
            ValueError: The prompt or an answer is too long, or the model returns NaN.
        """
        names = self.tokens(answers, longest=self.settings.name_length, what="answer")
        prefix = self.model.prefix(*self._asked(pictures, prompt, size), ANSWERING)
        states = self.model.decoder(prefix)[0][:, 0]
        x, y = self.model.readout.embed(states), self.model.embed_texts(names, MATCHING)
        return _sound(self.model.readout.logits(x, y, "answer").float().softmax(dim=1))

    @torch.inference_mode()
    def embedded_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """``(N, d)`` embeddings of length 1.

        Raises:
            ValueError: The model returns NaN.
        """
        features = self.model.encode_image(self._images(pictures, self.settings.embed_size))
        return _sound(self.model.embed_images(features, MATCHING))

    @torch.inference_mode()
    def embedded_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(T, d)`` embeddings of length 1.

        Raises:
            ValueError: A text is too long, or the model returns NaN.
        """
        tokens = self.tokens(texts, longest=self.settings.text_length, what="text")
        return _sound(self.model.embed_texts(tokens, MATCHING))

    def _asked(
        self, pictures: Sequence[Image.Image], prompt: str, size: Size
    ) -> tuple[ImageFeatures, TokenBatch]:
        tokens = self.tokens([prompt], longest=self.settings.question_length, what="question")
        prompts = TokenBatch(*(part.expand(len(pictures), -1) for part in (tokens.ids, tokens.present)))
        features = self.model.encode_image(self._images(pictures, size), regions=self.settings.regions)
        return features, prompts

    def _images(self, pictures: Sequence[Image.Image], size: Size) -> Tensor:
        view = PictureView(size=size)
        return normalised(
            torch.stack([view.plain(np.asarray(picture)) for picture in pictures]).to(self.device)
        )


def _scored(answer: WrittenAnswer) -> ScoredText:
    if not math.isfinite(answer.log_probability):
        raise ValueError(DAMAGED)
    return ScoredText(answer.text, min(1.0, math.exp(answer.log_probability)))


def _sound(values: Tensor) -> NDArray[np.float32]:
    if not torch.isfinite(values).all():
        raise ValueError(DAMAGED)
    return values.float().cpu().numpy()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
