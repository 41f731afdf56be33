"""Answers to derived questions by plain loops over boxes and pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from intern25.data.class_names import ClassNames

YES, NO = {"yes", "是", "有", "可以"}, {"no", "否", "没有", "不可以"}
# Wordings are told apart by single words, so that a new wording needs a new look here.
PRESENCE_EN = re.compile(
    r"(?:is there|can you see|does the picture show) (?:an|a pair of|a) (.+?)(?: in the \w+)?\?"
)
PRESENCE_ZH = re.compile(r"(?:图中有|图片里有没有|能看到|画面中有)(.+?)吗?？")
COUNT_EN = re.compile(r"(?:how many|what is the number of) (.+?)(?: are there| are in the picture)?\?")
COUNT_ZH = re.compile(r"(?:图中有多少|有几.|画面里有几.)(.+?)？")
RELATION_EN = re.compile(r"is the (.+?) (?:to the )?(left|right) of the (.+?)\?")
RELATION_ZH = re.compile(r"(.+?)(?:在|是不是在)(.+?)的?(左|右)边吗?？")
WHICH_EN = re.compile(r"(?:which is further|what is on the) (left|right), the (.+?) or the (.+?)\?")
WHICH_ZH = re.compile(r"(.+?)和(.+?)哪个在(左|右)边？|(左|右)边的是(.+?)还是(.+?)？")


@dataclass(frozen=True)
class Box:
    en: str
    zh: str
    corners: tuple[float, float, float, float]
    ignored: bool


def share(box: Box, size: tuple[int, int]) -> float:
    left, top, right, bottom = box.corners
    return (right - left) * (bottom - top) / (size[0] * size[1])


def large_enough(boxes: list[Box], size: tuple[int, int]) -> list[Box]:
    """Boxes of classes of which at least one is seen."""
    seen = {box.en for box in boxes if share(box, size) >= 0.00199}
    return [box for box in boxes if box.en in seen]


def answer_about_boxes(text: str, boxes: list[Box], size: tuple[int, int], classes: ClassNames) -> set[str]:
    """All right answers; an empty set for a question that should not have been asked."""
    seen = large_enough(boxes, size)
    sides = side_answer(text, boxes)
    if sides is not None:
        return sides
    content = {box.en for box in seen} | {box.zh for box in seen}
    if re.fullmatch(r"what (is in|does|can you).*|图中有什么？|图片里是什么？|画面中能看到什么？", text):
        return content
    count = COUNT_EN.fullmatch(text) or COUNT_ZH.fullmatch(text)
    if count:
        own = [box for box in boxes if count[1] in (box.zh, box.en, many(box.en))]
        clear = all(not box.ignored and share(box, size) >= 0.00199 for box in own)
        return {str(len(own))} if clear and 1 <= len(own) <= 4 else set()
    presence = PRESENCE_EN.fullmatch(text) or PRESENCE_ZH.fullmatch(text)
    assert presence, f"a wording that is not known here: {text}"
    assert presence[1] in (*classes.en, *classes.zh), text
    if presence[1] in content:
        return YES
    return set() if presence[1] in {name for box in boxes for name in (box.en, box.zh)} else NO


def many(noun: str) -> str:
    """Plural, for the classes of the tests and of COCO that are not simply added an s."""
    special = {
        "person": "people",
        "mouse": "mice",
        "knife": "knives",
        "sheep": "sheep",
        "broccoli": "broccoli",
    }
    if noun in special or noun in ("skis", "scissors"):
        return special.get(noun, noun)
    return noun + ("es" if re.search(r"(s|ch|sh)$", noun) else "s")


def side_answer(text: str, boxes: list[Box]) -> set[str] | None:
    """Answer to a question for the side; None for another question."""
    relation = RELATION_EN.fullmatch(text)
    relation_zh = RELATION_ZH.fullmatch(text)
    which, which_zh = WHICH_EN.fullmatch(text), WHICH_ZH.fullmatch(text)
    if relation or relation_zh:
        first, second, side = (
            (relation[1], relation[3], relation[2]) if relation else relation_zh.groups()  # type: ignore[union-attr]
        )
    elif which:
        side, first, second = which.groups()
    elif which_zh:
        found = [group for group in which_zh.groups() if group]
        side, (first, second) = next(g for g in found if g in "左右"), [g for g in found if g not in "左右"]
    else:
        return None
    one, two = (alone(name, boxes) for name in (first, second))
    if one is None or two is None:
        return set()
    is_left = one.corners[2] <= two.corners[0]
    if not is_left and two.corners[2] > one.corners[0]:
        return set()
    holds = is_left == (side in ("left", "左"))
    if relation or relation_zh:
        return YES if holds else NO
    return {first if holds else second}


def alone(name: str, boxes: list[Box]) -> Box | None:
    own = [box for box in boxes if name in (box.en, box.zh)]
    return own[0] if len(own) == 1 and not own[0].ignored else None


def fits_only(text: str, boxes: list[Box], classes: ClassNames) -> int | None:
    """Position of the one object that an expression fits."""
    match = re.fullmatch(r"the (.+?)(?: on the (left|right))?", text) or re.fullmatch(
        r"(?:(左|右)边的)?(.+)", text
    )
    assert match
    groups = match.groups()
    name, side = (groups[0], groups[1]) if text.startswith("the ") else (groups[1], groups[0])
    assert name in (*classes.en, *classes.zh)
    own = [position for position, box in enumerate(boxes) if name in (box.en, box.zh)]
    if side is None:
        return own[0] if len(own) == 1 else None
    for position in own:
        others = [boxes[other].corners for other in own if other != position]
        left, _, right, _ = boxes[position].corners
        if side in ("left", "左") and all(right <= other[0] for other in others):
            return position
        if side in ("right", "右") and all(left >= other[2] for other in others):
            return position
    return None


def colour_of(heads: list[str], form: str) -> str | None:
    found = {colour for colour in ("red", "yellow", "green") if colour + form in heads}
    return next(iter(found)) if len(found) == 1 else None


def allowed(heads: list[str], arrow: str) -> set[str]:
    found = colour_of(heads, arrow if any(head.endswith(arrow) for head in heads) else "")
    return set() if found is None else YES if found == "green" else NO


def shown(heads: list[str], form: str) -> set[str]:
    names = {
        "red": {"red", "红灯"},
        "yellow": {"yellow", "黄灯"},
        "green": {"green", "绿灯"},
        None: set[str](),
    }
    return names[colour_of(heads, form)]


# The first pattern that is found decides; each has what it asks for and of which form.
LIGHT_PATTERNS = (
    ("有红灯吗|有没有灯是红色的|a red light|any light red", "red", ""),
    ("pedestrians have|pedestrian light|人行灯|行人信号灯", "colour", "people"),
    ("pedestrians|people|行人", "go", "people"),
    ("straight arrow|arrow straight|直行箭头|直行灯", "colour", "straight"),
    ("left arrow|arrow to the left|左转箭头|左转灯", "colour", "left"),
    ("straight|直行|直走", "go", "straight"),
    ("left|左转|左拐", "go", "left"),
    ("what light|colour is the traffic light|which light is on|什么灯|什么颜色", "colour", ""),
)


def answer_about_lights(text: str, heads: list[str]) -> set[str]:
    """All right answers to a question about lights; an empty set where it is not clear."""
    what, form = next((what, form) for pattern, what, form in LIGHT_PATTERNS if re.search(pattern, text))
    if what == "red":
        return YES if any(head.startswith("red") and head != "redtime" for head in heads) else NO
    if what == "go":
        return allowed(heads, form)
    if form == "" and any(head.endswith(("left", "straight")) for head in heads):
        return set()
    return shown(heads, form)


def answer_about_street(text: str, mask: np.ndarray, classes: ClassNames) -> set[str]:
    """All right answers to a question about a street scene."""
    height, width = mask.shape
    names = dict(zip((*classes.en, *classes.zh), [*range(len(classes))] * 2, strict=True))

    def covered(part: np.ndarray, name: str) -> float:
        return float(np.mean(part == names[name]))

    ahead = mask[height // 2 : height * 95 // 100, width // 3 : width - width // 3]
    obstacles = {name: covered(ahead, name) for name in ("car", "pedestrian", "bicyclist")}
    total = sum(obstacles.values())
    clear = total < 0.005 and covered(ahead, "road") >= 0.5
    if re.search("clear ahead|way ahead free|ahead empty|畅通|路是空", text):
        return YES if clear else NO if total >= 0.08 else set()
    if re.search("what is (ahead|in front|straight ahead)|前方是什么|正前方|前面路上", text):
        if clear:
            return {"road", "道路"}
        most, next_most = sorted(obstacles.values())[:0:-1][:2]
        name = max(obstacles, key=lambda key: obstacles[key])
        if most < 0.08 or most < 2 * next_most:
            return set()
        return {name, classes.zh[names[name]]}
    if re.search("share|how much|百分之|比例", text):
        (name,) = [n for n in names if re.search(rf"is {n}\?$|^{n}占|中{n}的", text)]
        percent = 100 * covered(mask, name)
        return {f"{ten}%" for ten in range(0, 101, 10) if abs(ten - percent) < 7.5}
    if re.search("bottom of the picture|driving on|底部|行驶在", text):
        part = mask[height - height // 5 :, width // 3 : width - width // 3]
        return {n for n in names if covered(part, n) > 0.6}
    return presence_in_street(text, mask, names)


def presence_in_street(text: str, mask: np.ndarray, names: dict[str, int]) -> set[str]:
    width = mask.shape[1]
    part = mask
    if re.search(r"\bleft\b|左边", text):
        part = mask[:, : width // 2]
    elif re.search(r"\bright\b|右边", text):
        part = mask[:, width // 2 :]
    found = [name for name in names if name in text]
    # "bicyclist" has no other name in it, "人行道" has "行人" not in it; the longest name is meant.
    value = float(np.mean(part == names[max(found, key=len)]))
    return YES if value >= 0.0015 else NO if value == 0.0 else set()
