# SPDX-License-Identifier: MIT
"""Names of what the scenes hold: things, regions, colours, weather, places, in English and Chinese."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from intern25.data.class_names import ClassNames, class_names

Kind = Literal[
    "car",
    "bus",
    "truck",
    "bicycle",
    "motorcycle",
    "person",
    "dog",
    "cat",
    "cow",
    "traffic light",
    "traffic sign",
]
"""What a scene object is."""

Weather = Literal["sunny", "cloudy", "rain", "snow", "fog"]
Time = Literal["day", "dusk", "night"]
Rgb = tuple[int, int, int]

OBJECT_CLASSES = ClassNames(
    en=(
        "car",
        "bus",
        "truck",
        "bicycle",
        "motorcycle",
        "person",
        "dog",
        "cat",
        "cow",
        "traffic light",
        "traffic sign",
    ),
    zh=("汽车", "公交车", "卡车", "自行车", "摩托车", "行人", "狗", "猫", "牛", "红绿灯", "交通标志"),
)
"""Classes of scene objects, by label."""

SEMANTIC_CLASSES = class_names("camvid")
"""Classes of the semantic map: those of CamVid, in its order."""

VOID = 11
"""Number of the pixels of the semantic map that belong to no class, as in CamVid."""

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)

SEMANTIC_OF_KIND = MappingProxyType(
    {
        "car": CAR,
        "bus": CAR,
        "truck": CAR,
        "bicycle": BICYCLIST,
        "motorcycle": BICYCLIST,
        "person": PEDESTRIAN,
        "dog": VOID,
        "cat": VOID,
        "cow": VOID,
        "traffic light": SIGN,
        "traffic sign": SIGN,
    }
)
"""CamVid's class of each kind: it counts buses and trucks as cars and lights as signs."""

COLORS = MappingProxyType(
    {
        "red": (190, 28, 30),
        "blue": (32, 70, 175),
        "white": (236, 236, 234),
        "black": (26, 26, 30),
        "yellow": (236, 190, 28),
        "green": (30, 125, 60),
        "grey": (126, 129, 134),
        "orange": (232, 112, 24),
        "brown": (116, 74, 42),
    }
)
"""Colours that objects have, as red, green, blue in 0..255."""

COLOR_NAMES_ZH = MappingProxyType(
    {
        "red": "红色",
        "blue": "蓝色",
        "white": "白色",
        "black": "黑色",
        "yellow": "黄色",
        "green": "绿色",
        "grey": "灰色",
        "orange": "橙色",
        "brown": "棕色",
    }
)

PLACES = (
    ("Kunming", "昆明"),
    ("Beijing", "北京"),
    ("Shanghai", "上海"),
    ("Guangzhou", "广州"),
    ("Chengdu", "成都"),
    ("Wuhan", "武汉"),
    ("Xi'an", "西安"),
    ("Dali", "大理"),
    ("Hangzhou", "杭州"),
    ("Nanjing", "南京"),
    ("Suzhou", "苏州"),
    ("Tianjin", "天津"),
    ("Qingdao", "青岛"),
    ("Lhasa", "拉萨"),
)
"""Places that direction signs name, English and Chinese."""

SPEED_LIMITS = (20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120)
