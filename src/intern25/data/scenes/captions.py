# SPDX-License-Identifier: MIT
"""Captions of views, and sentences that are true or false of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from intern25.data.multimodal.records import Language, Statement
from intern25.data.scenes.classes import Kind
from intern25.data.scenes.facts import ANIMALS, TIME_CLASSES, WEATHER_CLASSES, Facts
from intern25.data.scenes.questions import presence_of
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import Scene
from intern25.data.scenes.words import (
    LAMPS_ZH,
    ROADS,
    amount,
    choose,
    color_name,
    either,
    kind_name,
    measure,
    plural,
    with_article,
)

_COUNTED: tuple[Kind, ...] = ("car", "bus", "truck", "bicycle", "motorcycle", "person", "dog", "cat", "cow")

_WEATHER_EN = {"sunny": "sunny", "cloudy": "cloudy", "rain": "rainy", "snow": "snowy", "fog": "foggy"}
_WEATHER_ZH = {"sunny": "晴朗的", "cloudy": "多云的", "rain": "下雨的", "snow": "下雪的", "fog": "有雾的"}


def describe(scene: Scene, view: View, language: Language, generator: np.random.Generator) -> str:
    """Write a caption that is true of what is seen.

    Args:
        scene: What there is.
        view: What is seen of it.
        language: Of the caption.
        generator: Draws what is mentioned and how.
    """
    facts = Facts(scene, view)
    parts = _mentions(facts, language, generator)
    setting = _setting(facts, language)
    if not parts:
        return either(language, f"{_capital(with_article(setting))}.", f"{setting}。")
    if language == "en":
        return _caption_en(setting, _joined(parts), generator)
    return _caption_zh(setting, "、".join(parts), generator)


def _caption_en(setting: str, listed: str, generator: np.random.Generator) -> str:
    verb = "is" if listed.startswith(("a ", "an ", "one ")) else "are"
    shapes = (
        f"{_capital(with_article(setting))} with {listed}.",
        f"{_capital(listed)} on {with_article(setting)}.",
        f"There {verb} {listed} on {with_article(setting)}.",
        f"A picture of {with_article(setting)} with {listed}.",
    )
    return choose(generator, shapes)


def _caption_zh(setting: str, listed: str, generator: np.random.Generator) -> str:
    shapes = (
        f"{setting}上有{listed}。",
        f"{setting}，有{listed}。",
        f"图中是{setting}，可以看到{listed}。",
    )
    return choose(generator, shapes)


def _setting(facts: Facts, language: Language) -> str:
    """``rainy night street`` / ``下雨的夜晚街道``."""
    section = facts.road_ahead
    scene = facts.scene
    names = {"tunnel": ("road before a tunnel", "隧道前的道路"), "junction": ("junction", "路口")}
    names["highway"] = ("highway", "高速公路")
    weather_en = _WEATHER_EN[scene.weather]
    if scene.weather == "sunny" and scene.time == "night":
        weather_en = "clear"
    english, chinese = names.get(
        section or "", ("street", "街道") if scene.road.kind != "highway" else ("road", "道路")
    )
    if language == "en":
        time = {"day": "", "dusk": "evening ", "night": "night "}[scene.time]
        return f"{weather_en} {time}{english}"
    return _WEATHER_ZH[scene.weather] + TIME_CLASSES.zh[TIME_CLASSES.en.index(scene.time)] + chinese


def _mentions(facts: Facts, language: Language, generator: np.random.Generator) -> list[str]:
    """Up to three things in view, in words."""
    parts: list[str] = []
    for kind in _COUNTED:
        found = facts.named(kind)
        if found:
            parts.append(_counted(facts, kind, len(found), language))
        elif found is None and sum(facts.thing(v).kind == kind for v in facts.clear) > 1:
            name = kind_name(kind, language)
            parts.append(either(language, f"several {plural(name)}", f"多{measure(kind)}{name}"))
    colors = sorted({state.color for v in facts.lights if (state := facts.thing(v).light)})
    if len(colors) == 1 and len(facts.lights) == 1:
        parts.append(either(language, f"a {colors[0]} traffic light", f"一个{LAMPS_ZH[colors[0]]}"))
    limit = facts.sign("speed limit")
    sign = facts.thing(limit).sign if limit else None
    if sign:
        parts.append(either(language, f"a speed limit sign of {sign.limit}", f"一块限速{sign.limit}的标志"))
    if facts.sign("direction"):
        parts.append(either(language, "a direction sign", "一块指路牌"))
    if len(parts) > 3:
        kept = sorted(generator.permutation(len(parts))[:3].tolist())
        parts = [parts[k] for k in kept]
    return parts


def _counted(facts: Facts, kind: Kind, count: int, language: Language) -> str:
    name = kind_name(kind, language)
    if count > 1:
        return amount(count, name, kind, language)
    color = facts.thing(facts.seen(kind)[0]).color
    if color is not None and facts.colors_show and kind != "person":
        colored = either(language, f"{color_name(color, 'en')} {name}", f"{color_name(color, 'zh')}{name}")
        return either(language, with_article(colored), f"一{measure(kind)}{colored}")
    return either(language, with_article(name), f"一{measure(kind)}{name}")


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


Said = tuple[str, bool]
Claim = Callable[[Facts, Language, np.random.Generator], Said | None]


def statements(
    scene: Scene, view: View, language: Language, generator: np.random.Generator, count: int
) -> tuple[Statement, ...]:
    """Write sentences of which half are true of the view.

    Args:
        scene: What there is.
        view: What is seen of it.
        language: Of the sentences.
        generator: Draws kinds, wordings and which are to be true.
        count: Most sentences; fewer may come back, at most one of each kind.
    """
    facts = Facts(scene, view)
    found: list[Statement] = []
    # One sentence of each kind: of repeated ones the true would fall away, of which there are fewer.
    for number in generator.permutation(len(_CLAIMS)).tolist():
        said = _CLAIMS[number](facts, language, generator)
        if said is not None and len(found) < count:
            found.append(Statement(text=said[0], is_true=said[1], language=language))
    return tuple(found)


def _is_heads(generator: np.random.Generator) -> bool:
    """Toss a coin for whether a claim is to be true."""
    return bool(generator.random() < 0.5)


def _count_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    kind = choose(generator, _COUNTED)
    found = facts.named(kind)
    if not found or len(found) > 8:
        return None
    said = len(found)
    if not is_true:
        said = choose(generator, [n for n in (said - 1, said + 1, said + 2) if n > 0])
    words = amount(said, kind_name(kind, language), kind, language)
    if language == "zh":
        return f"图中有{words}。", is_true
    return f"There {'is' if said == 1 else 'are'} {words}.", is_true


def _presence_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    """There is, or there is not, something of a kind."""
    kind, here = presence_of(facts, generator)
    if here is None:
        return None
    name = kind_name(kind, language)
    if generator.random() < 0.5:
        text = either(language, f"There is at least one {name}.", f"图中至少有一{measure(kind)}{name}。")
        return text, here
    return either(language, f"There is no {name}.", f"图中没有{name}。"), not here


def _color_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    kinds: tuple[Kind, ...] = ("car", "bus", "truck", *sorted(ANIMALS))
    alone = [kind for kind in kinds if len(facts.seen(kind)) == 1 and facts.named(kind)]
    if not alone or not facts.colors_show:
        return None
    kind = choose(generator, alone)
    color = facts.thing(facts.seen(kind)[0]).color
    assert color is not None
    if not is_true:
        color = choose(
            generator, [c for c in ("red", "blue", "white", "black", "yellow", "green") if c != color]
        )
    name = kind_name(kind, language)
    return either(language, f"The {name} is {color}.", f"{name}是{color_name(color, 'zh')}的。"), is_true


def _weather_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    weather = facts.scene.weather
    visible_sky = float((facts.view.semantic == 0).mean()) > 0.08
    if weather not in ("rain", "snow") and not visible_sky:
        return None
    said = weather if is_true else choose(generator, [w for w in _WEATHER_EN if w != weather])
    zh = {
        "sunny": "天气晴朗。",
        "cloudy": "天气多云。",
        "rain": "正在下雨。",
        "snow": "正在下雪。",
        "fog": "有雾。",
    }
    english = "clear" if said == "sunny" and facts.scene.time == "night" else _WEATHER_EN[said]
    return either(language, f"The weather is {english}.", zh[said]), is_true


def _time_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    if facts.scene.time == "dusk":
        return None
    at_night = (facts.scene.time == "night") == is_true
    # Day is more frequent than night: without this "It is day" would mostly be true.
    if facts.scene.time == "day" and generator.random() > 0.45:
        return None
    return either(
        language, *(("It is night.", "现在是夜晚。") if at_night else ("It is day.", "现在是白天。"))
    ), is_true


def _light_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    shown = facts.named("traffic light")
    if not shown or len(shown) != 1 or len(facts.lights) != 1:
        return None
    state = facts.thing(shown[0]).light
    assert state is not None
    color: str = state.color
    if not is_true:
        color = choose(generator, [c for c in LAMPS_ZH if c != color])
    return either(language, f"The traffic light is {color}.", f"信号灯是{LAMPS_ZH[color]}。"), is_true


def _side_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    alone = [kind for kind in _COUNTED if len(facts.seen(kind)) == 1 and facts.named(kind)]
    if len(alone) < 2:
        return None
    first, second = (alone[int(k)] for k in generator.permutation(len(alone))[:2])
    a, b = facts.seen(first)[0], facts.seen(second)[0]
    gap = 0.5 * (a.box[0] + a.box[2]) - 0.5 * (b.box[0] + b.box[2])
    if abs(gap) < 0.12 * facts.view.semantic.shape[1]:
        return None
    left = (gap < 0) == is_true
    names = kind_name(first, language), kind_name(second, language)
    if language == "zh":
        return f"{names[0]}在{names[1]}的{'左' if left else '右'}边。", is_true
    return f"The {names[0]} is to the {'left' if left else 'right'} of the {names[1]}.", is_true


def _road_claim(facts: Facts, language: Language, generator: np.random.Generator) -> Said | None:
    is_true = _is_heads(generator)
    section = facts.road_ahead
    if section not in ("tunnel", "junction", "highway"):
        return None
    if not is_true:
        section = choose(generator, [s for s in ("tunnel", "junction", "highway") if s != section])
    english, chinese = ROADS[section]
    if section == "highway":
        return either(language, "This is a highway.", "这是高速公路。"), is_true
    return either(language, f"There is {with_article(english[0])} ahead.", f"前方是{chinese[0]}。"), is_true


_CLAIMS: tuple[Claim, ...] = (
    _count_claim,
    _presence_claim,
    _color_claim,
    _weather_claim,
    _time_claim,
    _light_claim,
    _side_claim,
    _road_claim,
)

assert set(_WEATHER_EN) == set(WEATHER_CLASSES.en)
