# SPDX-License-Identifier: MIT
"""What a browser sends, as what a predictor takes: pictures of bounded size, and lists of names."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from intern25.data.images import ImageReadError, read_image
from intern25.demo.texts import Texts

LONGEST_SIDE = 1600
"""Pixels; larger pictures are made smaller, which bounds the time and the memory that one takes."""
MOST_NAMES = 100
"""Names in one list."""

_BETWEEN_NAMES = re.compile(r"[,，、;；\n]+")
_SAMPLE_SIZE = (480, 640)


def opened(path: str | None, texts: Texts) -> Image.Image:
    """Return the picture in a file, upright RGB and at most ``LONGEST_SIDE`` pixels long.

    Args:
        path: The uploaded file; None where there is none.
        texts: Words for what is wrong.

    Raises:
        ValueError: There is no picture, or the file is none; the message has its name and not its folder.
    """
    if path is None:
        raise ValueError(texts.no_picture)
    try:
        picture = read_image(path)
    except ImageReadError as error:
        raise ValueError(str(error).replace(path, Path(path).name)) from error
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return picture


def split_names(text: str | None, texts: Texts) -> tuple[str, ...] | None:
    """Return the names in a line, each once; None where there are none.

    Args:
        text: Names between commas, also Chinese ones, semicolons or ends of lines.
        texts: Words for what is wrong.

    Raises:
        ValueError: There are too many.

    Example:
        >>> from intern25.demo.texts import EN
        >>> split_names("cat, 狗、red car,Cat", EN)
        ('cat', '狗', 'red car')
    """
    names: dict[str, str] = {}
    for part in _BETWEEN_NAMES.split(text or ""):
        name = " ".join(part.split())
        if name:
            names.setdefault(name.casefold(), name)
    if len(names) > MOST_NAMES:
        raise ValueError(texts.many_names.format(most=MOST_NAMES, count=len(names)))
    return tuple(names.values()) or None


def sample_street(number: int) -> Image.Image:
    """Return a rendered street; the same number gives the same."""
    from intern25.data.scenes.rendering import render
    from intern25.data.scenes.world import front_camera, sample_scene

    scene = sample_scene(number)
    return Image.fromarray(render(scene, front_camera(scene, _SAMPLE_SIZE)).image)
