# SPDX-License-Identifier: MIT
"""Decode the images of a data set, and find those that cannot be decoded before training starts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from intern25.data.images import read_image
from intern25.data.labelled import LabelledImages
from intern25.data.stores import ImageStore, MemoryStore


class ImageDecodingError(ValueError):
    """An image of a data set is corrupt or missing; the message names it."""


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image that cannot be decoded, and why."""

    name: str
    reason: str


def decode(images: LabelledImages, index: int, *, minimum_side: int | None = None) -> Image.Image:
    """Decode image ``index`` to upright RGB.

    Args:
        images: Images of one split.
        index: Position in ``images``.
        minimum_side: Let the JPEG decoder shrink by a power of two while both sides stay at least this long.

    Returns:
        RGB image, turned as its EXIF orientation says.

    Raises:
        ImageDecodingError: The image cannot be read.
    """
    return decode_stored(images.store, images.names[index], minimum_side=minimum_side)


def decode_stored(store: ImageStore, name: str, *, minimum_side: int | None = None) -> Image.Image:
    """Decode the picture ``name`` of a store to upright RGB; see :func:`decode`."""
    try:
        data = store.read(name)
        if not isinstance(data, bytes):
            return Image.fromarray(data)
        if minimum_side is None:
            return read_image(data)
        image = Image.open(io.BytesIO(data))
        if image.format == "JPEG":
            image.draft("RGB", (minimum_side, minimum_side))
        return read_image(image)
    # Decoders raise many kinds on damaged data (SyntaxError and IndexError among them).
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, Image.DecompressionBombError) as error:
        raise ImageDecodingError(f"{name}: {error}") from error


def find_bad_images(images: LabelledImages, *, threads: int = 2) -> Iterator[BadImage]:
    """Decode every image and yield those that fail, in order."""

    def reason(index: int) -> str | None:
        try:
            decode(images, index)
        except ImageDecodingError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(threads) as pool:
        for name, failure in zip(images.names, pool.map(reason, range(len(images))), strict=True):
            if failure is not None:
                yield BadImage(name, failure)


def decoded_in_memory(images: LabelledImages) -> LabelledImages:
    """Return the same images with all pixels held in memory, three bytes a pixel."""
    pixels = {name: np.asarray(decode(images, index)) for index, name in enumerate(images.names)}
    return replace(images, store=MemoryStore(pixels))


def without_bad_images(images: LabelledImages, *, skip_bad: bool) -> tuple[LabelledImages, list[BadImage]]:
    """Check that every image decodes.

    Args:
        images: Images to check.
        skip_bad: Leave bad images out instead of raising.

    Returns:
        The good images, and the bad ones.

    Raises:
        ValueError: There are bad images and ``skip_bad`` is false, or none is left.
    """
    bad = list(find_bad_images(images))
    if not bad:
        return images, []
    if not skip_bad:
        rows = "\n".join(f"  {image.reason}" for image in bad[:10])
        raise ValueError(
            f"{len(bad)} of {len(images)} images cannot be read; use skip_bad (--skip-bad) to go on without "
            f"them. The first:\n{rows}"
        )
    names = {image.name for image in bad}
    good = images.select([index for index, name in enumerate(images.names) if name not in names])
    if not len(good):
        raise ValueError(f"none of the {len(images)} images can be read; the first: {bad[0].reason}")
    return good, bad
