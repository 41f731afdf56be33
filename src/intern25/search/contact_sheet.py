# SPDX-License-Identifier: MIT
"""The matches of a search on one page: thumbnails with the part that fits, path and score."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from intern25.data.images import ImageReadError, read_image
from intern25.data.video import VideoReadError, picture_at
from intern25.drawing.colors import INK, MUTED, WHITE
from intern25.drawing.fonts import Font, choose_font, shorten
from intern25.search.matches import Box, Match

_CELL = (256, 192)
_GAP = 16
_TEXT_SIZE = 15
_TITLE_SIZE = 24
_LINE_HEIGHT = 20
_HEADER = 56
_EXAMPLE_HEADER = 136
_MOST_COLUMNS = 4

_EMPTY = (234, 238, 242)
_BOX = (255, 196, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSheet:
    """A page of thumbnails, the best match first."""

    album: Path
    """Folder that the paths of the matches begin in."""
    matches: Sequence[Match]
    """What to show."""
    query: str | Image.Image
    """Text or picture on top."""
    font: str | os.PathLike[str] | None = None
    """Font file, or None for the system's; Chinese needs one that has it."""

    def draw(self) -> Image.Image:
        """Return a new RGB picture; files that are gone by now are empty frames that say so.

        Raises:
            ValueError: There is nothing to show.
            OSError: ``font`` cannot be read.
        """
        if not self.matches:
            raise ValueError("no matches to draw")
        columns = min(_MOST_COLUMNS, len(self.matches))
        rows = -(-len(self.matches) // columns)
        header = _HEADER if isinstance(self.query, str) else _EXAMPLE_HEADER
        cell = _CELL[1] + 2 * _LINE_HEIGHT + _GAP
        size = columns * (_CELL[0] + _GAP) + _GAP, header + rows * cell + _GAP // 2
        canvas = Image.new("RGB", size, WHITE)
        self._draw_header(canvas)
        for number, match in enumerate(self.matches):
            row, column = divmod(number, columns)
            self._draw_match(canvas, match, (_GAP + column * (_CELL[0] + _GAP), header + row * cell))
        return canvas

    def _draw_header(self, canvas: Image.Image) -> None:
        if isinstance(self.query, str):
            text = " ".join(self.query.split())
            font = self._font(text, _TITLE_SIZE)
            text = shorten(text, font, canvas.width - 2 * _GAP)
            ImageDraw.Draw(canvas).text((_GAP, _HEADER // 2), text, fill=INK, font=font, anchor="lm")
            return
        thumbnail, _ = _fitted(self.query, (_CELL[0], _EXAMPLE_HEADER - 2 * _GAP))
        canvas.paste(thumbnail, (_GAP, _GAP))

    def _draw_match(self, canvas: Image.Image, match: Match, corner: tuple[int, int]) -> None:
        left, top = corner
        pen = ImageDraw.Draw(canvas)
        pen.rectangle((left, top, left + _CELL[0] - 1, top + _CELL[1] - 1), fill=_EMPTY)
        picture = _picture(self.album, match)
        small = self._font("", _TEXT_SIZE)
        if picture is None:
            middle = left + _CELL[0] // 2, top + _CELL[1] // 2
            pen.text(middle, "cannot be read", fill=MUTED, font=small, anchor="mm")
        else:
            thumbnail, scale = _fitted(picture, _CELL)
            if match.box is not None:
                _draw_box(thumbnail, match.box, scale)
            place = (_CELL[0] - thumbnail.width) // 2, (_CELL[1] - thumbnail.height) // 2
            canvas.paste(thumbnail, (left + place[0], top + place[1]))
        font = self._font(match.path, _TEXT_SIZE)
        below = top + _CELL[1] + _LINE_HEIGHT // 2 + 2
        pen.text((left, below), _short_path(match.path, font), fill=INK, font=font, anchor="lm")
        facts = f"{match.score:.3f}" if match.time is None else f"{match.score:.3f}   {clock(match.time)}"
        pen.text((left, below + _LINE_HEIGHT), facts, fill=MUTED, font=small, anchor="lm")

    def _font(self, text: str, size: int) -> Font:
        """A font for ``text``: Chinese where it is more than English."""
        return choose_font("en" if text.isascii() else "zh", self.font, size)[0]


def clock(seconds: float) -> str:
    """Return a time as players show it.

    Example:
        >>> clock(3.4), clock(75.0), clock(3723.0)
        ('0:03', '1:15', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _picture(album: Path, match: Match) -> Image.Image | None:
    path = album / match.path
    try:
        return read_image(path) if match.time is None else picture_at(path, match.time)
    except (ImageReadError, VideoReadError):
        return None


def _fitted(picture: Image.Image, room: tuple[int, int]) -> tuple[Image.Image, float]:
    """The picture as large as the room allows, and its scale."""
    scale = min(room[0] / picture.width, room[1] / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0), scale


def _draw_box(thumbnail: Image.Image, box: Box, scale: float) -> None:
    """A frame with a dark edge, seen on any background."""
    left, top, right, bottom = (side * scale for side in box)
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, thumbnail.width) - 1.0, min(bottom, thumbnail.height) - 1.0
    frame = (left, top, max(right, left), max(bottom, top))
    pen = ImageDraw.Draw(thumbnail)
    pen.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), outline=INK, width=5)
    pen.rectangle(frame, outline=_BOX, width=3)


def _short_path(path: str, font: Font) -> str:
    """The path, or what fits of its end: the name says more than the folders."""
    if font.getlength(path) <= _CELL[0]:
        return path
    name = path.rpartition("/")[2]
    if font.getlength(f".../{name}") <= _CELL[0]:
        return f".../{name}"
    return shorten(name, font, _CELL[0])
