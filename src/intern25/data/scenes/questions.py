# SPDX-License-Identifier: MIT
"""Questions about what is seen: weather, counts, colours, what is there."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from intern25.data.multimodal.records import Language, Question
from intern25.data.scenes import phrases_en, phrases_zh
from intern25.data.scenes.classes import ROAD, Kind
from intern25.data.scenes.facts import ANIMALS, VEHICLES, Facts
from intern25.data.scenes.words import (
    SIGNS,
    choose,
    color_name,
    either,
    kind_name,
    measure,
    number_answers,
    plural,
    with_article,
)

Maker = Callable[[Facts, Language, np.random.Generator], Question | None]

_WEATHER_ANSWERS = {
    "sunny": (("sunny", "clear", "fine"), ("晴天", "晴", "晴朗")),
    "cloudy": (("cloudy", "overcast"), ("多云", "阴天", "阴")),
    "rain": (("rainy", "rain", "raining"), ("下雨", "雨天", "雨")),
    "snow": (("snowy", "snow", "snowing"), ("下雪", "雪天", "雪")),
    "fog": (("foggy", "fog", "misty"), ("有雾", "雾天", "雾")),
}
_TIME_ANSWERS = {
    "day": (("day", "daytime"), ("白天", "日间")),
    "dusk": (("dusk", "evening", "twilight"), ("黄昏", "傍晚")),
    "night": (("night", "nighttime"), ("夜晚", "晚上", "夜间")),
}
_YES = (("yes",), ("有", "是", "是的"))
_NO = (("no",), ("没有", "不是", "无"))
_IS = (("yes",), ("是", "是的"))
_IS_NOT = (("no",), ("不是", "否"))

# Draws that keep a frequent answer from being a good guess.
_KEPT_WEATHER = {"sunny": 0.55, "cloudy": 0.85}
_KEPT_TIME = {"day": 0.33, "dusk": 1.0, "night": 0.6}
_KEPT_AHEAD = {"car": 0.25, "person": 0.6}
_KEPT_COUNT = (0.07, 0.35, 0.7)


def asked(
    wording: str,
    answers: tuple[str, ...],
    language: Language,
    kind: str,
    generator: np.random.Generator,
    slots: dict[str, str] | None = None,
) -> Question:
    """Put a question in one of its wordings."""
    phrases = either(language, phrases_en.PHRASES, phrases_zh.PHRASES)[wording]
    text = choose(generator, phrases).format(**(slots or {}))
    return Question(text=text, answers=answers, language=language, kind=kind)


def weather(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask about the weather."""
    answer = facts.scene.weather
    if generator.random() > _KEPT_WEATHER.get(answer, 1.0) or not _weather_shows(facts):
        return None
    answers = either(language, *_WEATHER_ANSWERS[answer])
    if answer == "sunny" and facts.scene.time == "night":
        answers = either(language, ("clear", "fine", "sunny"), ("晴", "晴朗", "晴天"))
    return asked("weather", answers, language, "weather", generator)


def _weather_shows(facts: Facts) -> bool:
    """Whether there is sky to tell a clear sky from a cloudy one; rain, snow and fog are everywhere."""
    if facts.scene.weather in ("rain", "snow"):
        return True
    share = float((facts.view.semantic == 0).mean())
    return share > (0.1 if facts.scene.weather == "fog" else 0.04)


def time(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask about the time of day."""
    answer = facts.scene.time
    # Under clouds dusk looks like any dark day.
    if generator.random() > _KEPT_TIME[answer] or (answer != "night" and facts.scene.weather == "fog"):
        return None
    if answer == "dusk" and facts.scene.weather != "sunny":
        return None
    if answer != "dusk" and generator.random() < 0.4:
        # Day was thinned out to be about as frequent as night.
        answers = either(language, *(_IS if answer == "night" else _IS_NOT))
        return asked("is_night", answers, language, "is_night", generator)
    return asked("time", either(language, *_TIME_ANSWERS[answer]), language, "time", generator)


def count(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask how many there are of a kind."""
    kinds: tuple[Kind, ...] = ("car", "car", "person", "person", "bus", "truck", "bicycle", "traffic light")
    kind = choose(generator, kinds)
    found = facts.named(kind)
    if found is None or len(found) > 9:
        return None
    if generator.random() > (_KEPT_COUNT[len(found)] if len(found) < 3 else 1.0):
        return None
    name = kind_name(kind, language)
    slots = {"many": plural(name), "name": name, "measure": measure(kind)}
    return asked("count", number_answers(len(found), language), language, "count", generator, slots)


def color(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask for the colour of the nearest car, or of the only thing of a kind."""
    if not facts.colors_show:
        return None
    kinds: tuple[Kind, ...] = ("bus", "truck", "motorcycle", "dog", "cow", "cat")
    alone = [kind for kind in kinds if len(facts.seen(kind)) == 1]
    if alone and generator.random() < 0.5:
        kind = choose(generator, alone)
        visible = facts.seen(kind)[0]
        name = kind_name(kind, language)
        wording, slots = "color_of", {"name": name, "measure": measure(kind)}
    else:
        cars = facts.seen("car")
        if not cars or (len(cars) > 1 and facts.distance(cars[1]) < 1.2 * facts.distance(cars[0])):
            return None
        visible, wording, slots = cars[0], "color", {}
    value = facts.thing(visible).color
    if not facts.is_clear(visible) or value is None:
        return None
    return asked(wording, color_answers(value, language), language, "color", generator, slots)


def color_answers(value: str, language: Language) -> tuple[str, ...]:
    """Acceptable answers for a colour."""
    name = color_name(value, language)
    if language == "zh":
        return name, name.removesuffix("色")
    return (name, "gray") if value == "grey" else (name,)


def presence(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask whether there is something of a kind; for each kind yes and no are about equally frequent."""
    kind, here = presence_of(facts, generator)
    if here is None:
        return None
    name = kind_name(kind, language)
    slots = {"one": with_article(name), "name": name}
    return asked("presence", yes_no(here, language), language, "presence", generator, slots)


# How often a kind is in view (clear) and not at all in the default world: the more frequent is thinned out.
_SHARES: dict[Kind, tuple[float, float]] = {
    "car": (0.58, 0.25),
    "bus": (0.11, 0.74),
    "truck": (0.16, 0.67),
    "bicycle": (0.11, 0.84),
    "motorcycle": (0.028, 0.94),
    "person": (0.40, 0.53),
    "traffic light": (0.24, 0.74),
    "dog": (0.030, 0.96),
    "cow": (0.026, 0.96),
}


def presence_of(facts: Facts, generator: np.random.Generator) -> tuple[Kind, bool | None]:
    """Draw a kind and whether it is in view; None where that is uncertain or too easy to guess."""
    kinds = list(_SHARES)
    rare: list[Kind] = [kind for kind in ("motorcycle", "dog", "cow") if facts.seen(kind)]
    kind = choose(generator, rare) if rare and generator.random() < 0.5 else choose(generator, kinds)
    present, absent = _SHARES[kind]
    if any(facts.thing(v).kind == kind for v in facts.clear):
        return kind, True if generator.random() < absent / present else None
    if facts.seen(kind):
        return kind, None
    # A rare kind that is there is chosen more often than one of nine.
    more = 5.0 if kind in ("motorcycle", "dog", "cow") else 1.0
    return kind, False if generator.random() < more * present / absent else None


def yes_no(value: bool, language: Language) -> tuple[str, ...]:
    """Acceptable answers for whether there is something."""
    return either(language, *(_YES if value else _NO))


def on_road(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask whether an animal or a person is on the road."""
    animals = facts.seen(*ANIMALS)
    kinds: tuple[Kind, ...] = ("dog", "cow", "cat", "person")
    kind = facts.thing(animals[0]).kind if animals and generator.random() < 0.8 else choose(generator, kinds)
    found = facts.named(kind)
    if found is None:
        return None
    walking = [v for v in found if not facts.thing(v).riding]
    here = [v for v in walking if facts.is_on_road(facts.thing(v))]
    if not here and (walking or generator.random() > 0.06):
        # At the edge of the road one cannot tell.
        return None
    name = kind_name(kind, language)
    slots = {"one": with_article(name), "name": name}
    return asked("on_road", yes_no(bool(here), language), language, "on_road", generator, slots)


def sign(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask what the only sign means."""
    if len(facts.seen("traffic sign")) != 1 or len(facts.signs) != 1:
        return None
    shown = facts.thing(facts.signs[0]).sign
    if shown is None or facts.sign(shown.kind) is None or shown.kind in ("direction", "tunnel"):
        return None
    if shown.kind == "speed limit" and generator.random() > 0.25:
        return None
    answers = either(language, *SIGNS[shown.kind])
    if shown.kind == "speed limit":
        answers = either(language, (f"speed limit {shown.limit}",), (f"限速{shown.limit}",)) + answers
    return asked("sign", answers, language, "sign", generator)


def crossing(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask whether there is a zebra crossing."""
    road = facts.scene.road
    if facts.horizontal_view < 0.65 or float((facts.view.semantic == ROAD).mean()) < 0.18:
        return None
    if road.crossing is None:
        kept = 0.55 if abs(facts.scene.mounting.pitch) < 0.1 else 0.0
        if generator.random() > kept:
            return None
        return asked("crossing", yes_no(False, language), language, "crossing", generator)
    points = np.array(
        [[road.crossing + 1.5, road.y(road.crossing, road.ego_offset) + dy, 0.0] for dy in (-1.5, 0, 1.5)]
    )
    pixels, depth = facts.view.camera.project(points)
    height, width = facts.view.semantic.shape
    for (x, y), z in zip(pixels.tolist(), depth.tolist(), strict=True):
        inside = z > 0 and 2 <= x < width - 2 and 2 <= y < height - 2
        if not inside or facts.view.semantic[int(y), int(x)] != ROAD:
            return None
    return asked("crossing", yes_no(True, language), language, "crossing", generator)


def ahead(facts: Facts, language: Language, generator: np.random.Generator) -> Question | None:
    """Ask what is in front of the camera car."""
    found = facts.ahead
    if found is None:
        return None
    kind = facts.thing(found).kind
    if generator.random() > _KEPT_AHEAD.get(kind, 1.0):
        return None
    name = kind_name(kind, language)
    phrase = either(language, with_article(name), f"一{measure(kind)}{name}")
    answers: tuple[str, ...] = (name, phrase)
    if kind in VEHICLES:
        answers += either(language, ("vehicle",), ("车",))
    return asked("ahead", answers, language, "ahead", generator)


GENERAL: MappingProxyType[str, Maker] = MappingProxyType(
    {
        "weather": weather,
        "time": time,
        "count": count,
        "color": color,
        "presence": presence,
        "on_road": on_road,
        "sign": sign,
        "crossing": crossing,
        "ahead": ahead,
    }
)
"""Makers of questions by name; a maker may have nothing to ask."""
