# SPDX-License-Identifier: MIT
"""Both languages say the same things."""

from __future__ import annotations

import dataclasses
import re
from string import Formatter

from intern25.data.multimodal.rows import language_of
from intern25.demo.texts import EN, QUESTIONS, TEXTS, ZH


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_text_is_there_in_its_language_with_the_same_blanks() -> None:
    assert TEXTS == {"zh": ZH, "en": EN}
    for part in dataclasses.fields(EN):
        en, zh = getattr(EN, part.name), getattr(ZH, part.name)
        assert blanks(en) == blanks(zh), part.name
        if part.name.endswith("_hint") and part.name != "read_hint":
            continue  # examples in both languages
        assert language_of(en) == "en", part.name
        assert part.name == "language" or language_of(zh) == "zh", part.name
        assert not re.search(r"[\u4e00-\u9fff][,:;?]", zh), f"{part.name} has English punctuation"


def test_questions_are_in_both_languages() -> None:
    assert {language_of(question) for question in QUESTIONS} == {"zh", "en"}
