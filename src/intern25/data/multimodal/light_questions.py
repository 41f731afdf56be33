# SPDX-License-Identifier: MIT
"""Questions about traffic lights, made from boxes of their heads.

Classes are called by colour and form: ``red``, ``yellow`` and ``green`` are round, ``redleft`` is an arrow to
the left, ``redstraight`` one straight ahead, ``redpeople`` a pedestrian light; ``redtime`` is a countdown and
decides nothing.

Rules:

- straight on: the straight arrow decides where there is one, else the round light; green is yes, red and
  yellow are no.
- left: the left arrow decides where there is one, else the round light, in the same way.
- on foot: the pedestrian light decides; without one nothing is asked.
- where the heads that decide show different colours, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from intern25.data.class_names import class_keys, class_names
from intern25.data.multimodal.facts import (
    ALLOWED,
    COLOURS,
    THERE_IS,
    Fact,
    Wordings,
    balancing_shares,
    draw_questions,
)
from intern25.data.multimodal.object_facts import ObjectPictures
from intern25.data.multimodal.pictures import DrawnPictures
from intern25.data.multimodal.records import Question

_STRAIGHT: Wordings = {
    "en": ("can I go straight now?", "may I drive straight on now?", "is going straight allowed right now?"),
    "zh": ("此刻可以直行吗？", "现在能直行吗？", "我可以直走吗？"),
}
_LEFT: Wordings = {
    "en": ("can I turn left now?", "may I turn left?", "is turning left allowed right now?"),
    "zh": ("现在可以左转吗？", "此刻能左转吗？", "我可以左拐吗？"),
}
_ON_FOOT: Wordings = {
    "en": ("can pedestrians cross now?", "may people walk across the road now?"),
    "zh": ("行人现在可以过马路吗？", "行人此刻能通行吗？"),
}
_LIGHT: Wordings = {
    "en": ("what light is it now?", "what colour is the traffic light?", "which light is on?"),
    "zh": ("现在是什么灯？", "信号灯是什么颜色？", "红绿灯现在亮的是什么灯？"),
}
_ARROW_LEFT: Wordings = {
    "en": ("what colour is the left arrow?", "which colour does the arrow to the left show?"),
    "zh": ("左转箭头灯是什么颜色？", "左转灯现在是什么灯？"),
}
_ARROW_STRAIGHT: Wordings = {
    "en": ("what colour is the straight arrow?", "which colour does the arrow straight ahead show?"),
    "zh": ("直行箭头灯是什么颜色？", "直行灯现在是什么灯？"),
}
_FOOT_LIGHT: Wordings = {
    "en": ("what colour is the pedestrian light?", "which light do pedestrians have?"),
    "zh": ("人行灯是什么颜色？", "行人信号灯现在是什么灯？"),
}
_ANY_RED: Wordings = {
    "en": ("is there a red light?", "is any light red?"),
    "zh": ("有红灯吗？", "有没有灯是红色的？"),
}


def shown_colour(heads: Iterable[str], form: str) -> str | None:
    """Colour of all heads of a form, ``""`` being round; ``None`` where there are none or they differ.

    Example:
        >>> shown_colour(["redleft", "green", "green"], ""), shown_colour(["red", "green"], "")
        ('green', None)
    """
    colours = {
        head.removesuffix(form)
        for head in heads
        if head.removesuffix(form) in COLOURS and head.endswith(form)
    }
    return colours.pop() if len(colours) == 1 else None


def may_go(heads: Sequence[str], arrow: str) -> bool | None:
    """Whether one may go where an arrow points, ``straight`` or ``left``; ``None`` where it is not clear.

    Example:
        >>> may_go(["red", "greenleft"], "left"), may_go(["red", "greenleft"], "straight")
        (True, False)
    """
    has_arrow = any(head.endswith(arrow) for head in heads)
    colour = shown_colour(heads, arrow if has_arrow else "")
    return None if colour is None else colour == "green"


def light_facts(heads: Sequence[str]) -> list[Fact]:
    """Everything that can be asked about the lights of one picture; see the rules of this module."""
    facts = []
    for arrow, wordings in (("straight", _STRAIGHT), ("left", _LEFT)):
        allowed = may_go(heads, arrow)
        if allowed is not None:
            facts.append(_yes_no(wordings, allowed, f"go {arrow}"))
    on_foot = shown_colour(heads, "people")
    if on_foot is not None:
        facts.append(_yes_no(_ON_FOOT, on_foot == "green", "cross on foot"))
    has_arrow = any(head.endswith(("left", "straight")) for head in heads)
    lamps = [head for head in heads if not head.endswith("time")]
    if lamps:
        is_red = any(head.startswith("red") for head in lamps)
        fact = Fact(wordings=_ANY_RED, answers=THERE_IS[is_red], kind="red light", is_yes=is_red)
        facts.append(fact)
    colours = (
        # "The light" is not clear beside arrows.
        ("" if not has_arrow else None, _LIGHT, "light"),
        ("left", _ARROW_LEFT, "arrow"),
        ("straight", _ARROW_STRAIGHT, "arrow"),
        ("people", _FOOT_LIGHT, "pedestrian light"),
    )
    for form, wordings, kind in colours:
        colour = shown_colour(heads, form) if form is not None else None
        if colour is not None:
            facts.append(Fact(wordings=wordings, answers=COLOURS[colour], kind=kind))
    return facts


def _yes_no(wordings: Wordings, allowed: bool, kind: str) -> Fact:
    return Fact(wordings=wordings, answers=ALLOWED[allowed], kind=kind, is_yes=allowed)


class _LightRules:
    """Draws questions about lights."""

    def __init__(self, images: ObjectPictures, count: int) -> None:
        keys = _keys_of(images)
        self.count = count
        self.facts = [
            light_facts([keys[label] for label in images.annotation(index).labels.tolist()])
            for index in range(len(images))
        ]
        self.shares = balancing_shares(self.facts)

    def draw(self, index: int, generator: np.random.Generator) -> tuple[Question, ...]:
        """Draw questions about one picture."""
        return draw_questions(self.facts[index], self.shares, generator, self.count)


def _keys_of(images: ObjectPictures) -> tuple[str, ...]:
    known = class_names("traffic_lights_cn")
    if images.classes.en == known.en:
        return class_keys("traffic_lights_cn")
    if set(images.classes.en) <= set(class_keys("traffic_lights_cn")):
        return images.classes.en
    raise ValueError(
        f"the classes {', '.join(images.classes.en[:5])}, ... are not those of traffic lights: "
        f"{', '.join(class_keys('traffic_lights_cn'))}"
    )


def light_questions(images: ObjectPictures, *, seed: int = 0, count: int = 3) -> DrawnPictures[Question]:
    """Ask about the traffic lights of a junction: what they show, and where one may go now.

    Questions for a yes or a no are asked as often for either, over the data set; the rules are those of this
    module.

    Args:
        images: Pictures with boxes of light heads, of the classes of the list ``traffic_lights_cn``.
        seed: Seed of all draws.
        count: Most questions a picture.

    Returns:
        The pictures about which something can be asked, with questions for each epoch.

    Raises:
        ValueError: The classes are others, or nothing can be asked.
    """
    rules = _LightRules(images, count)
    indices = tuple(index for index, facts in enumerate(rules.facts) if facts)
    if not indices:
        raise ValueError(f"none of the {len(images)} pictures has lights that could be asked for")
    return DrawnPictures(source=images, draw=rules.draw, indices=indices, seed=seed)
