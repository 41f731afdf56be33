# SPDX-License-Identifier: MIT
"""Accuracy of answers against the definition over nine people, spelling, and answers without a look."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.evaluation.answer_text import normalise_answer
from intern25.evaluation.answering import score_answers, vqa_accuracy
from intern25.evaluation.trivial import MajorityAnswers, most_frequent

answers = st.sampled_from(["red", "blue", "2", "yes"])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(answers, st.lists(answers, min_size=10, max_size=10))
def test_vqa_accuracy_is_the_mean_over_all_choices_of_nine(answer: str, people: list[str]) -> None:
    nine = [min(sum(a == answer for a in subset) / 3, 1.0) for subset in combinations(people, 9)]
    assert vqa_accuracy(answer, people) == pytest.approx(sum(nine) / 10)


@pytest.mark.parametrize(("agreeing", "expected"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_known_values_of_vqa_accuracy(agreeing: int, expected: float) -> None:
    people = ["yes"] * agreeing + ["no"] * (10 - agreeing)
    assert vqa_accuracy("yes", people) == pytest.approx(expected)


def test_report_by_hand() -> None:
    report = score_answers(
        ["Yes.", "three", "a dog", "red"],
        [["yes"] * 10, ["3"] * 2 + ["4"] * 8, ["cat"] * 10, ["red"] * 6 + ["pink"] * 4],
        kinds=["yes/no", "number", "other", "other"],
    )
    assert report.questions == 4
    assert report.exact == 0.75
    assert report.vqa == pytest.approx((1 + 0.6 + 0 + 1) / 4)
    table = {row.kind: (row.questions, row.exact, row.vqa) for row in report.kinds}
    assert table == {
        "number": (1, 1.0, pytest.approx(0.6)),
        "other": (2, 0.5, pytest.approx(0.5)),
        "yes/no": (1, 1.0, pytest.approx(1.0)),
    }
    assert report.as_dict()["kinds"][0]["kind"] == "number"  # type: ignore[index]


def test_few_answers_have_no_vqa_accuracy() -> None:
    report = score_answers(["a b", "x"], [["a b"], ["y"] * 10], kinds=["p", "q"])
    assert report.exact == 0.5
    assert report.vqa is None
    assert [row.vqa for row in report.kinds] == [None, 0.0]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(answers, st.lists(answers, min_size=10, max_size=10)), min_size=1, max_size=8),
    st.randoms(),
)
def test_order_does_not_matter_and_agreement_is_perfect(
    rows: list[tuple[str, list[str]]], generator: object
) -> None:
    shuffled = list(rows)
    generator.shuffle(shuffled)  # type: ignore[attr-defined]
    reports = [score_answers([a for a, _ in r], [p for _, p in r]) for r in (rows, shuffled)]
    assert reports[0].exact == pytest.approx(reports[1].exact)
    assert reports[0].vqa == pytest.approx(reports[1].vqa)
    perfect = score_answers([a for a, _ in rows], [[a] * 10 for a, _ in rows])
    assert (perfect.exact, perfect.vqa) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes!", "yes"),
        ("The red, white  and blue.", "red white and blue"),
        ("none", "0"),
        ("two", "2"),
        ("1,000", "1000"),
        ("5.30", "5.30"),
        ("p.m.", "pm"),
        ("yes/no", "yes no"),
        ("t-shirt", "t shirt"),
        ("DONT know", "don't know"),
        ("its", "its"),
        ("it’s", "it's"),
        ("a\tbig\ncat", "big cat"),
        ("红色。", "红色"),
        (" ３ 只", "3"),
        ("３", "3"),
        ("a dog！", "dog"),
        ("两个", "2"),
        ("十", "10"),
        ("一样", "一样"),
        ("十二", "十二"),
        ("T恤，白色", "t恤白色"),
        ("", ""),
    ],
)
def test_spelling(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(alphabet="aA1.,-'’!? \n三只。the", max_size=12))
def test_no_capital_mark_or_loose_space_is_left(text: str) -> None:
    once = normalise_answer(text)
    assert once == once.strip().lower()
    assert not set(once) & set("!?\n。")


def test_majority_answers() -> None:
    questions = ["What colour?", "what colour? ", "How many?", "How many?", "How many?", "Is it?"]
    majority = MajorityAnswers.of(questions, ["red", "red", "2", "3", "2", "yes"])
    assert majority.answer("What colour?") == "red"
    assert majority.answer("how many?") == "2"
    assert majority.answer("Where?") == majority.overall == "2"  # "2" and "red" are equally frequent
    assert most_frequent(["b", "a", "b", "a", "c"]) == "a"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="no answers to score"):
        score_answers([], [])
    with pytest.raises(ValueError, match="1 answers but true answers to 2"):
        score_answers(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match=r"references\[0\]='yes'"):
        score_answers(["yes"], ["yes"])
    with pytest.raises(ValueError, match="kinds of 2 questions"):
        score_answers(["a"], [["a"]], kinds=["p", "q"])
    with pytest.raises(ValueError, match="answers of people"):
        vqa_accuracy("a", [])
    with pytest.raises(ValueError, match="no texts to choose"):
        MajorityAnswers.of([], [])
    with pytest.raises(ValueError, match="1 questions but 2 answers"):
        MajorityAnswers.of(["a"], ["b", "c"])
