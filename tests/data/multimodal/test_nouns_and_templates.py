"""Words around names: plurals, articles, measure words, prompts."""

from __future__ import annotations

import pytest

from intern25.data.class_names import ClassNames, class_names
from intern25.data.multimodal.nouns import counted, counted_zh, number_answers_zh, plural, with_article
from intern25.data.multimodal.templates import (
    CAPTION_REQUESTS,
    CLASS_TEMPLATES,
    READING_REQUESTS,
    SIGN_TEMPLATES,
    class_sentences,
)


@pytest.mark.parametrize(
    ("noun", "many"),
    [
        ("person", "people"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("sandwich", "sandwiches"),
        ("toothbrush", "toothbrushes"),
        ("teddy bear", "teddy bears"),
        ("bus", "buses"),
        ("key", "keys"),
        ("cherry", "cherries"),
    ],
)
def test_plurals(noun: str, many: str) -> None:
    assert plural(noun) == many


def test_numbers_with_nouns() -> None:
    assert [with_article(noun) for noun in ("apple", "cat", "scissors")] == [
        "an apple",
        "a cat",
        "a pair of scissors",
    ]
    assert [counted(n, "bus") for n in (1, 2, 4, 5)] == ["a bus", "two buses", "four buses", "several buses"]
    assert [counted_zh(n, "公交车") for n in (1, 2, 5)] == ["一辆公交车", "两辆公交车", "几辆公交车"]
    assert number_answers_zh(2, "人") == ("2", "2个", "两个")


def test_sentences_of_classes() -> None:
    names = class_names("coco")
    for language in ("en", "zh"):
        rows = class_sentences(names, language)  # type: ignore[arg-type]
        assert [row[0] for row in rows] == list(getattr(names, language))
        assert all(
            name in sentence
            for name, row in zip(rows, rows, strict=True)
            for name in row[:1]
            for sentence in row
        )
    flat = [sentence for row in class_sentences(names, "en") for sentence in row]
    assert not [s for s in flat for vowel in "aeiou" if f" a {vowel}" in s]
    signs = class_sentences(ClassNames(en=("stop",), zh=("停车",)), "zh", SIGN_TEMPLATES)
    assert signs[0][1] == "交通标志：停车"


def test_templates_have_one_place_and_requests_none() -> None:
    for table in (CLASS_TEMPLATES, SIGN_TEMPLATES):
        assert all(template.count("{}") == 1 for row in table.values() for template in row)
    for table in (CAPTION_REQUESTS, READING_REQUESTS):
        rows = [text for row in table.values() for text in row]
        assert len(set(rows)) == len(rows)
        assert all("{" not in text for text in rows)
