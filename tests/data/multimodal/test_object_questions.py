"""Questions about boxes, answered again by plain loops over the same boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.multimodal.facts import Fact, Presence, balancing_shares
from intern25.data.multimodal.nouns import plural
from intern25.data.multimodal.object_questions import object_captions, object_questions, object_references
from intern25.data.multimodal.records import Question
from tests.data.multimodal.answering import Box, answer_about_boxes, fits_only

CLASSES = ClassNames(en=("person", "dog", "apple", "bus"), zh=("人", "狗", "苹果", "公交车"))


@dataclass(frozen=True)
class Objects:
    boxes: np.ndarray
    labels: np.ndarray
    size: tuple[int, int]
    ignored: np.ndarray


class Boxed:
    """Pictures of 100 x 200 with boxes (label, left, top, right, bottom, ignored)."""

    classes = CLASSES

    def __init__(self, pictures: Sequence[Sequence[tuple[int, float, float, float, float, bool]]]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        return str(index)

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (200, 100))

    def annotation(self, index: int) -> Objects:
        rows = self.pictures[index]
        return Objects(
            np.array([row[1:5] for row in rows], dtype=np.float32).reshape(-1, 4),
            np.array([row[0] for row in rows], dtype=np.int64),
            (100, 200),
            np.array([row[5] for row in rows], dtype=np.bool_),
        )


def random_pictures(count: int = 60) -> Boxed:
    generator = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        rows = []
        for _ in range(int(generator.integers(0, 7))):
            left, top = generator.uniform(0, 190), generator.uniform(0, 90)
            width, height = generator.uniform(1, 60), generator.uniform(1, 40)
            label = int(generator.choice(4, p=[0.6, 0.2, 0.1, 0.1]))
            rows.append((label, left, top, left + width, top + height, bool(generator.random() < 0.1)))
        pictures.append(rows)
    return Boxed(pictures)


def boxes_of(images: Boxed, index: int) -> list[Box]:
    return [Box(CLASSES.en[row[0]], CLASSES.zh[row[0]], row[1:5], row[5]) for row in images.pictures[index]]


def all_questions(images: Boxed, epochs: int = 5) -> list[tuple[int, Question]]:
    drawn = object_questions(images, seed=1, count=6)
    return [
        (drawn.indices[i], question)
        for epoch in range(epochs)
        for i in range(len(drawn))
        for question in drawn.at_epoch(epoch).items(i)
    ]


def test_questions_are_answered_alike_by_plain_loops() -> None:
    images = random_pictures()
    questions = all_questions(images)
    for index, question in questions:
        answers = answer_about_boxes(question.text, boxes_of(images, index), (100, 200), CLASSES)
        assert set(question.answers) & answers, (question, answers)
    kinds = Counter(question.kind for _, question in questions)
    assert set(kinds) == {"presence", "count", "content", "side", "relation"}
    assert {question.language for _, question in questions} == {"en", "zh"}
    assert len({question.text for _, question in questions}) > 80


def test_yes_and_no_are_as_frequent() -> None:
    questions = all_questions(random_pictures(200))
    for kind in ("presence", "relation"):
        first = [q.answers[0] in ("yes", "有", "是") for _, q in questions if q.kind == kind]
        assert 0.42 < np.mean(first) < 0.58
    # The class alone does not give the answer away, though people are in most of the pictures.
    people = [
        q.answers[0] in ("yes", "有")
        for _, q in questions
        if q.kind == "presence" and re.search("person|人", q.text)
    ]
    assert 0.4 < np.mean(people) < 0.6


def test_a_count_of_one_is_no_more_frequent_than_of_two() -> None:
    numbers = Counter(q.answers[0] for _, q in all_questions(random_pictures(200)) if q.kind == "count")
    assert set(numbers) <= {"1", "2", "3", "4"}
    assert 0.7 < numbers["1"] / numbers["2"] < 1.4


def test_what_is_not_clear_is_not_asked() -> None:
    images = Boxed(
        [
            [(0, 0, 0, 50, 50, False), (0, 60, 0, 90, 50, True), (1, 10, 10, 11, 11, False)],
            [],
            [(2, 0, 0, 20, 20, False)] * 5,
        ]
    )
    drawn = object_questions(images, seed=0, count=8)
    assert drawn.indices == (0, 2)  # a picture without a box may not be annotated
    texts = [q for e in range(40) for i in range(2) for q in drawn.at_epoch(e).items(i)]
    counts = [q.text for q in texts if q.kind == "count"]
    assert counts == []  # a group of people, a dog too small, five apples
    assert not [q for q in texts if re.search("dog|狗", q.text)]
    with pytest.raises(ValueError, match="none of the 1 pictures has an object"):
        object_questions(Boxed([[]]))


def test_captions_name_the_largest_classes() -> None:
    images = Boxed([[(1, 0, 0, 100, 50, False), (1, 0, 50, 100, 100, False), (2, 150, 0, 180, 20, False)]])
    drawn = object_captions(images)
    english = {drawn.at_epoch(e).items(0)[0].text for e in range(40)}
    chinese = {drawn.at_epoch(e).items(0)[1].text for e in range(40)}
    assert "a photo of two dogs and an apple" in english
    assert "there are two dogs and an apple in the picture" in english
    assert "图中有两只狗、一个苹果" in chinese
    assert len(english) == len(chinese) == 4
    single = object_captions(Boxed([[(3, 0, 0, 100, 50, False)]]))
    assert "there is a bus in the picture" in {single.at_epoch(e).items(0)[0].text for e in range(40)}


def test_references_point_at_one_object_only() -> None:
    images = random_pictures()
    drawn = object_references(images, count=6)
    texts = set()
    for epoch in range(3):
        for position in range(len(drawn)):
            for item in drawn.at_epoch(epoch).items(position):
                boxes = boxes_of(images, drawn.indices[position])
                assert fits_only(item.text, boxes, CLASSES) == item.index, (item, boxes)
                texts.add(item.text)
    assert {"the dog", "狗", "the person on the left", "右边的人"} <= texts


def test_draws_follow_from_seed_and_epoch() -> None:
    images = random_pictures(20)
    first, again, other = (object_questions(images, seed=seed) for seed in (0, 0, 1))
    everything = [[d.items(i) for i in range(len(d))] for d in (first, again, other, first.at_epoch(1))]
    assert everything[0] == everything[1]
    assert everything[0] != everything[2] != everything[3] != everything[0]


def test_each_class_is_asked_for_as_often_for_a_yes_as_for_a_no() -> None:
    generator = np.random.default_rng(0)
    there = generator.random((400, 6)) < np.array([0.8, 0.5, 0.2, 0.05, 0.0, 1.0])
    presence = Presence(there, ~there)
    asked: Counter[tuple[int, bool]] = Counter()
    for index in range(400):
        for _ in range(20):
            for label, is_yes in presence.draw(index, 1, generator):
                assert there[index, label] == is_yes
                asked[label, is_yes] += 1
    for label in range(4):
        assert 0.4 < asked[label, True] / (asked[label, True] + asked[label, False]) < 0.6
    # What is nowhere or everywhere gives the answer away.
    assert {label for label, _ in asked} == {0, 1, 2, 3}
    # Exactly, not only on average: what is expected of all pictures together.
    np.testing.assert_allclose(presence.yes.sum(axis=0), presence.no.sum(axis=0), rtol=1e-3)
    assert presence.yes.sum(axis=1).max() <= 1.0 + 1e-6


def test_presence_is_not_asked_where_one_answer_is_all_there_is() -> None:
    there = np.ones((5, 2), dtype=bool)
    assert Presence(there, ~there).draw(0, 8, np.random.default_rng(0)) == []


def test_shares_balance_yes_and_no() -> None:
    def fact(kind: str, is_yes: bool | None, balance: str = "") -> Fact:
        return Fact(wordings={"en": (), "zh": ()}, answers={}, kind=kind, is_yes=is_yes, balance=balance)

    facts = [
        [fact("a", True)] * 3,
        [fact("a", False), fact("b", True), fact("c", None)],
        [fact("a", True, "d")],
    ]
    assert balancing_shares(facts) == {
        ("a", True): 1 / 3,
        ("a", False): 1.0,
        ("b", True): 0.0,
        ("d", True): 0.0,
    }


def test_plurals_are_used() -> None:
    texts = {q.text for _, q in all_questions(random_pictures(), 10) if q.kind == "count"}
    assert any(plural("person") in text for text in texts)
    assert not any("persons" in text for text in texts)
