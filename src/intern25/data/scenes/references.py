# SPDX-License-Identifier: MIT
"""Expressions that point at one object of a view."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from intern25.data.multimodal.records import Language, Reference
from intern25.data.scenes.facts import Facts
from intern25.data.scenes.naming import colored_name, sign_name
from intern25.data.scenes.rendering import View, VisibleObject
from intern25.data.scenes.scene import Scene, SceneObject
from intern25.data.scenes.words import LAMPS_ZH, choose, either, kind_name


def references(
    scene: Scene, view: View, language: Language, generator: np.random.Generator, count: int
) -> tuple[Reference, ...]:
    """Name objects so that each name fits just one of those in view.

    Convention:
        ``index`` counts in ``view.objects``. Places such as "on the left" are used only where no other
        object of the kind could be meant.

    Args:
        scene: What there is.
        view: What is seen of it.
        language: Of the expressions.
        generator: Draws objects and wordings.
        count: Most expressions.
    """
    facts = Facts(scene, view)
    clear = {id(v) for v in facts.clear}
    numbers = [k for k, v in enumerate(view.objects) if id(v) in clear]
    found: list[Reference] = []
    for k in generator.permutation(np.array(numbers, np.int64)).tolist():
        texts = list(_expressions(facts, view.objects[k], language))
        if texts and len(found) < count:
            found.append(Reference(text=choose(generator, texts), index=k, language=language))
    return tuple(found)


def _expressions(facts: Facts, target: VisibleObject, language: Language) -> Iterator[str]:
    """All expressions that fit the target alone."""
    thing = facts.thing(target)
    alike = [v for v in facts.seen(thing.kind) if v is not target]
    name = kind_name(thing.kind, language)
    if not alike:
        yield either(language, f"the {name}", name)
    yield from _by_place(facts, target, alike, name, language)
    special = _special_name(thing, language)
    if special is not None and not any(_special_name(facts.thing(v), language) == special for v in alike):
        yield either(language, f"the {special}", special)
    if thing.color is None or not facts.colors_show:
        return
    same = [v for v in alike if facts.thing(v).color == thing.color]
    colored = colored_name(thing, language)
    if not same:
        yield either(language, f"the {colored}", colored)
    if same or len(alike) > 1:
        yield from _by_place(facts, target, same, colored, language)


def _special_name(thing: SceneObject, language: Language) -> str | None:
    """Name of a light or sign by what it shows."""
    if thing.light is not None and thing.light.shape != "pedestrian":
        color = thing.light.color
        return either(language, f"{color} traffic light", LAMPS_ZH[color])
    return None if thing.sign is None else sign_name(thing.sign, language)


def _by_place(
    facts: Facts, target: VisibleObject, others: list[VisibleObject], name: str, language: Language
) -> Iterator[str]:
    """Expressions by where the target is among others that the name fits too."""
    width = facts.view.semantic.shape[1]
    at = _middle(target) / width
    rest = [_middle(v) / width for v in others]
    if at < 0.38 and all(x > max(at + 0.15, 0.46) for x in rest):
        yield either(language, f"the {name} on the left", f"左边的{name}")
    if at > 0.62 and all(x < min(at - 0.15, 0.54) for x in rest):
        yield either(language, f"the {name} on the right", f"右边的{name}")
    if 0.42 < at < 0.58 and others and all(abs(x - 0.5) > 0.22 for x in rest):
        yield either(language, f"the {name} in the middle", f"中间的{name}")
    if others:
        distance = facts.distance(target)
        if all(facts.distance(v) > 1.25 * distance for v in others):
            yield either(language, f"the nearest {name}", f"最近的{name}")
        if all(facts.distance(v) < 0.8 * distance for v in others):
            yield either(language, f"the farthest {name}", f"最远的{name}")


def _middle(visible: VisibleObject) -> float:
    return 0.5 * (visible.box[0] + visible.box[2])
