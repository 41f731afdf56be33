# SPDX-License-Identifier: MIT
"""Questions of a driver: may I go, how long to wait, how fast, which way, what is ahead."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from intern25.data.multimodal.records import Language, Question
from intern25.data.scenes.facts import Facts
from intern25.data.scenes.questions import GENERAL, Maker, asked
from intern25.data.scenes.rendering import View, VisibleObject
from intern25.data.scenes.scene import Scene
from intern25.data.scenes.words import LAMPS_ZH, ROADS, TURNS, choose, either, place_answers, place_name

_MAY = (("yes",), ("可以", "能", "是"))
_MAY_NOT = (("no",), ("不可以", "不能", "不行", "否"))
_TURN_PHRASES = {
    "left": ("to the left", "左转"),
    "straight": ("straight ahead", "直行"),
    "right": ("to the right", "右转"),
}
_KEPT_LAMP = {"red": 0.55, "yellow": 1.0, "green": 0.7}
_KEPT_ROAD = {"straight road": 0.7, "highway": 0.75, "junction": 0.5}


def lamp_answers(color: str, language: Language) -> tuple[str, ...]:
    """Acceptable answers for the colour of a light."""
    if language == "en":
        return color, f"{color} light"
    name = LAMPS_ZH[color]
    return name, name[0] + "色", name[0]


def light(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask for the colour of a traffic light."""
    shown = facts.named("traffic light")
    if not shown:
        return None
    special = [shape for shape in ("left", "straight", "pedestrian") if facts.light_of(shape)]
    colors = {state.color for v in facts.lights if (state := facts.thing(v).light)}
    if special and (len(colors) != 1 or generator.random() < 0.4):
        shape = choose(generator, special)
        visible, wording = facts.light_of(shape), f"{shape}_light"
    else:
        if len(colors) != 1 or len(facts.lights) != len(shown):
            return None
        visible, wording = facts.lights[0], "light"
    state = facts.thing(visible).light if visible else None
    if state is None or generator.random() > _KEPT_LAMP[state.color]:
        return None
    return asked(wording, lamp_answers(state.color, language), language, "light", generator)


def go_straight(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask whether the light lets one go straight."""
    main = facts.main_light
    state = facts.thing(main).light if main else None
    if state is None or _is_entry_forbidden(facts):
        return None
    may = state.color == "green"
    # Red and yellow together are more frequent than green.
    if not may and generator.random() > 0.67:
        return None
    return asked(
        "go_straight", either(language, *(_MAY if may else _MAY_NOT)), language, "go_straight", generator
    )


def turn_left(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask whether the left arrow lets one turn left."""
    visible = facts.light_of("left")
    state = facts.thing(visible).light if visible else None
    if state is None or _is_entry_forbidden(facts):
        return None
    may = state.color == "green"
    if not may and generator.random() > 0.4:
        return None
    return asked(
        "turn_left", either(language, *(_MAY if may else _MAY_NOT)), language, "turn_left", generator
    )


def _is_entry_forbidden(facts: Facts) -> bool:
    return any((s := facts.thing(v).sign) is not None and s.kind == "no entry" for v in facts.view.objects)


def wait(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask how long to wait before one may go straight."""
    main = facts.main_light
    state = facts.thing(main).light if main else None
    if main is None or state is None or _is_entry_forbidden(facts):
        return None
    if state.color == "green":
        if generator.random() > 0.08:
            return None
        answers = either(language, ("yes", "go now", "no wait"), ("可以直行", "可以", "无需等待"))
        return asked("wait", answers, language, "wait", generator)
    seconds = facts.countdown(main)
    if seconds is None:
        return None
    unit = "second" if seconds == 1 else "seconds"
    waiting: tuple[tuple[str, ...], tuple[str, ...]] = (
        (f"wait {seconds} {unit}", f"{seconds} {unit}", f"no, wait {seconds} {unit}", str(seconds)),
        (
            f"需等待{seconds}秒",
            f"{seconds}秒",
            f"不可以，需等待{seconds}秒",
            f"等待{seconds}秒",
            str(seconds),
        ),
    )
    return asked("wait", either(language, *waiting), language, "wait", generator)


def countdown(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask for the number on the only countdown."""
    counting = [v for v in facts.seen("traffic light") if _counts(facts, v)]
    if len(counting) != 1 or not facts.is_clear(counting[0]):
        return None
    seconds = facts.countdown(counting[0])
    if seconds is None:
        return None
    answers = either(language, (str(seconds), f"{seconds} seconds"), (f"{seconds}秒", str(seconds)))
    return asked("countdown", answers, language, "countdown", generator)


def _counts(facts: Facts, visible: VisibleObject) -> bool:
    state = facts.thing(visible).light
    return state is not None and state.countdown is not None


def speed_limit(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask for the speed limit."""
    limit = _limit(facts)
    if limit is None:
        return None
    answers = (str(limit), f"{limit} km/h", f"{limit}公里" if language == "zh" else f"{limit} kmh")
    return asked("speed_limit", answers, language, "speed_limit", generator)


def _limit(facts: Facts) -> int | None:
    visible = facts.sign("speed limit")
    sign = facts.thing(visible).sign if visible else None
    return sign.limit if sign else None


def direction(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask which way goes to a place, or which place one way goes to."""
    visible = facts.sign("direction")
    sign = facts.thing(visible).sign if visible else None
    if sign is None:
        return None
    line = choose(generator, sign.destinations)
    has_chinese = facts.view.has_chinese
    if generator.random() < 0.65:
        slots = {"place": place_name(line.place, language, has_chinese)}
        return asked(
            "direction", either(language, *TURNS[line.turn]), language, "direction", generator, slots
        )
    slots = {"turn": either(language, *_TURN_PHRASES[line.turn])}
    answers = place_answers(line.place, language, has_chinese)
    return asked("place", answers, language, "place", generator, slots)


def road(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask what section of road is ahead, and its speed limit where one is shown."""
    section = facts.road_ahead
    if section is None or generator.random() > _KEPT_ROAD.get(section, 1.0):
        return None
    if section == "tunnel":
        special = _tunnel(facts, language, generator)
        if special is not None:
            return special
    return asked("road", either(language, *ROADS[section]), language, "road", generator)


def _tunnel(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    limit, draw = _limit(facts), generator.random()
    if limit is not None and draw < 0.5:
        answers = either(
            language,
            (f"tunnel, {limit} km/h", f"tunnel, speed limit {limit}", f"tunnel {limit}"),
            (f"隧道，限速{limit}", f"前方经过隧道，限速{limit} km/h", f"隧道，限速{limit}公里"),
        )
        return asked("tunnel_limit", answers, language, "road", generator)
    visible = facts.sign("tunnel")
    sign = facts.thing(visible).sign if visible else None
    if sign is None or draw > 0.7:
        return None
    names: tuple[str, ...] = place_answers(sign.destinations[0].place, language, facts.view.has_chinese)
    if language == "zh" and facts.view.has_chinese:
        names = (f"{names[0]}隧道", names[0], f"{names[1]} Tunnel")
    else:
        names = (names[0], f"{names[0]} Tunnel", *names[1:])
    return asked("tunnel_name", names, language, "place", generator)


DRIVING: MappingProxyType[str, Maker] = MappingProxyType(
    {
        "light": light,
        "go_straight": go_straight,
        "turn_left": turn_left,
        "wait": wait,
        "countdown": countdown,
        "speed_limit": speed_limit,
        "direction": direction,
        "road": road,
    }
)
"""Makers of a driver's questions by name."""


def questions(
    scene: Scene, view: View, language: Language, generator: np.random.Generator, count: int
) -> tuple[Question, ...]:
    """Ask about a view.

    Convention:
        Only what is large and open enough is asked about. Answers are one to four words in most cases, yes
        and no about equally frequent over many scenes. Fewer questions than asked for may come back, never
        two of the same text.

    Args:
        scene: What there is.
        view: What is seen of it.
        language: Of questions and answers.
        generator: Draws kinds and wordings.
        count: Most questions.
    """
    facts = Facts(scene, view)
    makers = [*DRIVING.values(), *GENERAL.values()]
    found: dict[str, Question] = {}
    for _ in range(2):
        for number in generator.permutation(len(makers)).tolist():
            if len(found) >= count:
                return tuple(found.values())
            question = makers[number](facts, language, generator)
            if question is not None:
                found.setdefault(question.text, question)
    return tuple(found.values())
