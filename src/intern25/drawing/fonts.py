# SPDX-License-Identifier: MIT
"""Fonts for drawn text: Pillow's own for English, a usual one of the system for Chinese."""

from __future__ import annotations

import functools
import os

from PIL import ImageFont

from intern25.results.language import Language

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# File names that Pillow looks up in the font folders of Linux, macOS and Windows.
CHINESE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "NotoSansSC-Regular.ttf",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "simsun.ttc",
)

_ANY_SIZE = 16


def choose_font(language: Language, font: str | os.PathLike[str] | None, size: int) -> tuple[Font, Language]:
    """Return a font and the language it can show.

    Args:
        language: Language asked for.
        font: Font file, trusted to have the characters; None for the system's.
        size: Height of the text, pixels.

    Returns:
        The font, and ``language`` or, when no font with Chinese is found, ``"en"``.

    Raises:
        OSError: ``font`` cannot be read.
    """
    if font is not None:
        try:
            return ImageFont.truetype(os.fspath(font), size), language
        except OSError as error:
            raise OSError(f"the font {os.fspath(font)} cannot be read: {error}") from error
    if language == "en":
        return ImageFont.load_default(size), language
    name = find_chinese_font()
    if name is None:
        return ImageFont.load_default(size), "en"
    return ImageFont.truetype(name, size), language


@functools.cache
def find_chinese_font() -> str | None:
    """Return the first usual Chinese font that this system has, or None."""
    for name in CHINESE_FONTS:
        try:
            ImageFont.truetype(name, _ANY_SIZE)
        except OSError:
            continue
        return name
    return None


def shorten(text: str, font: Font, room: float) -> str:
    """Cut ``text`` with an ellipsis until it fits into ``room`` pixels."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text.rstrip() + "..."
