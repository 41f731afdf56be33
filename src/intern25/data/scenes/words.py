# SPDX-License-Identifier: MIT
"""Names, numbers and measure words in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from intern25.data.multimodal.records import Language
from intern25.data.scenes.classes import COLOR_NAMES_ZH, OBJECT_CLASSES, PLACES, Kind

T = TypeVar("T")

_PLURALS = {
    "bus": "buses",
    "person": "people",
    "traffic light": "traffic lights",
}
_NUMBERS_EN = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS_ZH = ("没有", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")
_MEASURES = {
    "person": "名",
    "dog": "只",
    "cat": "只",
    "cow": "头",
    "traffic light": "个",
    "traffic sign": "块",
}

ROADS = {
    "tunnel": (("tunnel", "a tunnel"), ("隧道",)),
    "junction": (("junction", "crossroads", "intersection", "a junction"), ("路口", "十字路口")),
    "highway": (("highway", "motorway", "a highway"), ("高速公路", "高速")),
    "left bend": (("left bend", "left curve", "bend", "curve"), ("左弯道", "左转弯", "弯道")),
    "right bend": (("right bend", "right curve", "bend", "curve"), ("右弯道", "右转弯", "弯道")),
    "straight road": (("straight road", "a straight road", "street"), ("直路", "直道", "街道")),
}
"""Answers for each section of road, English and Chinese."""

SIGNS = {
    "speed limit": (("speed limit",), ("限速",)),
    "stop": (("stop",), ("停车让行", "停车")),
    "no entry": (("no entry",), ("禁止驶入", "禁止通行")),
    "give way": (("give way", "yield"), ("减速让行", "让行")),
    "no parking": (("no parking", "no stopping"), ("禁止停车", "禁停")),
    "pedestrian crossing": (("pedestrian crossing", "crosswalk"), ("人行横道",)),
    "direction": (("direction sign",), ("指路标志", "指路牌")),
    "tunnel": (("tunnel",), ("隧道",)),
}
"""What each sign says, English and Chinese."""

TURNS = {
    "left": (("left", "turn left"), ("左转", "向左")),
    "straight": (("straight", "go straight"), ("直行", "直走")),
    "right": (("right", "turn right"), ("右转", "向右")),
}

LAMPS_ZH = {"red": "红灯", "yellow": "黄灯", "green": "绿灯"}


def choose(generator: np.random.Generator, options: Sequence[T]) -> T:
    """Draw one of some options."""
    return options[int(generator.integers(len(options)))]


def either(language: Language, en: T, zh: T) -> T:
    """The one in a language."""
    return en if language == "en" else zh


def kind_name(kind: Kind, language: Language) -> str:
    """Name of a kind."""
    return OBJECT_CLASSES.name(OBJECT_CLASSES.en.index(kind), language)


def color_name(color: str, language: Language) -> str:
    """Name of a colour."""
    return either(language, color, COLOR_NAMES_ZH[color])


def plural(name: str) -> str:
    """English plural of a name, with or without words before it."""
    for single, many in _PLURALS.items():
        if name == single or name.endswith(" " + single):
            return name[: -len(single)] + many
    return name + "s"


def with_article(name: str) -> str:
    """English name with a or an."""
    return ("an " if name[0] in "aeiou" else "a ") + name


def number_answers(count: int, language: Language) -> tuple[str, ...]:
    """Acceptable answers for a number."""
    word = either(language, _NUMBERS_EN, _NUMBERS_ZH)[count] if count <= 10 else str(count)
    spoken = ("zero", "none") if language == "en" else ("零", "没有")
    extra = spoken if count == 0 else (word, "二") if word == "两" else (word,)
    return (str(count), *extra) if count <= 10 else (str(count),)


def amount(count: int, name: str, kind: Kind, language: Language) -> str:
    """``two red cars`` / ``两辆红色汽车``; more than ten are in digits."""
    if language == "en":
        number = _NUMBERS_EN[count] if count <= 10 else str(count)
        return f"{number} {name if count == 1 else plural(name)}"
    number = _NUMBERS_ZH[count] if count <= 10 else str(count)
    return f"{number}{measure(kind)}{name}"


def measure(kind: Kind) -> str:
    """Chinese measure word of a kind."""
    return _MEASURES.get(kind, "辆")


def place_name(place: int, language: Language, has_chinese: bool) -> str:
    """Name of a place as it stands on a board; without Chinese boards it is English in any language."""
    english, chinese = PLACES[place]
    return chinese if language == "zh" and has_chinese else english


def place_answers(place: int, language: Language, has_chinese: bool) -> tuple[str, ...]:
    """Acceptable answers for a place."""
    english, chinese = PLACES[place]
    if language == "zh" and has_chinese:
        return chinese, english
    return (english,) if language == "en" else (english, chinese)
