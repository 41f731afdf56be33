# SPDX-License-Identifier: MIT
"""From files to small pictures: pictures read ahead by threads, videos moment by moment."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from intern25.data.images import ImageReadError, read_image
from intern25.data.video import read_frames, video_facts
from intern25.search.album import AlbumFile
from intern25.search.embedder import Pixels

LARGEST_SIDE = 1024
"""Pictures are reduced to this before they are embedded: models look at less."""

_THREADS = 4
_EXIF_ORIENTATION = 0x0112
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to see at one moment."""

    pixels: Pixels
    """At most ``LARGEST_SIDE`` on a side."""
    size: tuple[int, int]
    """Width and height of the upright picture itself."""
    time: float | None = None
    """Seconds from the start of a video."""


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file after a look inside."""

    file: AlbumFile
    content: str
    """Hash of the bytes; empty when they could not be read."""
    shown: Shown | None = None
    """The picture; None for videos and for what is known already."""
    is_known: bool = False
    """Whether a file of the same content is in the index."""
    reason: str | None = None
    """Why it cannot be read."""


def read_ahead(
    album: Path, files: Iterable[AlbumFile], known: Callable[[AlbumFile, str], bool], *, depth: int
) -> Iterator[FileRead]:
    """Read files in order, some of them ahead of their turn.

    Args:
        album: Folder of the files.
        files: What to read.
        known: Whether the content of a file, by its hash, need not be decoded.
        depth: How many pictures may wait.
    """
    waiting: deque[Future[FileRead]] = deque()
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        try:
            for file in files:
                waiting.append(pool.submit(_read_file, album, file, known))
                if len(waiting) >= depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def video_moments(path: Path, every: float) -> Iterator[Shown]:
    """Yield what a video shows every ``every`` seconds, from its start.

    Raises:
        VideoReadError: It cannot be read; the moments before the damage have been given.
        ImportError: PyAV is not installed.
    """
    step = max(1, round(every * video_facts(path).rate))
    for frame in read_frames(path, step=step):
        yield Shown(reduced(frame.image), frame.image.size, frame.time)


def read_picture(path: Path, data: bytes) -> Shown:
    """Decode a picture, only as large as it is needed.

    Args:
        path: Where it lies, for messages.
        data: The content of the file.

    Raises:
        ImageReadError: It is damaged or no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
            # JPEG can be decoded at a half, a quarter, ... of its size in a fraction of the time.
            image.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
            is_turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
            pixels = reduced(read_image(image))
    # Decoders raise many kinds; the reader of whole files finds the words.
    except Exception:
        whole = read_image(path)
        return Shown(reduced(whole), whole.size)
    return Shown(pixels, (size[1], size[0]) if is_turned else size)


def reduced(image: Image.Image) -> Pixels:
    """Return the pixels of an RGB picture, at most ``LARGEST_SIDE`` on a side."""
    share = LARGEST_SIDE / max(image.size)
    if share < 1.0:
        size = max(1, round(image.width * share)), max(1, round(image.height * share))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(image)


def _read_file(album: Path, file: AlbumFile, known: Callable[[AlbumFile, str], bool]) -> FileRead:
    path = album / file.path
    try:
        if file.kind == "video":
            content = _content_of(path)
            return FileRead(file, content, is_known=known(file, content))
        data = path.read_bytes()
    except OSError as error:
        return FileRead(file, "", reason=f"{path} cannot be opened: {error.strerror}")
    content = hashlib.blake2b(data, digest_size=16).hexdigest()
    if known(file, content):
        return FileRead(file, content, is_known=True)
    try:
        return FileRead(file, content, read_picture(path, data))
    except ImageReadError as error:
        return FileRead(file, content, reason=str(error))


def _content_of(path: Path) -> str:
    """Hash of a file of any size."""
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            state.update(piece)
    return state.hexdigest()
