# SPDX-License-Identifier: MIT
"""Answers worked out again from the scene, without the code that asks: the oracle of the question tests."""

from __future__ import annotations

import math
import re

from intern25.data.multimodal.records import Question
from intern25.data.scenes.classes import COLOR_NAMES_ZH, OBJECT_CLASSES, PLACES
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import LightState, Scene, SceneObject, SignFace

MEASURES = "辆名只头个块"
TURNS = {"left": "左转", "straight": "直行", "right": "右转"}
SIGNS_ZH = {
    "stop": "停车让行",
    "no entry": "禁止驶入",
    "give way": "减速让行",
    "no parking": "禁止停车",
    "pedestrian crossing": "人行横道",
}
WEATHER = {
    "sunny": ("sunny", "晴天"),
    "cloudy": ("cloudy", "多云"),
    "rain": ("rainy", "下雨"),
    "snow": ("snowy", "下雪"),
    "fog": ("foggy", "有雾"),
}
TIMES = {"day": ("day", "白天"), "dusk": ("dusk", "黄昏"), "night": ("night", "夜晚")}


def visible(scene: Scene, view: View) -> list[SceneObject]:
    return [scene.objects[v.index] for v in view.objects]


def kinds_in(text: str) -> list[str]:
    """Kinds that an English or Chinese text names."""
    found = []
    for en, zh in zip(OBJECT_CLASSES.en, OBJECT_CLASSES.zh, strict=True):
        many = {"bus": "buses", "person": "people"}.get(en, en + "s")
        # 汽车 is not inside any other name; "car" is not to be found in "cars" of "carts".
        if re.search(rf"\b({en}|{many})\b", text) or zh in text:
            found.append(en)
    return found


def may_go(scene: Scene, shapes: tuple[str, ...]) -> bool:
    for shape in shapes:
        for thing in scene.objects:
            if thing.light is not None and thing.light.shape == shape:
                return thing.light.color == "green"
    raise AssertionError("no light says so")


def main_countdown(scene: Scene) -> int | None:
    for shape in ("straight", "round"):
        for thing in scene.objects:
            if thing.light is not None and thing.light.shape == shape:
                return thing.light.countdown
    return None


def nearest(scene: Scene, view: View, kind: str) -> SceneObject:
    eye = view.camera.position.tolist()
    things = [thing for thing in visible(scene, view) if thing.kind == kind]
    return min(things, key=lambda thing: math.dist(thing.center, eye))


def right_answers(question: Question, scene: Scene, view: View) -> set[str]:
    """Target answers that are right."""
    seen = visible(scene, view)
    english = question.language == "en"
    kind = question.kind
    if kind == "weather":
        answer = WEATHER[scene.weather][not english]
        return {answer} | ({"clear", "晴"} if scene.weather == "sunny" else set())
    if kind == "time":
        return {TIMES[scene.time][not english]}
    if kind == "is_night":
        return _yes(scene.time == "night", "是", "不是")
    if kind in ("presence", "on_road"):
        (asked,) = kinds_in(question.text)
        found = [thing for thing in seen if thing.kind == asked]
        if kind == "on_road":
            found = [thing for thing in found if _on_road(scene, thing) and not thing.riding]
        return _yes(bool(found), "有", "没有")
    if kind == "crossing":
        return _yes(scene.road.crossing is not None, "有", "没有")
    if kind == "count":
        (asked,) = kinds_in(question.text)
        return {str(sum(thing.kind == asked for thing in seen))}
    if kind == "color":
        (asked,) = kinds_in(question.text)
        color = nearest(scene, view, asked).color
        assert color is not None
        return {color if english else COLOR_NAMES_ZH[color]}
    if kind == "ahead":
        return {
            en if english else zh for en, zh in zip(OBJECT_CLASSES.en, OBJECT_CLASSES.zh, strict=True)
        } & {
            _ahead(scene, view)
            if english
            else OBJECT_CLASSES.zh[OBJECT_CLASSES.en.index(_ahead(scene, view))]
        }
    return _driver_answers(question, scene, seen)


def _driver_answers(question: Question, scene: Scene, seen: list[SceneObject]) -> set[str]:
    signs = [thing.sign for thing in seen if thing.sign is not None]
    lights = [thing.light for thing in seen if thing.light is not None]
    if question.kind in ("speed_limit", "sign", "direction", "place"):
        return _sign_answers(question, scene, signs)
    if question.kind == "road":
        return _road_answers(question, scene, question.language == "en")
    return _light_answers(question, scene, lights)


def _light_answers(question: Question, scene: Scene, lights: list[LightState]) -> set[str]:
    kind = question.kind
    if kind == "go_straight":
        return _yes(may_go(scene, ("straight", "round")), "可以", "不可以")
    if kind == "turn_left":
        return _yes(may_go(scene, ("left",)), "可以", "不可以")
    if kind == "wait":
        if may_go(scene, ("straight", "round")):
            return {"yes", "可以直行"}
        seconds = main_countdown(scene)
        return {f"wait {seconds} second{'' if seconds == 1 else 's'}", f"需等待{seconds}秒"}
    if kind == "countdown":
        (seconds,) = [light.countdown for light in lights if light.countdown is not None]
        return {str(seconds), f"{seconds}秒"}
    assert kind == "light"
    words = {"left": "left|左", "straight": "straight|直行", "pedestrian": "pedestrian|人"}
    shapes = [shape for shape, pattern in words.items() if re.search(pattern, question.text)] or [
        "round",
        *words,
    ]
    (color,) = {light.color for light in lights if light.shape in shapes}
    return {color, {"red": "红灯", "yellow": "黄灯", "green": "绿灯"}[color]}


def _sign_answers(question: Question, scene: Scene, signs: list[SignFace]) -> set[str]:
    kind = question.kind
    if kind == "speed_limit":
        (limit,) = [sign.limit for sign in signs if sign.kind == "speed limit"]
        return {str(limit)}
    if kind == "direction":
        (board,) = [sign for sign in signs if sign.kind == "direction"]
        turns = [d.turn for d in board.destinations if any(name in question.text for name in PLACES[d.place])]
        return {turns[0], TURNS[turns[0]]}
    if kind == "place":
        return _places(question, scene)
    (sign,) = signs
    if sign.limit is not None:
        return {f"speed limit {sign.limit}", f"限速{sign.limit}"}
    return {sign.kind, SIGNS_ZH[sign.kind]}


def _places(question: Question, scene: Scene) -> set[str]:
    boards = [thing.sign for thing in scene.objects if thing.sign is not None and thing.sign.destinations]
    if "unnel" in question.text or "隧道" in question.text:
        english, chinese = PLACES[next(b for b in boards if b.kind == "tunnel").destinations[0].place]
        return {english, f"{chinese}隧道"}
    words = {"left": ("left", "左"), "straight": ("straight", "直行"), "right": ("right", "右")}
    board = next(b for b in boards if b.kind == "direction")
    (line,) = [d for d in board.destinations if any(word in question.text for word in words[d.turn])]
    return set(PLACES[line.place])


def _road_answers(question: Question, scene: Scene, english: bool) -> set[str]:
    road = scene.road
    if "limit" in question.text or "how fast" in question.text or "限速" in question.text:
        (limit,) = {t.sign.limit for t in scene.objects if t.sign is not None and t.sign.limit is not None}
        return {f"tunnel, {limit} km/h", f"隧道，限速{limit}"}
    if road.kind == "street":
        straight = {"straight road", "直路"}
        bends = {"left bend", "左弯道"} if road.curvature > 0 else {"right bend", "右弯道"}
        return straight if road.curvature == 0 else bends
    names = {"tunnel": "隧道", "junction": "路口", "highway": "高速公路"}
    if road.kind == "highway" and not english:
        return {names["highway"]}
    return {road.kind, names[road.kind]}


def _yes(value: bool, yes: str, no: str) -> set[str]:
    return {"yes", yes} if value else {"no", no}


def _on_road(scene: Scene, thing: SceneObject) -> bool:
    road = scene.road
    d = thing.center[1] + road.ego_offset - 0.5 * road.curvature * thing.center[0] ** 2
    forward = road.lane_width * road.lanes_forward + 0.4
    backward = road.lane_width * road.lanes_backward + 0.4
    return -backward < d < forward if road.left_hand else -forward < d < backward


def _ahead(scene: Scene, view: View) -> str:
    road = scene.road
    eye = view.camera.position.tolist()
    in_lane = [
        thing
        for thing in visible(scene, view)
        if thing.kind not in ("traffic light", "traffic sign")
        and not thing.riding
        and 1.0 < thing.center[0] < 40.0
        and abs(thing.center[1] - 0.5 * road.curvature * thing.center[0] ** 2) < 0.5 * road.lane_width
    ]
    return min(in_lane, key=lambda thing: math.dist(thing.center, eye)).kind
