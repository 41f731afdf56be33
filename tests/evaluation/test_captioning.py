# SPDX-License-Identifier: MIT
"""BLEU and CIDEr-D against the formulas of the papers, and the words they count."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.evaluation.captioning import characters, chinese_words, score_captions, words

CAPTIONS = [
    "a dog runs on the grass",
    "two cats on a red sofa",
    "a man rides a horse on the beach",
    "a bus",
]
REFERENCES = [
    ["a brown dog runs over the grass", "the dog is running on grass"],
    ["two cats sleep on a red sofa", "cats on the sofa", "a pair of cats on a red couch"],
    ["a man rides a horse"],
    ["a red bus on the street", "a bus drives on the street"],
]
sentences = st.lists(
    st.sampled_from(["dog", "cat", "runs", "red", "on", "the", "a", "sofa", "two", "bus"]),
    min_size=1,
    max_size=9,
)


def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    tokens = text.split()
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def cider_d(captions: list[str], references: list[list[str]]) -> float:
    """Equations 1 to 4 of arXiv:1411.5726 with the clipping and the length penalty of CIDEr-D."""
    pictures, total = len(captions), 0.0
    for caption, texts in zip(captions, references, strict=True):
        for n in range(1, 5):
            for text in texts:
                weights = []
                for counts in (grams(caption, n), grams(text, n)):
                    weights.append(
                        {
                            gram: count
                            * math.log(
                                pictures
                                / max(
                                    1, sum(any(gram in grams(r, n) for r in others) for others in references)
                                )
                            )
                            for gram, count in counts.items()
                        }
                    )
                said, true = weights
                dot = sum(min(said[g], true[g]) * true[g] for g in said if g in true)
                lengths = [math.sqrt(sum(w * w for w in vector.values())) for vector in weights]
                similarity = dot / (lengths[0] * lengths[1]) if all(lengths) else 0.0
                gap = len(caption.split()) - len(text.split())
                total += 10 * math.exp(-(gap**2) / (2 * 6.0**2)) * similarity / len(texts) / 4
    return total / pictures


def bleu(captions: list[str], references: list[list[str]], order: int) -> float:
    """Papineni et al.: clipped precisions of the whole corpus, closest reference length."""
    product = 1.0
    for n in range(1, order + 1):
        hits = tries = 0
        for caption, texts in zip(captions, references, strict=True):
            for gram, count in grams(caption, n).items():
                hits += min(count, max(grams(text, n)[gram] for text in texts))
                tries += count
        product *= hits / tries
    said = sum(len(caption.split()) for caption in captions)
    true = 0
    for caption, texts in zip(captions, references, strict=True):
        length = len(caption.split())
        true += min((abs(len(t.split()) - length), len(t.split())) for t in texts)[1]
    penalty = 1.0 if said >= true else math.exp(1 - true / said)
    return float(penalty * product ** (1 / order))


def test_scores_equal_the_formulas() -> None:
    report = score_captions(CAPTIONS, REFERENCES)
    assert report.pictures == 4
    assert report.cider == pytest.approx(cider_d(CAPTIONS, REFERENCES), rel=1e-9)
    for order in range(1, 5):
        expected = bleu(CAPTIONS, REFERENCES, order)
        assert 0.1 < expected < 1
        assert report.as_dict()[f"bleu{order}"] == pytest.approx(expected, rel=1e-6)


def test_bleu_by_hand() -> None:
    # 3 of 4 words and 1 of 2 pairs occur; 4 words against 5 cost exp(1 - 5/4).
    report = score_captions(["red dog", "big cat"], [["red dog runs"], ["small cat"]])
    penalty = math.exp(1 - 5 / 4)
    assert report.bleu1 == pytest.approx(penalty * 0.75)
    assert report.bleu2 == pytest.approx(penalty * math.sqrt(0.75 * 0.5))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(sentences, st.lists(sentences, min_size=1, max_size=3)), min_size=2, max_size=5))
def test_cider_equals_the_formula_on_random_sentences(
    pictures: list[tuple[list[str], list[list[str]]]],
) -> None:
    captions = [" ".join(caption) for caption, _ in pictures]
    references = [[" ".join(text) for text in texts] for _, texts in pictures]
    assert score_captions(captions, references).cider == pytest.approx(
        cider_d(captions, references), abs=1e-9
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**31))
def test_order_of_pictures_and_references_does_not_matter(seed: int) -> None:
    generator = random.Random(seed)
    order = generator.sample(range(4), 4)
    shuffled = [generator.sample(REFERENCES[i], len(REFERENCES[i])) for i in order]
    report = score_captions([CAPTIONS[i] for i in order], shuffled)
    assert report.as_dict() == pytest.approx(score_captions(CAPTIONS, REFERENCES).as_dict())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(4, 9), min_size=2, max_size=6))
def test_perfect_captions_reach_the_maximum(lengths: list[int]) -> None:
    # Words of their own for each picture, so that all of them count.
    starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    texts = [" ".join(f"w{i}" for i in range(*ends)) for ends in pairwise(starts)]
    report = score_captions(texts, [[text] for text in texts])
    values = [report.bleu1, report.bleu2, report.bleu3, report.bleu4, report.cider / 10]
    assert values == pytest.approx([1.0] * 5, rel=1e-6)


def test_chinese_by_characters_and_by_words() -> None:
    said = ["一只狗在草地上奔跑", "两只猫睡在沙发上"]
    true = [["一只棕色的狗在草地上跑"], ["沙发上睡着两只猫。"]]
    by_character = score_captions(said, true, split=characters)
    spaced = [" ".join(text) for text in said]
    expected = cider_d(spaced, [[" ".join(text.rstrip("。")) for text in texts] for texts in true])
    assert by_character.cider == pytest.approx(expected)
    by_word = score_captions(said, true, split=chinese_words)
    assert 0 < by_word.bleu1 < by_character.bleu1
    assert score_captions(said, [[text + "。"] for text in said], split=chinese_words).bleu1 == pytest.approx(
        1
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man, riding a horse.", ["a", "man", "riding", "a", "horse"]),
        ("The dog’s bowl can't 'hold' it!", ["the", "dog", "'s", "bowl", "ca", "n't", "hold", "it"]),
        ("a well-lit room -- at 5.30 (pm)", ["a", "well-lit", "room", "at", "5.30", "pm"]),
        ("salt & pepper for $5", ["salt", "&", "pepper", "for", "$", "5"]),
        ("", []),
    ],
)
def test_english_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_caption_without_words_scores_0() -> None:
    report = score_captions(["...", ""], [["a dog runs on grass"], ["two cats sleep"]])
    assert report.cider == 0
    assert report.bleu4 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("captions", "references", "message"),
    [
        (["a"], [["a"], ["b"]], "1 captions but references of 2"),
        (["a"], [["a"]], "needs at least 2; here are 1"),
        (["a", "b"], [["a"], []], r"references\[1\]=\[\]"),
        (["a", "b"], ["a", "b"], r"references\[0\]='a' must be a list"),
    ],
)
def test_bad_input(captions: list[str], references: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_captions(captions, references)
