# SPDX-License-Identifier: MIT
"""Free fonts of the system, and which characters each has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageFont

Font = ImageFont.FreeTypeFont

# Families under free licences, as their files are called.
_FREE_FAMILIES = re.compile(
    r"(?P<family>DejaVuS[a-z]+|NotoS[a-z]+(?:CJK)?|Liberation[A-Z][a-z]+|wqy-\w+|Lato|Roboto(?:Condensed)?|OpenSans|"
    r"uming|ukai|gbsn00lp|gkai00mp|Free(?:Sans|Serif|Mono)|Cantarell|Comfortaa|lobster|LobsterTwo|"
    r"DancingScript|Lin(?:Libertine|Biolinum)|BebasNeue|Junction|Cabin|EBGaramond\d*|Carlito|"
    r"YanoneKaffeesatz|Quattrocento|Dosis|Nimbus[A-Z][a-z]+(?:Narrow)?|C059|P052|D050000L|URW[A-Z][a-z]+|Z003|breipfont)"
    r"(?:[-_. ].*|[A-Z0-9].*)?\.(?:ttf|otf|ttc)"
)
# Too thin to be read when small, or no letters.
_UNUSABLE = re.compile(r"Thin|Hairline|ExtraLight|Math|Symbol|Emoji|Dingbats|D050000L|Biolinum_K|Initials")
_SIMPLIFIED_INDEX = 2
"""Position of simplified Chinese in the collections of Noto CJK; the first is Japanese."""
_NO_CHARACTER = "\U0010fffe"
_BUILT_IN = "Pillow"


def _folders() -> list[Path]:
    home, windows = Path.home(), os.environ.get("WINDIR")
    fixed = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")
    own = (".fonts", ".local/share/fonts", "Library/Fonts")
    folders = [*map(Path, fixed), *(home / name for name in own)]
    return [*folders, Path(windows) / "Fonts"] if windows else folders


@cache
def system_fonts() -> tuple[Path, ...]:
    """Files of the free fonts of the system, in the order of their names, each name once."""
    found: dict[str, Path] = {}
    for folder in _folders():
        for place, _, files in os.walk(folder):
            for file in files:
                if _FREE_FAMILIES.fullmatch(file) and not _UNUSABLE.search(file):
                    found.setdefault(file, Path(place) / file)
    return tuple(path for _, path in sorted(found.items()))


def family_of(path: Path) -> str:
    """Family that a font file belongs to, by its name."""
    match = _FREE_FAMILIES.fullmatch(path.name)
    return str(match["family"]) if match else path.stem.split("-")[0]


class FontShelf:
    """Fonts that are loaded when first used, with the characters they have.

    A family is as likely as any other, however many files it has. Pillow's own font is always there.

    Args:
        paths: Font files; the free fonts of the system by default.

    Raises:
        ValueError: A file is missing or no font.
    """

    def __init__(self, paths: Sequence[str | Path] | None = None) -> None:
        self.paths = system_fonts() if paths is None else tuple(map(Path, paths))
        families: dict[str, list[str]] = {_BUILT_IN: [_BUILT_IN]}
        for path in self.paths:
            families.setdefault(family_of(path), []).append(str(path))
        self._families: tuple[tuple[str, ...], ...] = tuple(map(tuple, families.values()))
        self._loaded: dict[tuple[str, int], Font] = {}
        self._has: dict[tuple[str, str], bool] = {}
        self._nothing: dict[str, tuple[tuple[int, int], bytes]] = {}
        if paths is not None:
            for path in self.paths:
                self.font(str(path), 20)

    def __getstate__(self) -> dict[str, Any]:
        # Loaded fonts cannot be pickled for the workers of a loader; they load their own.
        return {**self.__dict__, "_loaded": {}, "_has": {}, "_nothing": {}}

    def font(self, name: str, size: int) -> Font:
        """Return a font of ``size`` pixels.

        Raises:
            ValueError: The file is missing or no font.
        """
        key = (name, size)
        if key not in self._loaded:
            self._loaded[key] = _load(name, size)
        return self._loaded[key]

    def covers(self, name: str, text: str) -> bool:
        """Whether a font has all characters of a text."""
        return all(self._has_character(name, char) for char in text if not char.isspace())

    def _has_character(self, name: str, char: str) -> bool:
        key = (name, char)
        if key not in self._has:
            font = self.font(name, 20)
            if name not in self._nothing:
                self._nothing[name] = _bitmap(font, _NO_CHARACTER)
            drawn = _bitmap(font, char)
            self._has[key] = any(drawn[1]) and drawn != self._nothing[name]
        return self._has[key]

    def supports(self, characters: Iterable[str]) -> set[str]:
        """The characters that at least one font has."""
        names = [name for family in self._families for name in family]
        return {char for char in characters if any(self._has_character(name, char) for name in names)}

    def find(self, text: str, generator: np.random.Generator) -> str | None:
        """Choose a font that has all characters of a text; ``None`` where there is none."""
        for family in generator.permutation(len(self._families)).tolist():
            names = self._families[int(family)]
            name = names[int(generator.integers(len(names)))]
            if self.covers(name, text):
                return name
        return None


def _load(name: str, size: int) -> Font:
    if name == _BUILT_IN:
        built_in = ImageFont.load_default(size)
        assert isinstance(built_in, Font), "Pillow is built without FreeType"
        return built_in
    try:
        collection = name.lower().endswith(".ttc") and "CJK" in name
        return ImageFont.truetype(name, size, index=_SIMPLIFIED_INDEX if collection else 0)
    except OSError as error:
        raise ValueError(
            f"the font {name} cannot be opened: {error}; give a .ttf, .otf or .ttc file"
        ) from error


def _bitmap(font: Font, text: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text, mode="L")
    return mask.size, bytes(mask)
