# SPDX-License-Identifier: MIT
"""Captions, statements and references, read again and held against the view."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest

from intern25.data.multimodal.records import Language
from intern25.data.scenes.captions import describe, statements
from intern25.data.scenes.classes import COLOR_NAMES_ZH, OBJECT_CLASSES
from intern25.data.scenes.references import references
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import Scene
from tests.data.scenes.answering import visible
from tests.data.scenes.conftest import Seen

_ONE_TO_EIGHT = ("a/an/one/一", "two/两", "three/三", "four/四", "five/五", "six/六", "seven/七", "eight/八")
NUMBERS = {word: n for n, words in enumerate(_ONE_TO_EIGHT, start=1) for word in words.split("/")}
ENGLISH_NUMBERS = "|".join(word for word in NUMBERS if word.isascii())
CHINESE_NUMBERS = "|".join(word for word in NUMBERS if not word.isascii())
MANY = {en: {"bus": "buses", "person": "people"}.get(en, en + "s") for en in OBJECT_CLASSES.en}
COLORS = "|".join(COLOR_NAMES_ZH)
COLORS_ZH = "|".join(COLOR_NAMES_ZH.values())
COUNTABLE = [k for k in OBJECT_CLASSES.en if not k.startswith("traffic")]


def counts_in(text: str, language: Language) -> list[tuple[str, int, str | None]]:
    """(kind, number, colour) of everything that a text counts."""
    found = []
    for kind in COUNTABLE:
        if language == "en":
            pattern = rf"\b({ENGLISH_NUMBERS}|\d+) ((?:{COLORS}) )?({kind}|{MANY[kind]})\b"
        else:
            name = OBJECT_CLASSES.zh[OBJECT_CLASSES.en.index(kind)]
            pattern = rf"({CHINESE_NUMBERS}|\d+)[辆名只头]({COLORS_ZH})?({name})"
        for number, color, _ in re.findall(pattern, text, flags=re.IGNORECASE):
            value = NUMBERS.get(number.lower())
            found.append((kind, int(number) if value is None else value, color.strip() or None))
    return found


def check_counts(text: str, language: Language, scene: Scene, view: View) -> int:
    things = visible(scene, view)
    counted = counts_in(text, language)
    for kind, number, color in counted:
        same = [thing for thing in things if thing.kind == kind]
        assert len(same) == number, (text, kind)
        if color is not None:
            names = [thing.color if language == "en" else COLOR_NAMES_ZH[thing.color or ""] for thing in same]
            assert names == [color], text
    return len(counted)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_count_right(seen: Seen, language: Language) -> None:
    generator = np.random.default_rng(1)
    checked = 0
    shapes = set()
    weather = {
        "sunny": "sunny|clear|晴",
        "cloudy": "cloudy|多云",
        "rain": "rainy|下雨",
        "snow": "snowy|下雪",
        "fog": "foggy|有雾",
    }
    for scene, view in seen:
        text = describe(scene, view, language, generator)
        checked += check_counts(text.removeprefix("A picture of "), language, scene, view)
        shapes.add(text.split()[0] if language == "en" else text[:2])
        assert re.search(weather[scene.weather], text, flags=re.IGNORECASE), text
        assert ("night" in text or "夜晚" in text) == (scene.time == "night")
    assert checked > 100
    assert len(shapes) > 3


def truth(text: str, scene: Scene, view: View) -> bool | None:
    """Whether a statement holds, for the forms that are easy to read; None for others."""
    things = visible(scene, view)
    chinese = re.search("[一-鿿]", text) is not None
    language: Language = "zh" if chinese else "en"
    for kind in COUNTABLE:
        zh = OBJECT_CLASSES.zh[OBJECT_CLASSES.en.index(kind)]
        number = sum(thing.kind == kind for thing in things)
        if text in (f"There is at least one {kind}.", *(f"图中至少有一{m}{zh}。" for m in "辆名只头")):
            return number > 0
        if text in (f"There is no {kind}.", f"图中没有{zh}。"):
            return number == 0
    if text.startswith(("There is ", "There are ", "图中有")) and (counted := counts_in(text, language)):
        ((kind, number, _),) = counted
        return sum(thing.kind == kind for thing in things) == number
    if found := re.search(rf"^The ([a-z]+) is ({COLORS})\.$", text):
        return {thing.color for thing in things if thing.kind == found[1]} == {found[2]}
    if text in ("It is night.", "现在是夜晚。"):
        return scene.time == "night"
    if text in ("It is day.", "现在是白天。"):
        return scene.time == "day"
    if found := re.search(r"^The ([a-z]+) is to the (left|right) of the ([a-z]+)\.$", text):
        middles = {}
        for v in view.objects:
            middles[scene.objects[v.index].kind] = v.box[0] + v.box[2]
        return (middles[found[1]] < middles[found[3]]) == (found[2] == "left")
    return None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_statements_are_what_they_claim_and_balanced(seen: Seen, language: Language) -> None:
    generator = np.random.default_rng(2)
    values, checked = [], 0
    by_form: dict[str, list[bool]] = defaultdict(list)
    for scene, view in seen:
        for statement in statements(scene, view, language, generator, 5):
            values.append(statement.is_true)
            by_form[statement.text].append(statement.is_true)
            expected = truth(statement.text, scene, view)
            if expected is not None:
                assert statement.is_true == expected, statement
                checked += 1
    assert checked > 250
    assert 0.4 < np.mean(values) < 0.6
    # The text alone must not tell: frequent sentences are true about as often as not.
    for text, truths in by_form.items():
        if len(truths) >= 25:
            assert 0.2 < np.mean(truths) < 0.8, text


def test_references_fit_one_object(seen: Seen) -> None:
    generator = np.random.default_rng(3)
    checked = 0
    for scene, view in seen:
        for reference in references(scene, view, "en", generator, 4):
            target = scene.objects[view.objects[reference.index].index]
            text = reference.text
            if target.light is not None or target.sign is not None:
                continue
            candidates = [k for k, v in enumerate(view.objects) if scene.objects[v.index].kind == target.kind]
            assert target.kind in text
            color = re.search(COLORS, text)
            if color:
                candidates = [k for k in candidates if scene.objects[view.objects[k].index].color == color[0]]
            assert reference.index in candidates
            assert fitting(text, candidates, scene, view) == reference.index, text
            checked += 1
    assert checked > 150


def fitting(text: str, candidates: list[int], scene: Scene, view: View) -> int:
    """The candidate that a text means: by its place, or the only one."""
    middles = {k: view.objects[k].box[0] + view.objects[k].box[2] for k in candidates}
    eye = view.camera.position
    depths = {
        k: float(np.linalg.norm(np.array(scene.objects[view.objects[k].index].center) - eye))
        for k in candidates
    }
    width = view.semantic.shape[1]
    if "left" in text:
        return min(middles, key=middles.__getitem__)
    if "right" in text:
        return max(middles, key=middles.__getitem__)
    if "middle" in text:
        return min(middles, key=lambda k: abs(middles[k] - width))
    if "nearest" in text:
        return min(depths, key=depths.__getitem__)
    if "farthest" in text:
        return max(depths, key=depths.__getitem__)
    (only,) = candidates
    return only


def test_chinese_references_are_as_many_and_chinese(seen: Seen) -> None:
    for scene, view in seen[:40]:
        english = references(scene, view, "en", np.random.default_rng(4), 50)
        chinese = references(scene, view, "zh", np.random.default_rng(4), 50)
        assert sorted(r.index for r in english) == sorted(r.index for r in chinese)
        assert all(re.search("[一-鿿]", r.text) for r in chinese)
        assert all(r.language == "zh" for r in chinese)
