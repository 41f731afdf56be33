# SPDX-License-Identifier: MIT
"""Questions about street scenes, made from class masks of CamVid.

Rules:

- presence: yes from 0.15 % of the picture on, no where there is no pixel; nothing is asked in between.
- side: the same for the left or the right half; the other half does not matter.
- share: the share of the picture that a class covers, to the nearest ten per cent; tens that are less than
  7.5 points off are right too.
- clear: of the part straight ahead (the middle third of the columns, rows from 50 % to 95 %), the road is
  clear where cars, pedestrians and bicyclists cover less than 0.5 % and road at least half; not clear where
  they cover 8 % or more; nothing is asked in between.
- ahead: what covers most of that part among cars, pedestrians and bicyclists, if 8 % or more and twice as
  much as the next; the road where it is clear.
- bottom middle: the class that covers more than 60 % of the middle third of the lowest fifth.

Masks say nothing about how many things there are, so nothing is counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from intern25.data.class_names import ClassNames, class_names
from intern25.data.multimodal.facts import (
    THERE_IS,
    YES_NO,
    Fact,
    Presence,
    Wordings,
    balancing_shares,
    draw_questions,
)
from intern25.data.multimodal.nouns import with_article
from intern25.data.multimodal.object_facts import presence_fact
from intern25.data.multimodal.pictures import DrawnPictures
from intern25.data.multimodal.records import Language, Question
from intern25.data.segmentation.images import SemanticImages

SEEN = 0.0015
"""Share of a picture from which on a class counts as there."""
OBSTACLES = ("car", "pedestrian", "bicyclist")
_ASKED = ("sign", "fence", "car", "pedestrian", "bicyclist", "tree", "pavement")
_CLEAR, _BLOCKED = 0.005, 0.08

_ROAD_CLEAR: Wordings = {
    "en": ("is the road clear ahead?", "is the way ahead free?", "is the lane ahead empty?"),
    "zh": ("前方道路畅通吗？", "前面的路是空的吗？", "前方路面有没有被挡住，是畅通的吗？"),
}
_WHAT_AHEAD: Wordings = {
    "en": ("what is ahead?", "what is in front of us?", "what is straight ahead on the road?"),
    "zh": ("前方是什么？", "正前方有什么？", "前面路上是什么？"),
}
_SHARE: Wordings = {
    "en": ("what share of the picture is {x}?", "how much of the picture is {x}?"),
    "zh": ("{x}占画面的百分之多少？", "画面中{x}的比例大约是多少？"),
}
_SIDE: Wordings = {
    "en": ("is there {a} on the {side}?", "can you see {a} in the {side} half of the picture?"),
    "zh": ("{side}有{x}吗？", "画面{side}能看到{x}吗？"),
}
_BOTTOM: Wordings = {
    "en": ("what is at the bottom of the picture in the middle?", "what are we driving on?"),
    "zh": ("画面底部中间是什么？", "我们行驶在什么上面？"),
}


def part_shares(mask: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """Share of each class in each part of a picture: whole, left half, right half, ahead, bottom middle.

    Args:
        mask: ``(H, W)`` classes; others than ``0..classes-1`` belong to no class but to the area.
        classes: Number of classes ``C``.

    Returns:
        ``(5, C)``.
    """
    height, width = mask.shape
    middle = slice(width // 3, width - width // 3)
    parts = (
        mask,
        mask[:, : width // 2],
        mask[:, width // 2 :],
        mask[height // 2 : height * 95 // 100, middle],
        mask[height - height // 5 :, middle],
    )
    counts = [np.bincount(part.ravel(), minlength=256)[:classes] / part.size for part in parts]
    return np.stack(counts)


class _StreetRules:
    """Draws questions about street scenes."""

    def __init__(self, images: SemanticImages, count: int) -> None:
        self.names, self.count = images.classes, count
        labels = {name: label for label, name in enumerate(self.names.en)}
        lacking = [name for name in ("road", *OBSTACLES) if name not in labels]
        if lacking:
            raise ValueError(
                f"the classes {', '.join(self.names.en[:6])}, ... are not those of a street: "
                f"{', '.join(lacking)} missing; expected {', '.join(class_names('camvid').en)}"
            )
        self.labels = labels
        rows = [part_shares(images.mask(index), len(self.names)) for index in range(len(images))]
        self.shares = np.stack(rows)
        asked = np.zeros(len(self.names), dtype=np.bool_)
        asked[[labels[name] for name in _ASKED if name in labels]] = True
        whole = self.shares[:, 0]
        self.presence = Presence((whole >= SEEN) & asked, (whole == 0.0) & asked)
        self.facts = [self.fixed_facts(row) for row in self.shares]
        self.balance = balancing_shares(self.facts)

    def fixed_facts(self, shares: NDArray[np.float64]) -> list[Fact]:
        """What can be asked about a picture besides presence, shares ``(5, C)``."""
        facts = [*self._side_facts(shares), *self._ahead_facts(shares[3])]
        for name in ("road", "sky", "building", "tree"):
            if name in self.labels and shares[0, self.labels[name]] >= 0.05:
                facts.append(self._share_fact(self.labels[name], float(shares[0, self.labels[name]])))
        most = int(shares[4].argmax())
        if shares[4, most] > 0.6:
            facts.append(Fact(wordings=_BOTTOM, answers=_named(self.names, most), kind="ground"))
        return facts

    def _side_facts(self, shares: NDArray[np.float64]) -> list[Fact]:
        facts = []
        for name in OBSTACLES:
            label = self.labels[name]
            for part, (en, zh) in ((1, ("left", "左边")), (2, ("right", "右边"))):
                share = float(shares[part, label])
                if share == 0.0 or share >= SEEN:
                    slots: dict[Language, dict[str, str]] = {
                        "en": {"a": with_article(name), "side": en},
                        "zh": {"x": self.names.name(label, "zh"), "side": zh},
                    }
                    facts.append(
                        Fact(
                            wordings=_SIDE,
                            answers=THERE_IS[share > 0.0],
                            kind="aside",
                            slots=slots,
                            is_yes=share > 0.0,
                            balance=f"{name} aside",
                        )
                    )
        return facts

    def _ahead_facts(self, ahead: NDArray[np.float64]) -> list[Fact]:
        labels = [self.labels[name] for name in OBSTACLES]
        covered = float(ahead[labels].sum())
        road = self.labels["road"]
        if covered < _CLEAR and ahead[road] >= 0.5:
            clear, what = True, road
        elif covered >= _BLOCKED:
            clear, what = False, max(labels, key=lambda label: ahead[label])
        else:
            return []
        facts = [Fact(wordings=_ROAD_CLEAR, answers=YES_NO[clear], kind="clear", is_yes=clear)]
        others = [float(ahead[label]) for label in labels if label != what]
        if clear or (ahead[what] >= _BLOCKED and ahead[what] >= 2.0 * max(others)):
            facts.append(Fact(wordings=_WHAT_AHEAD, answers=_named(self.names, what), kind="ahead"))
        return facts

    def _share_fact(self, label: int, share: float) -> Fact:
        percent = 100.0 * share
        tens = sorted(range(0, 101, 10), key=lambda ten: abs(ten - percent))
        answers = tuple(f"{ten}%" for ten in tens if abs(ten - percent) < 7.5)
        return Fact(
            wordings=_SHARE,
            answers={"en": answers, "zh": answers},
            kind="share",
            slots={"en": {"x": self.names.name(label)}, "zh": {"x": self.names.name(label, "zh")}},
        )

    def draw(self, index: int, generator: np.random.Generator) -> tuple[Question, ...]:
        """Draw questions about one picture, half of them whether something is there."""
        drawn = self.presence.draw(index, (self.count + 1) // 2, generator)
        asked = [presence_fact(self.names, *one).question(generator) for one in drawn]
        rest = draw_questions(self.facts[index], self.balance, generator, self.count - len(asked))
        return tuple(dict.fromkeys((*asked, *rest)))


def _named(names: ClassNames, label: int) -> dict[Language, tuple[str, ...]]:
    return {"en": (names.name(label),), "zh": (names.name(label, "zh"),)}


def street_questions(images: SemanticImages, *, seed: int = 0, count: int = 4) -> DrawnPictures[Question]:
    """Ask about street scenes in English and Chinese; the rules are those of this module.

    Every mask is read once, when the questions are set up.

    Args:
        images: Pictures with class masks of the classes of CamVid, or others with its road, cars, pedestrians
            and bicyclists.
        seed: Seed of all draws.
        count: Most questions a picture.

    Returns:
        The pictures, with questions for each epoch.

    Raises:
        ValueError: The classes are not those of a street.
    """
    rules = _StreetRules(images, count)
    return DrawnPictures(source=images, draw=rules.draw, indices=tuple(range(len(images))), seed=seed)
