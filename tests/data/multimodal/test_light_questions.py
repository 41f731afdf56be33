"""Questions about traffic lights: the rules case by case, and against an independent reading of the heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from intern25.data.class_names import ClassNames, class_keys, class_names
from intern25.data.multimodal.light_questions import light_facts, light_questions, may_go, shown_colour
from tests.data.multimodal.answering import answer_about_lights
from tests.data.multimodal.test_object_questions import Objects

HEADS = class_keys("traffic_lights_cn")


class Junctions:
    def __init__(self, pictures: Sequence[Sequence[str]], classes: ClassNames | None = None) -> None:
        self.pictures = pictures
        self.classes = classes or class_names("traffic_lights_cn")

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        return str(index)

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (20, 10))

    def annotation(self, index: int) -> Objects:
        labels = np.array([HEADS.index(head) for head in self.pictures[index]], dtype=np.int64)
        boxes = np.tile(np.array([0, 0, 5, 5], dtype=np.float32), (len(labels), 1))
        return Objects(boxes, labels, (10, 20), np.zeros(len(labels), dtype=np.bool_))


@pytest.mark.parametrize(
    ("heads", "straight", "left"),
    [
        (["green"], True, True),
        (["red", "redtime"], False, False),
        (["yellow", "yellow"], False, False),
        (["red", "greenleft"], False, True),
        (["redleft", "greenstraight"], True, False),
        (["green", "redleft"], True, False),
        (["greenstraight", "red"], True, False),
        (["red", "green"], None, None),  # mixed lights of one direction
        (["redleft", "greenleft", "green"], True, None),
        (["redtime"], None, None),
        (["redpeople"], None, None),
        (["redstraight"], False, None),
    ],
)
def test_rules(heads: list[str], straight: bool | None, left: bool | None) -> None:
    assert may_go(heads, "straight") is straight
    assert may_go(heads, "left") is left


def test_colours_of_forms() -> None:
    heads = ["red", "greenleft", "greenleft", "yellowstraight", "redpeople", "greentime"]
    assert [shown_colour(heads, form) for form in ("", "left", "straight", "people")] == [
        "red",
        "green",
        "yellow",
        "red",
    ]
    assert light_facts(["redtime"]) == []


def random_junctions() -> Junctions:
    generator = np.random.default_rng(0)
    chosen = [generator.choice(HEADS, size=int(generator.integers(1, 5))).tolist() for _ in range(300)]
    return Junctions(chosen)


def test_questions_are_answered_alike_by_plain_rules() -> None:
    junctions = random_junctions()
    drawn = light_questions(junctions, count=5)
    kinds, answers = set(), {}
    for epoch in range(4):
        for position, index in enumerate(drawn.indices):
            for question in drawn.at_epoch(epoch).items(position):
                right = answer_about_lights(question.text, list(junctions.pictures[index]))
                assert set(question.answers) & right, (question, junctions.pictures[index], right)
                kinds.add(question.kind)
                answers.setdefault(question.kind, []).append(question.answers[0])
    assert {
        "go straight",
        "go left",
        "cross on foot",
        "light",
        "arrow",
        "pedestrian light",
        "red light",
    } == kinds
    for kind in ("go straight", "go left", "cross on foot", "red light"):
        yes = np.mean([answer in ("yes", "可以", "有") for answer in answers[kind]])
        assert 0.42 < yes < 0.58


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="are not those of traffic lights: red, yellow, green, redleft"):
        light_questions(Junctions([["red"]], ClassNames.from_lists(["dog", "cat"])))
    with pytest.raises(ValueError, match="none of the 1 pictures has lights"):
        light_questions(Junctions([["redtime"]]))
    own = Junctions([["red"], ["green"]], ClassNames.from_lists(HEADS))
    assert len(light_questions(own)) == 2
