# SPDX-License-Identifier: MIT
"""Predictors: a model with its preprocessing and class names, from any picture to a result in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast, overload

import numpy as np
import torch
from torch import Tensor, nn

from intern25.bundle import open_bundle
from intern25.data.class_names import ClassNames
from intern25.data.images import ImageSource, read_image
from intern25.data.preprocessing import Preprocessing
from intern25.results import Classification

DEFAULT_MODEL = "internimage_nano_caltech101"
"""Comes with the package, so it needs no network."""


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
        >>> predictor = load()  # doctest: +SKIP
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
        outputs = getattr(model, "num_classes", len(classes))
        if outputs != len(classes):
            raise ValueError(f"the model has {outputs} outputs and there are {len(classes)} class names")
        self.model = model.eval()
        self.preprocessing = preprocessing
        self.classes = classes
        self.batch_size = _check_batch_size(batch_size)
        self.device = device or next((p.device for p in model.parameters()), torch.device("cpu"))

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
        size = self.batch_size if batch_size is None else _check_batch_size(batch_size)
        if not isinstance(images, list | tuple):
            return self._predict_batch([cast(ImageSource, images)], top_k)[0]
        results: list[Classification] = []
        for start in range(0, len(images), size):
            results.extend(self._predict_batch(images[start : start + size], top_k))
        return results

    def _predict_batch(self, sources: Sequence[ImageSource], top_k: int) -> list[Classification]:
        pictures = [read_image(source) for source in sources]
        inputs = torch.stack([self.preprocessing(picture) for picture in pictures])
        scores, indices = self.probabilities(inputs).topk(min(top_k, len(self.classes)), dim=1)
        return [
            Classification(
                indices=index.astype(np.int64),
                scores=score,
                names_en=tuple(self.classes.en[i] for i in index),
                names_zh=tuple(self.classes.zh[i] for i in index),
                source=os.fspath(source) if isinstance(source, str | os.PathLike) else None,
                image=picture,
            )
            for source, picture, index, score in zip(
                sources, pictures, indices.numpy(), scores.numpy(), strict=True
            )
        ]

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return softmax probabilities ``(N, classes)``, float32 on the CPU, of preprocessed ``inputs``.

        Raises:
            ValueError: The model returns NaN or infinite values, so its weights are damaged.
        """
        logits: Tensor = self.model(inputs.to(self.device)).float().cpu()
        if not torch.isfinite(logits).all():
            raise ValueError("the model returns NaN or infinite values: its weights are damaged or unfit")
        return logits.softmax(dim=1)


def load(
    name_or_path: str | Path = DEFAULT_MODEL,
    *,
    device: str | torch.device | None = None,
    optimize: bool | None = None,
    batch_size: int = 8,
) -> ClassificationPredictor:
    """Load a model with its preprocessing and class names.

    Args:
        name_or_path: Catalog name (``intern25.list_models(pretrained=True)``), weight file, folder or hub
            repository, in any layout that ``load_checkpoint`` reads.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``; None takes the best there is.
        optimize: Run ``intern25.optimize`` on the model; None does so on a CPU.
        batch_size: Pictures that go through the model at once.

    Returns:
        The predictor.

    Raises:
        ValueError: The name is unknown, the file does not fit, or the device is absent.
        FileNotFoundError: The weights are not there.

    Example:
        >>> load("internimage_t_1k_224").predict("photo.jpg")  # doctest: +SKIP
    """
    _check_batch_size(batch_size)
    place = _choose_device(device)
    bundle = open_bundle(name_or_path)
    model: nn.Module = bundle.model.to(place).eval()
    if optimize if optimize is not None else place.type == "cpu":
        from intern25.backbones.optimize import optimize as optimize_model

        model = optimize_model(model)
    return ClassificationPredictor(
        model, bundle.preprocessing, bundle.classes, batch_size=batch_size, device=place
    )


def _check_batch_size(batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be 1 or more")
    return batch_size


def _choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for if it is there, else the best there is."""
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is no device; use cpu, cuda, cuda:1 or mps") from error
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if (chosen.index or 0) >= present.get(chosen.type, 0):
        have = ", ".join(name for name, count in present.items() if count)
        raise ValueError(f"device={str(device)!r} is not on this machine; it has {have}")
    return chosen
