# SPDX-License-Identifier: MIT
"""From pictures to the names of what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.data.images import ImageSource
from intern25.data.preprocessing import Preprocessing
from intern25.predictors.inputs import (
    DAMAGED,
    Picture,
    check_batch_size,
    check_classes,
    device_of,
    predict_each,
)
from intern25.results import Classification


class ClassificationPredictor:
    """Names what pictures show.

    A picture's scores do not depend on the pictures it shares a batch with (up to the rounding of float32).

    Args:
        model: Normalised ``(N, 3, H, W)`` to logits ``(N, classes)``; put into evaluation mode.
        preprocessing: From a picture to the model's input.
        classes: Names of the outputs.
        batch_size: Pictures that go through the model at once.
        device: Where the model is; None takes that of its parameters, of which an optimised model has none.

    Raises:
        ValueError: Names and outputs of the model differ in number, or ``batch_size`` is below 1.

    Example:
        >>> predictor = intern25.load()  # doctest: +SKIP
        >>> predictor.predict("photo.jpg").top(1).names_en  # doctest: +SKIP
        ('sunflower',)
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        classes: ClassNames,
        *,
        batch_size: int = 8,
        device: torch.device | None = None,
    ) -> None:
        check_classes(model, classes)
        self.model = model.eval()
        self.preprocessing = preprocessing
        self.classes = classes
        self.batch_size = check_batch_size(batch_size)
        self.device = device_of(model, device)

    # A str is also a sequence of str; the first matching signature wins, as in the body.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageSource, *, top_k: int = 5, batch_size: int | None = None
    ) -> Classification: ...

    @overload
    def predict(
        self, images: Sequence[ImageSource], *, top_k: int = 5, batch_size: int | None = None
    ) -> list[Classification]: ...

    def predict(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        top_k: int = 5,
        batch_size: int | None = None,
    ) -> Classification | list[Classification]:
        """Classify one picture, or each of a list.

        Args:
            images: Whatever :func:`intern25.data.images.read_image` reads - path, PIL image, ``(H, W, C)``
                uint8 array, ``(C, H, W)`` tensor - or a list or tuple of them, also mixed.
            top_k: Classes in each result; all when the model has fewer.
            batch_size: Pictures at once; None takes the predictor's.

        Returns:
            One result for one picture, a list for a list (also of one or none).

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: ``top_k`` or ``batch_size`` is below 1.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k} must be 1 or more")
        size = self.batch_size if batch_size is None else check_batch_size(batch_size)
        return predict_each(images, size, lambda pictures: self._predict_batch(pictures, top_k))

    def _predict_batch(self, pictures: Sequence[Picture], top_k: int) -> list[Classification]:
        inputs = torch.stack([self.preprocessing(picture) for picture, _ in pictures])
        scores, indices = self.probabilities(inputs).topk(min(top_k, len(self.classes)), dim=1)
        return [
            Classification(
                indices=index.astype(np.int64),
                scores=score,
                names_en=tuple(self.classes.en[i] for i in index),
                names_zh=tuple(self.classes.zh[i] for i in index),
                source=source,
                image=picture,
            )
            for (picture, source), index, score in zip(pictures, indices.numpy(), scores.numpy(), strict=True)
        ]

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return softmax probabilities ``(N, classes)``, float32 on the CPU, of preprocessed ``inputs``.

        Raises:
            ValueError: The model returns NaN or infinite values, so its weights are damaged.
        """
        logits: Tensor = self.model(inputs.to(self.device)).float().cpu()
        if not torch.isfinite(logits).all():
            raise ValueError(DAMAGED)
        return logits.softmax(dim=1)
