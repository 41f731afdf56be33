# SPDX-License-Identifier: MIT
"""Answers in one spelling, so that "Two dogs." equals "2 dogs" and "３只" equals "三"."""

from __future__ import annotations

import re
import unicodedata

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_ARTICLES = frozenset(("a", "an", "the"))
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_MARKS = str.maketrans({"’": "'", "。": ".", "、": ","})
"""Marks that Unicode does not hold to be forms of ASCII ones."""
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
_LONE_PERIOD = re.compile(r"\.(?!\d)")

# Words that lost their apostrophe; "well", "were", "its" and the like are words of their own and stay.
_STEMS = {
    "n't": (
        "ai", "are", "ca", "could", "did", "does", "do", "had", "has", "have", "is", "might", "must", "need",
        "should", "was", "were", "wo", "would",
    ),
    "'ve": ("could", "i", "might", "must", "should", "they", "we", "who", "would", "you"),
    "'re": ("they", "you", "there", "who", "what"),
    "'ll": ("it", "that", "they", "what", "who", "you"),
    "'s": ("he", "how", "she", "that", "there", "what", "when", "where", "who", "somebody", "someone"),
    "'d": ("he", "how", "it", "they", "who", "you"),
    "'m": ("i",),
}  # fmt: skip
_CONTRACTIONS = {
    (stem + ending).replace("'", ""): stem + ending for ending, stems in _STEMS.items() for stem in stems
}

_CHINESE_NUMBERS = {c: str(n) for n, c in enumerate("零一二三四五六七八九十")} | {
    "〇": "0",
    "两": "2",
    "俩": "2",
}
_MEASURE_WORDS = "个只辆位名条张头匹把件座栋盏棵块"
_CHINESE_NUMBER = re.compile(rf"([{''.join(_CHINESE_NUMBERS)}]|\d+)[{_MEASURE_WORDS}]?")


def normalise_answer(text: str) -> str:
    """Return the answer in the spelling in which answers are compared.

    English follows the rules of the VQA evaluation: lower case, number words up to ten as digits, no
    articles, no punctuation, apostrophes of contractions put back. Chinese: spaces and punctuation
    go; a number up to ten, alone or with a measure word, is its digits. Full-width forms become half-width.

    Example:
        >>> normalise_answer("The two dogs."), normalise_answer("dont know"), normalise_answer("1,000")
        ('2 dogs', "don't know", '1000')
        >>> normalise_answer("三只"), normalise_answer("是的。")
        ('3', '是的')

    Source:
        Antol et al., "VQA", arXiv:1505.00468, and the evaluation published with it. Ours keeps contractions
        that are also words, such as "its", as they are.
    """
    text = unicodedata.normalize("NFKC", text).lower().translate(_MARKS)
    if _CJK.search(text):
        return _normalise_chinese(text)
    text = " ".join(text.split())
    text = _LONE_PERIOD.sub("", _strip_punctuation(text))
    words = (_NUMBERS.get(word, word) for word in text.split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _strip_punctuation(text: str) -> str:
    """Marks beside a space, and all marks of a text with "1,000", vanish; others separate words."""
    in_number = _COMMA_IN_NUMBER.search(text) is not None
    padded = text
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        padded = padded.replace(mark, "" if beside_space or in_number else " ")
    return padded


def _normalise_chinese(text: str) -> str:
    bare = "".join(letter for letter in text if unicodedata.category(letter)[0] not in "PZC")
    number = _CHINESE_NUMBER.fullmatch(bare)
    return _CHINESE_NUMBERS.get(number[1], number[1]) if number else bare
