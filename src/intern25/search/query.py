# SPDX-License-Identifier: MIT
"""What is looked for, as a point of the space of pictures and texts."""

from __future__ import annotations

from intern25.data.images import ImageSource, read_image
from intern25.search.embedder import Embedder, Vectors, checked_vectors
from intern25.search.reading import reduced


def check_query(query: ImageSource) -> None:
    """Raise ValueError for a text without words."""
    if isinstance(query, str) and not query.strip():
        raise ValueError("the query is empty; write what to look for, or name a picture")


def embedded_query(query: ImageSource, embedder: Embedder) -> Vectors:
    """Return the embedding ``(D,)`` of a query.

    Args:
        query: A ``str`` is a text; a path object, bytes, a PIL image, an array or a tensor is a picture.
        embedder: The model.

    Raises:
        ImageReadError: The picture cannot be read.
        ValueError: The model returns NaN, or does not read a text so long.
    """
    if isinstance(query, str):
        vectors = embedder.embed_texts([query])
    else:
        vectors = embedder.embed_images([reduced(read_image(query))])
    vector: Vectors = checked_vectors(vectors, embedder, 1)[0]
    return vector
