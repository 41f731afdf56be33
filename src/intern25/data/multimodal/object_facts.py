# SPDX-License-Identifier: MIT
"""What boxes say about a picture: which things are there, how many, and which is left of which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.multimodal.facts import THERE_IS, YES_NO, Fact, Wordings
from intern25.data.multimodal.nouns import (
    measure_word,
    number_answers,
    number_answers_zh,
    plural,
    with_article,
)
from intern25.data.multimodal.records import Language

MOST_COUNTED = 4
"""Greatest number that is asked for."""
_SMALLEST = 0.002
"""Share of the picture below which a thing is too small to be asked for."""

_PRESENCE: Wordings = {
    "en": (
        "is there {a} in the picture?",
        "is there {a} in the image?",
        "can you see {a}?",
        "does the picture show {a}?",
    ),
    "zh": ("图中有{x}吗？", "图片里有没有{x}？", "能看到{x}吗？", "画面中有{x}吗？"),
}
_COUNT: Wordings = {
    "en": (
        "how many {many} are there?",
        "how many {many} are in the picture?",
        "what is the number of {many}?",
    ),
    "zh": ("图中有多少{x}？", "有几{m}{x}？", "画面里有几{m}{x}？"),
}
_CONTENT: Wordings = {
    "en": ("what is in the picture?", "what does the picture show?", "what can you see?"),
    "zh": ("图中有什么？", "图片里是什么？", "画面中能看到什么？"),
}
_LEFT_OF: Wordings = {
    "en": ("is the {x} to the left of the {y}?", "is the {x} left of the {y}?"),
    "zh": ("{x}在{y}的左边吗？", "{x}是不是在{y}左边？"),
}
_RIGHT_OF: Wordings = {
    "en": ("is the {x} to the right of the {y}?", "is the {x} right of the {y}?"),
    "zh": ("{x}在{y}的右边吗？", "{x}是不是在{y}右边？"),
}
_WHICH_LEFT: Wordings = {
    "en": ("which is further left, the {x} or the {y}?", "what is on the left, the {x} or the {y}?"),
    "zh": ("{x}和{y}哪个在左边？", "左边的是{x}还是{y}？"),
}
_WHICH_RIGHT: Wordings = {
    "en": ("which is further right, the {x} or the {y}?", "what is on the right, the {x} or the {y}?"),
    "zh": ("{x}和{y}哪个在右边？", "右边的是{x}还是{y}？"),
}


class Objects(Protocol):
    """Boxes of one picture, as detection data sets have them."""

    @property
    def boxes(self) -> NDArray[np.float32]:
        """``(K, 4)``: left, top, right, bottom in pixels."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """``(K,)``: classes."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        ...

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """``(K,)``: groups that were not told apart, and things that are hard to see."""
        ...


class ObjectPictures(Protocol):
    """Pictures with boxes."""

    @property
    def classes(self) -> ClassNames:
        """Names of the classes."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """File name of a picture, for messages."""
        ...

    def image(self, index: int) -> Image.Image:
        """Return the picture, upright RGB."""
        ...

    def annotation(self, index: int) -> Objects:
        """Boxes of the picture."""
        ...


@dataclass(frozen=True, slots=True)
class Thing:
    """All things of one class in a picture."""

    label: int
    """The class."""
    boxes: NDArray[np.float32]
    """``(K, 4)``."""
    share: float
    """Share of the picture that their boxes cover, counted one by one."""
    countable: bool
    """Whether each of them is told apart and large enough to be seen."""


def things_of(objects: Objects) -> list[Thing]:
    """Group the boxes of a picture by class, those that cover most first.

    Classes of which every box is smaller than 0.2 % of the picture are left out.
    """
    area = float(objects.size[0] * objects.size[1])
    boxes = objects.boxes.astype(np.float64)
    shares = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / area
    things = []
    for label in np.unique(objects.labels).tolist():
        own = objects.labels == label
        if shares[own].max() >= _SMALLEST:
            countable = bool((shares[own] >= _SMALLEST).all() and not objects.ignored[own].any())
            things.append(Thing(label, objects.boxes[own], float(shares[own].sum()), countable))
    return sorted(things, key=lambda thing: (-thing.share, thing.label))


def presence_fact(classes: ClassNames, label: int, is_there: bool) -> Fact:
    """Whether things of a class are in the picture."""
    en, zh = classes.name(label), classes.name(label, "zh")
    return Fact(
        wordings=_PRESENCE,
        answers=THERE_IS[is_there],
        kind="presence",
        slots={"en": {"a": with_article(en)}, "zh": {"x": zh}},
        is_yes=is_there,
    )


def count_facts(classes: ClassNames, things: list[Thing]) -> list[tuple[int, Fact]]:
    """How many things of each class are there, for numbers up to four; the number, and the fact."""
    facts = []
    for thing in things:
        count = len(thing.boxes)
        if thing.countable and count <= MOST_COUNTED:
            en, zh = classes.name(thing.label), classes.name(thing.label, "zh")
            fact = Fact(
                wordings=_COUNT,
                answers={"en": number_answers(count), "zh": number_answers_zh(count, zh)},
                kind="count",
                slots={"en": {"many": plural(en)}, "zh": {"x": zh, "m": measure_word(zh)}},
            )
            facts.append((count, fact))
    return facts


def content_fact(classes: ClassNames, things: list[Thing]) -> Fact:
    """What is in the picture: every class is right, the one that covers most is the target."""
    labels = [thing.label for thing in things]
    return Fact(
        wordings=_CONTENT,
        answers={
            "en": tuple(classes.name(label) for label in labels),
            "zh": tuple(classes.name(label, "zh") for label in labels),
        },
        kind="content",
    )


def side_facts(classes: ClassNames, things: list[Thing], generator: np.random.Generator) -> list[Fact]:
    """Which of two things is further left, for classes with one thing each and boxes side by side."""
    single = [thing for thing in things if thing.countable and len(thing.boxes) == 1]
    facts = []
    for first in single:
        for second in single:
            # The right edge of one is left of the left edge of the other.
            if first.boxes[0, 2] <= second.boxes[0, 0]:
                facts.append(_side_fact(classes, first.label, second.label, generator))
    return facts


def _side_fact(classes: ClassNames, left: int, right: int, generator: np.random.Generator) -> Fact:
    """A question about two classes of which one is left; its order and form are drawn."""
    swapped, ask_left, ask_which = (bool(draw < 0.5) for draw in generator.random(3))
    x, y = (right, left) if swapped else (left, right)
    slots: dict[Language, dict[str, str]] = {
        "en": {"x": classes.name(x), "y": classes.name(y)},
        "zh": {"x": classes.name(x, "zh"), "y": classes.name(y, "zh")},
    }
    if ask_which:
        answer = left if ask_left else right
        return Fact(
            wordings=_WHICH_LEFT if ask_left else _WHICH_RIGHT,
            answers={"en": (classes.name(answer),), "zh": (classes.name(answer, "zh"),)},
            kind="side",
            slots=slots,
        )
    is_yes = ask_left != swapped
    return Fact(
        wordings=_LEFT_OF if ask_left else _RIGHT_OF,
        answers=YES_NO[is_yes],
        kind="relation",
        slots=slots,
        is_yes=is_yes,
    )
