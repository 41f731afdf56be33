# SPDX-License-Identifier: MIT
"""Our own generalist as an embedder: pictures, their regions, and texts in Chinese and English."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from intern25.predictors.generalist import GeneralistPredictor
from intern25.predictors.loading import load_as
from intern25.search.embedder import Pixels, Regions, Vectors
from intern25.search.fingerprint import fingerprint_of, fingerprint_of_file
from intern25.weights.generalists import GENERALIST_CARDS, generalist_path


class GeneralistEmbedder:
    """A generalist that searches albums and videos, and says which part of a picture fits.

    Convention:
        - whole pictures: what retrieval and classification compare with texts.
        - regions: those that detection compares with names; see
          :func:`intern25.predictors.picture_regions.embedded_regions`.

    Args:
        name: Id or path that opens it again.
        predictor: The loaded generalist.
        weights: Fingerprint of the weights as they are in their file; None takes that of the loaded model,
            which is another one where the model was optimised.

    Example:
        >>> embedder = GeneralistEmbedder.open("intern25_tiny")  # doctest: +SKIP
        >>> embedder.embed_texts(["红色的公交车"]).shape  # doctest: +SKIP
        (1, 192)
    """

    def __init__(self, name: str, predictor: GeneralistPredictor, *, weights: str | None = None) -> None:
        self.name = name
        self.predictor = predictor
        self.dimension = predictor.model.config.width
        weights = fingerprint_of(predictor.model) if weights is None else weights
        self.fingerprint = _with_settings(weights, predictor)

    @classmethod
    def open(cls, name_or_path: str, *, device: str | None = None) -> GeneralistEmbedder:
        """Open a generalist by its id or its weight file; see :func:`intern25.search.opening.open_embedder`.

        Raises:
            ValueError: It is no generalist, its file is damaged, or the device is absent.
            FileNotFoundError: Its weights did not come with this version.
        """
        path = generalist_path(name_or_path)
        if path is None:
            raise ValueError(
                f"{name_or_path} is no generalist; name one of {', '.join(GENERALIST_CARDS)}, or its file"
            )
        # A file is opened again from other working folders.
        name = str(path.resolve()) if Path(name_or_path).expanduser().exists() else name_or_path
        return cls(name, load_as(GeneralistPredictor, path, device=device), weights=fingerprint_of_file(path))

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """Return ``(N, D)`` for ``N`` pictures of any sizes."""
        return self.predictor.embed_image(list(images))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return ``(N, D)`` for ``N`` texts.

        Raises:
            ValueError: A text is empty or longer than the model reads.
        """
        return self.predictor.embed_text(list(texts))

    def embed_regions(self, images: Sequence[Pixels]) -> list[Regions]:
        """Return the regions of each picture that may be objects, the likeliest first."""
        return [Regions(*found) for found in self.predictor.embed_regions(list(images))]


def _with_settings(weights: str, predictor: GeneralistPredictor) -> str:
    """16 digits of the weights and of the sizes at which they see pictures: both decide an embedding."""
    settings = predictor.settings
    parts = f"{weights} {settings.embed_size} {settings.detection.to_json()}"
    return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()
