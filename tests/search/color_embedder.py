# SPDX-License-Identifier: MIT
"""Embedders whose answers a test can compute: colours, counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intern25.search.embedder import Pixels, Regions, Vectors

COLORS = {
    "红": (220, 30, 30),
    "green": (30, 220, 30),
    "blue": (30, 30, 220),
    "yellow": (230, 220, 30),
    "black": (5, 5, 5),
}
"""What a text means."""


class ColorEmbedder:
    """Histogram of 64 colours, of length 1; the text of a colour is a picture of it."""

    name = "colors"
    fingerprint = "c01025"
    dimension = 64

    def __init__(self) -> None:
        self.seen = 0
        """Pictures that were embedded."""

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        self.seen += len(images)
        return np.stack([histogram(image) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.stack([histogram(np.full((1, 1, 3), COLORS[text], np.uint8)) for text in texts])


class HalvesEmbedder(ColorEmbedder):
    """Also the left and the right half of each picture."""

    name = "halves"
    fingerprint = "4a1f"

    def embed_regions(self, images: Sequence[Pixels]) -> list[Regions]:
        found = []
        for image in images:
            height, width = image.shape[:2]
            middle = width // 2
            boxes = np.array([[0, 0, middle, height], [middle, 0, width, height]], np.float32)
            vectors = np.stack([histogram(image[:, :middle]), histogram(image[:, middle:])])
            found.append(Regions(boxes, vectors, np.ones(2, np.float32)))
        return found


def histogram(image: Pixels) -> Vectors:
    red, green, blue = np.moveaxis(image.astype(np.int64) // 64, -1, 0)
    counts = np.bincount((16 * red + 4 * green + blue).ravel(), minlength=64).astype(np.float32)
    return counts / np.linalg.norm(counts)
