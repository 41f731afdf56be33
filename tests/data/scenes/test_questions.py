# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from intern25.data.multimodal.records import Language, Question
from intern25.data.scenes.dataset import StreetScenes
from intern25.data.scenes.driving import questions
from intern25.data.scenes.facts import Facts
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import Scene
from tests.data.scenes.answering import right_answers
from tests.data.scenes.conftest import Seen

Asked = list[tuple[Scene, View, Question]]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@pytest.fixture(scope="module")
def asked(seen: Seen) -> Asked:
    generator = np.random.default_rng(0)
    return [
        (scene, view, question)
        for scene, view in seen
        for language in LANGUAGES
        for question in questions(scene, view, language, generator, 20)
    ]


def test_every_answer_is_worked_out_again(asked: Asked) -> None:
    for scene, view, question in asked:
        assert question.answers[0] in right_answers(question, scene, view), (question, scene.objects)


def test_all_kinds_are_asked_in_both_languages(asked: Asked) -> None:
    kinds = {
        "ahead", "color", "count", "countdown", "crossing", "direction", "go_straight", "is_night", "light",
        "on_road", "place", "presence", "road", "sign", "speed_limit", "time", "wait", "weather",
    }  # fmt: skip
    for language in LANGUAGES:
        assert kinds <= {question.kind for _, _, question in asked if question.language == language}


def test_no_answer_is_a_giveaway(asked: Asked) -> None:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, _, question in asked:
        counts[question.kind, question.language][question.answers[0]] += 1
    yes_no = {"presence", "on_road", "crossing", "go_straight", "is_night"}
    for (kind, _), answers in counts.items():
        total = sum(answers.values())
        if total < 60:
            continue
        if kind in yes_no:
            yes = sum(n for answer, n in answers.items() if answer in ("yes", "有", "是", "可以"))
            assert 0.3 < yes / total < 0.7, (kind, answers)
        else:
            assert answers.most_common(1)[0][1] / total < 0.5, (kind, answers)


def test_answers_are_short_and_texts_are_whole(asked: Asked) -> None:
    for _, _, question in asked:
        assert "{" not in question.text
        assert question.text[-1] in "?？." + "s"
        assert question.answers
        assert len(set(question.answers)) == len(question.answers)
        assert len(question.answers[0].split()) <= 4
        has_chinese = re.search("[一-鿿]", question.text) is not None
        assert has_chinese == (question.language == "zh")


def test_questions_of_a_view_differ_and_their_number_is_kept(seen: Seen) -> None:
    for scene, view in seen[:30]:
        found = questions(scene, view, "en", np.random.default_rng(3), 4)
        assert len(found) <= 4
        assert len({question.text for question in found}) == len(found)
        assert found == questions(scene, view, "en", np.random.default_rng(3), 4)


def test_what_is_asked_about_is_large_enough(asked: Asked) -> None:
    checked = 0
    for scene, view, question in asked:
        if question.kind in ("speed_limit", "light", "countdown", "direction"):
            sizes = [
                max(v.height, v.width)
                for v in view.objects
                if scene.objects[v.index].light is not None or scene.objects[v.index].sign is not None
            ]
            assert max(sizes) >= 7
            checked += 1
    assert checked > 50


def test_a_larger_picture_of_a_scene_is_asked_about_the_same_things() -> None:
    """What counts as seen is a share of the picture, but for what falls on either side by a pixel's width."""
    sizes = ((128, 128), (256, 256))
    scenes = [StreetScenes(60, seed=5, size=size) for size in sizes]
    same = total = 0
    for index in range(len(scenes[0])):
        small, large = ({found.index for found in _facts(part, index).clear} for part in scenes)
        same += len(small & large)
        total += len(small | large)
    assert total > 100
    assert same / total > 0.8


def _facts(scenes: StreetScenes, index: int) -> Facts:
    return Facts(scenes.scene(index), scenes.view(index))
