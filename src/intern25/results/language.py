# SPDX-License-Identifier: MIT
"""The two languages of names, and names in one of them or in both."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh", "both"]


def names_in(names_en: tuple[str, ...], names_zh: tuple[str, ...], language: Language) -> tuple[str, ...]:
    """Return the names in ``"en"``, ``"zh"`` or ``"both"`` (``English / Chinese``).

    Raises:
        ValueError: Another language.
    """
    if language == "en":
        return names_en
    if language == "zh":
        return names_zh
    if language == "both":
        pairs = zip(names_en, names_zh, strict=True)
        return tuple(en if en == zh else f"{en} / {zh}" for en, zh in pairs)
    raise ValueError(f"language={language!r} must be 'en', 'zh' or 'both'")
