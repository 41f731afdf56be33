# SPDX-License-Identifier: MIT
"""Texts as they stand on signs, plates and labels, drawn at random in English and Chinese."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from intern25.data.multimodal.records import Language, Line
from intern25.data.multimodal.rows import language_of
from intern25.data.multimodal.sign_words import (
    FREQUENT_ZH,
    PLACES_ZH,
    PROVINCES_ZH,
    STREETS_ZH,
    SURNAMES_ZH,
    chinese_words,
    english_words,
    level_one_characters,
)

_DIGITS = string.digits
_LETTERS = string.ascii_uppercase
_PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ONSETS = (
    "",
    *"bcdfghjklmnprstvwyz",
    "ch",
    "sh",
    "th",
    "br",
    "cr",
    "dr",
    "gr",
    "pr",
    "tr",
    "bl",
    "cl",
    "fl",
    "st",
)
_VOWELS = (*"aeiouaeiou", "ai", "ea", "ee", "oo", "ou", "ia")
_CODAS = ("", "", "", "n", "r", "l", "s", "t", "m", "ck", "nd", "rt", "x", "ng")
_MARKS = ("!", "?", ".", ",", ":", "'s", "-", "&", "/", "%", "*", "+")
# (share, rule); the shares of a language add up to one.
Rule = Callable[["SignText", np.random.Generator], str]


@dataclass(frozen=True, slots=True)
class SignText:
    """Draws the text of a sign: mostly words, also numbers, prices, plates and random letters.

    Args:
        languages: Languages to draw from, each as often as the other.
        english: Words in place of the packaged English ones.
        chinese: Words in place of the packaged Chinese ones.
        max_length: Most characters of an English text; Chinese texts have at most six, plates seven.
    """

    languages: tuple[Language, ...] = ("en", "zh")
    english: Sequence[str] = field(default_factory=english_words, repr=False)
    chinese: Sequence[str] = field(default_factory=chinese_words, repr=False)
    max_length: int = 20

    def draw(self, generator: np.random.Generator) -> Line:
        """Draw one text."""
        language = self.languages[int(generator.integers(len(self.languages)))]
        shares, rules = _RULES[language]
        text = rules[int(np.searchsorted(shares, generator.random(), side="right"))](self, generator)
        text = text[: self.max_length].strip() or "0"
        return Line(text=text, language=language_of(text))


def _pick(generator: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(generator.integers(len(choices)))]


def _letters(generator: np.random.Generator, alphabet: str, low: int, high: int) -> str:
    count = int(generator.integers(low, high + 1))
    return "".join(alphabet[i] for i in generator.integers(len(alphabet), size=count).tolist())


def _word(source: SignText, generator: np.random.Generator) -> str:
    """One word: capitals as on shop signs, a capital first, or as it is."""
    return _cased(_pick(generator, source.english), generator)


def _cased(word: str, generator: np.random.Generator) -> str:
    kind = generator.random()
    if kind < 0.5:
        return word.upper()
    return word[:1].upper() + word[1:] if kind < 0.75 else word


def _made_up(_: SignText, generator: np.random.Generator) -> str:
    """A word that could be a name: syllables of consonants and vowels."""
    syllables = (
        _pick(generator, _ONSETS) + _pick(generator, _VOWELS) + _pick(generator, _CODAS)
        for _ in range(int(generator.integers(1, 4)))
    )
    return _cased("".join(syllables), generator)


def _marked_word(source: SignText, generator: np.random.Generator) -> str:
    word, mark = _word(source, generator), _pick(generator, _MARKS)
    if mark in ("-", "&", "/", "+"):
        return word + mark + _pick(generator, source.english)[:6]
    return word + mark


def _two_words(source: SignText, generator: np.random.Generator) -> str:
    first, second = _word(source, generator), _pick(generator, source.english)
    if first.isupper():
        second = second.upper()
    elif first[:1].isupper():
        second = second.capitalize()
    return f"{first} {second}"


def _random_letters(_: SignText, generator: np.random.Generator) -> str:
    alphabet = _LETTERS if generator.random() < 0.6 else string.ascii_letters + _DIGITS
    return _letters(generator, alphabet, 1, 9)


def _number(_: SignText, generator: np.random.Generator) -> str:
    return _letters(generator, _DIGITS, 1, 6)


def _price(_: SignText, generator: np.random.Generator) -> str:
    amount = f"{int(generator.integers(1, 1000))}.{_letters(generator, _DIGITS, 2, 2)}"
    return _pick(generator, ("$", "£", "", "¥")) + (amount if generator.random() < 0.7 else amount[:-3])


def _telephone(_: SignText, generator: np.random.Generator) -> str:
    parts = (_letters(generator, _DIGITS, 3, 3), _letters(generator, _DIGITS, 3, 4))
    return _pick(generator, ("-", " ", ".")).join((*parts, _letters(generator, _DIGITS, 4, 4)))


def _time(_: SignText, generator: np.random.Generator) -> str:
    hour, minute = int(generator.integers(24)), int(generator.integers(60))
    return f"{hour}:{minute:02d}" + _pick(generator, ("", "", "am", "PM"))


def _plate(_: SignText, generator: np.random.Generator) -> str:
    if generator.random() < 0.5:
        return _letters(generator, _PLATE_LETTERS, 2, 3) + _letters(generator, _DIGITS, 2, 4)
    return _letters(generator, _PLATE_LETTERS, 1, 2) + _letters(generator, _PLATE_LETTERS + _DIGITS, 4, 5)


def _plate_zh(_: SignText, generator: np.random.Generator) -> str:
    place = _pick(generator, PROVINCES_ZH) + _letters(generator, _PLATE_LETTERS, 1, 1)
    return place + _letters(generator, _PLATE_LETTERS + _DIGITS * 3, 5, 5)


def _word_zh(source: SignText, generator: np.random.Generator) -> str:
    return _pick(generator, source.chinese)[:6]


def _shop_zh(source: SignText, generator: np.random.Generator) -> str:
    """A place or a family before what a shop sells."""
    if generator.random() < 0.6:
        return (_pick(generator, PLACES_ZH) + _word_zh(source, generator))[:6]
    return (
        _pick(generator, SURNAMES_ZH) + _pick(generator, ("记", "氏", "家")) + _word_zh(source, generator)
    )[:6]


def _street_zh(_: SignText, generator: np.random.Generator) -> str:
    return _pick(generator, PLACES_ZH) + _pick(generator, STREETS_ZH)


def _characters_zh(_: SignText, generator: np.random.Generator) -> str:
    """One to six characters of level 1 of GB 2312; half of them are frequent ones."""
    alphabet = FREQUENT_ZH if generator.random() < 0.35 else level_one_characters()
    return _letters(generator, alphabet, 1, 6)


def _numbered_zh(_: SignText, generator: np.random.Generator) -> str:
    number = _letters(generator, "123456789", 1, 1) + _letters(generator, _DIGITS, 0, 2)
    return number + _pick(generator, ("号", "号楼", "元", "米", "公里", "小时", "折", "层", "路", "年", "月"))


_RULES: dict[Language, tuple[np.ndarray[tuple[int], np.dtype[np.float64]], tuple[Rule, ...]]] = {
    "en": (
        np.cumsum([0.53, 0.10, 0.06, 0.05, 0.10, 0.07, 0.03, 0.02, 0.02]),
        (
            _word,
            _made_up,
            _marked_word,
            _two_words,
            _random_letters,
            _number,
            _price,
            _telephone,
            _time,
            _plate,
        ),
    ),
    "zh": (
        np.cumsum([0.34, 0.16, 0.08, 0.34, 0.05]),
        (_word_zh, _shop_zh, _street_zh, _characters_zh, _numbered_zh, _plate_zh),
    ),
}
"""For each language, the shares of all rules but the last, added up, and the rules."""
