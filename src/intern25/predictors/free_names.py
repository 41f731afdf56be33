# SPDX-License-Identifier: MIT
"""Names and texts of a user, in either language: checked, and names translated where that is known."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.data.class_names import ClassNames
from intern25.data.multimodal.rows import language_of


def check_names(names: Sequence[str], *, argument: str = "classes", fewest: int = 1) -> tuple[str, ...]:
    """Return names without blanks around them.

    Args:
        names: Names, each in any language.
        argument: What the user calls ``names``.
        fewest: How many there must be.

    Raises:
        TypeError: ``names`` is one text in place of a list, or one of them is no text.
        ValueError: There are too few, one is empty, or one is there twice.
    """
    if isinstance(names, str):
        raise TypeError(f"{argument}={names!r} must be a list of names: {argument}=[{names!r}]")
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"{argument} must be texts, {wrong[0]!r} is none")
    stripped = tuple(name.strip() for name in names)
    if not stripped:
        raise ValueError(f"{argument}=[] names no class; leave it out for the usual ones")
    if "" in stripped:
        raise ValueError(
            f"{argument} has an empty name at place {stripped.index('') + 1}; write what to find"
        )
    seen: set[str] = set()
    for name in stripped:
        if name.casefold() in seen:
            raise ValueError(f"{argument} names {name!r} twice; each name once")
        seen.add(name.casefold())
    if len(stripped) < fewest:
        raise ValueError(
            f"{argument}={list(stripped)} leaves nothing to choose between; give {fewest} or more, "
            "such as one for all else"
        )
    return stripped


def check_text(text: str, what: str) -> str:
    """Return the text without blanks around it.

    Args:
        text: A question, phrase or sentence.
        what: What the user calls it.

    Raises:
        TypeError: It is no text.
        ValueError: It says nothing.
    """
    if not isinstance(text, str):
        raise TypeError(f"the {what} must be a text, not {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"the {what} is empty; write one")
    return text.strip()


def with_translations(names: Sequence[str], known: Sequence[ClassNames]) -> ClassNames:
    """Return ``names`` in both languages: as the known lists translate them, else the same in both.

    Args:
        names: Names as the user wrote them.
        known: Lists with both languages; the first that has a name counts.

    Example:
        >>> with_translations(["狗", "red van"], [ClassNames(en=("dog",), zh=("狗",))])
        ClassNames(en=('dog', 'red van'), zh=('狗', 'red van'))
    """
    to_en: dict[str, str] = {}
    to_zh: dict[str, str] = {}
    for classes in known:
        for en, zh in zip(classes.en, classes.zh, strict=True):
            to_zh.setdefault(en.casefold(), zh)
            to_en.setdefault(zh.casefold(), en)
    pairs = [
        (to_en.get(name.casefold(), name), name)
        if language_of(name) == "zh"
        else (name, to_zh.get(name.casefold(), name))
        for name in names
    ]
    return ClassNames(en=tuple(en for en, _ in pairs), zh=tuple(zh for _, zh in pairs))
