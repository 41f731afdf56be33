# SPDX-License-Identifier: MIT
"""Full names of things: what they are, in which colour, what they show. One closed list of both languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from intern25.data.class_names import ClassNames
from intern25.data.multimodal.records import Language
from intern25.data.scenes.classes import COLORS, OBJECT_CLASSES, SPEED_LIMITS, Kind
from intern25.data.scenes.facts import Facts
from intern25.data.scenes.rendering import VisibleObject
from intern25.data.scenes.scene import LampColor, LampShape, LightState, SceneObject, SignFace, SignKind
from intern25.data.scenes.words import LAMPS_ZH, SIGNS, color_name, either, kind_name

_SHAPES_ZH: dict[LampShape, str] = {"round": "", "left": "左转", "straight": "直行", "pedestrian": "人行"}
_SHAPES_EN: dict[LampShape, str] = {
    "round": "",
    "left": "left arrow ",
    "straight": "straight arrow ",
    "pedestrian": "pedestrian ",
}
_LAMPS: tuple[LampColor, ...] = ("red", "yellow", "green")
_SHOWN: tuple[SignKind, ...] = (
    "stop", "no entry", "give way", "no parking", "pedestrian crossing", "direction", "tunnel",
)  # fmt: skip


def colored_name(thing: SceneObject, language: Language) -> str:
    """``red car`` / ``红色汽车``; people are named by their clothes.

    Raises:
        ValueError: The thing has no colour.
    """
    if thing.color is None:
        raise ValueError(f"a {thing.kind} has no colour to be named by")
    return _colored(thing.kind, thing.color, language)


def sign_name(sign: SignFace, language: Language) -> str:
    """``speed limit 60 sign`` / ``限速60标志``."""
    if sign.kind == "speed limit":
        return either(language, f"speed limit {sign.limit} sign", f"限速{sign.limit}标志")
    if sign.kind == "direction":
        return either(language, "direction sign", "指路牌")
    english, chinese = SIGNS[sign.kind]
    return either(language, f"{english[0]} sign", f"{chinese[0]}标志")


def light_name(light: LightState, language: Language) -> str:
    """``red left arrow light`` / ``左转红灯``."""
    return _lamp(light.color, light.shape, language)


def full_name(facts: Facts, visible: VisibleObject, language: Language) -> str | None:
    """Name of a thing that is seen clearly, one of :data:`FULL_NAMES`; None where its colour does not show.

    Args:
        facts: What can be told from the view.
        visible: The thing.
        language: Of the name.
    """
    thing = facts.thing(visible)
    if thing.light is not None:
        return light_name(thing.light, language)
    if thing.sign is not None:
        return sign_name(thing.sign, language)
    return colored_name(thing, language) if thing.color is not None and facts.colors_show else None


def _colored(kind: Kind, color: str, language: Language) -> str:
    name = color_name(color, language)
    if kind == "person":
        return either(language, f"person in {name}", f"穿{name}衣服的人")
    what = kind_name(kind, language)
    return either(language, f"{name} {what}", f"{name}{what}" if name.endswith("色") else f"{name}的{what}")


def _lamp(color: LampColor, shape: LampShape, language: Language) -> str:
    return either(language, f"{color} {_SHAPES_EN[shape]}light", f"{_SHAPES_ZH[shape]}{LAMPS_ZH[color]}")


def _every_name(language: Language) -> Iterator[str]:
    """All names, in the same order for each language."""
    for kind in OBJECT_CLASSES.en[:-2]:
        yield from (_colored(cast(Kind, kind), color, language) for color in COLORS)
    yield from (_lamp(color, shape, language) for shape in _SHAPES_EN for color in _LAMPS)
    yield from (sign_name(SignFace(kind="speed limit", limit=limit), language) for limit in SPEED_LIMITS)
    yield from (sign_name(SignFace(kind=kind), language) for kind in _SHOWN)


FULL_NAMES = ClassNames(en=tuple(_every_name("en")), zh=tuple(_every_name("zh")))
"""All full names: coloured things, then lights, then signs."""
